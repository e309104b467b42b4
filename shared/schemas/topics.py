"""The topics of the log: what each holds and how long it is kept (architecture, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass

DAY_MS = 86_400_000
FOREVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic below the installation's prefix, with the broker settings that keep its promise."""

    name_suffix: str
    config: Mapping[str, str]


TOPICS: Mapping[str, TopicSpec] = {
    spec.name_suffix: spec
    for spec in (
        TopicSpec("cases", FOREVER),
        TopicSpec("management", FOREVER),
        TopicSpec("access", {"cleanup.policy": "delete", "retention.ms": str(731 * DAY_MS)}),
        TopicSpec(
            "inbound",
            {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "segment.ms": str(DAY_MS // 24)},
        ),
        TopicSpec("rejected", FOREVER),
        TopicSpec("checkpoints", FOREVER),
    )
}


def topic_name(prefix: str, suffix: str) -> str:
    """The full name of a topic, such as complaints.cases."""
    return f"{prefix}.{TOPICS[suffix].name_suffix}"


def topic_specs(prefix: str) -> dict[str, dict[str, str]]:
    """Full topic name -> broker settings, for whoever makes the topics."""
    return {topic_name(prefix, suffix): dict(spec.config) for suffix, spec in TOPICS.items()}
