"""What a verification can find, and how each finding names the case, the event and the place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import orjson

from services.reporting.domain.framing import unpacked


class Kind(StrEnum):
    """What is wrong."""

    ALTERED = "altered"
    SWAPPED = "swapped"
    MISSING = "missing"
    INVENTED = "invented"
    OTHER_VERDICT = "other-verdict"
    CHAIN_MISSING = "chain-missing"
    CHAIN_INVENTED = "chain-invented"
    CHAIN_BROKEN = "chain-broken"
    CHAIN_RECOMPUTED = "chain-recomputed"
    HEADERS_CONTRADICT = "headers-contradict"
    TOPIC_SHORTER = "topic-shorter"
    LEDGER_BEHIND = "ledger-behind"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. event is publisher:sequence; offset is None where a whole partition is meant."""

    kind: Kind
    topic: str
    partition: int
    offset: int | None
    case: str
    event: str
    id: str
    type: str
    detail: str

    def __str__(self) -> str:
        place = f"{self.topic} {self.partition}:{'' if self.offset is None else self.offset}"
        whose = (
            f"case {self.case}, event {self.event} ({self.type} {self.id})" if self.case else "the partition"
        )
        return f"{self.kind}: {whose} at {place}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Where:
    """The partition that a finding is about, and the place within it."""

    topic: str
    part: int
    off: int | None = None


def finding(kind: Kind, where: Where, key: bytes | None, headers: bytes, detail: str) -> Finding:
    """A finding about a record, which is named by its own headers."""
    said = _said(headers)
    publisher = said.get("ce_source", "?").rpartition("/")[2]
    sequence = said.get("ce_sequence", "?").lstrip("0") or "?"
    return Finding(
        kind=kind,
        topic=where.topic,
        partition=where.part,
        offset=where.off,
        case=(key or b"?").decode("utf-8", "replace"),
        event=f"{publisher}:{sequence}",
        id=said.get("ce_id", "?"),
        type=said.get("ce_type", "?"),
        detail=detail,
    )


def about_partition(kind: Kind, where: Where, detail: str) -> Finding:
    """A finding that concerns no single record."""
    return Finding(kind, where.topic, where.part, where.off, "", "", "", "", detail)


def _said(headers: bytes) -> Mapping[str, str]:
    try:
        return unpacked(headers)
    except ValueError:  # the ledger's own column may be what was tampered with
        return {}


@dataclass(frozen=True, slots=True)
class Altered:
    """A record that the ledger has otherwise, with the SHA-256 (hex) of what the topic and what the ledger has."""

    finding: Finding
    in_topic: str
    in_ledger: str


def swaps_named(altered: Sequence[Altered]) -> list[Finding]:
    """The findings; where the ledger has the bytes of another altered record, that one is named."""
    places = {one.in_topic: one.finding for one in altered}
    told = []
    for one in altered:
        other = places.get(one.in_ledger)
        if one.in_topic == one.in_ledger or other is None:
            told.append(one.finding)
            continue
        detail = f"the ledger has here what stands at {other.partition}:{other.offset} ({other.event})"
        told.append(replace(one.finding, kind=Kind.SWAPPED, detail=detail))
    return told


CHECKED = (("ce_id", "id"), ("ce_source", "source"), ("ce_type", "type"), ("ce_sequence", "sequence"))


def contradictions(key: bytes, headers: Iterable[tuple[str, bytes]], body: bytes) -> list[str]:
    """Names of what headers and key say otherwise than the body, on which alone the folds rely."""
    try:
        event = orjson.loads(body)
    except ValueError:
        return ["body"]
    if not isinstance(event, dict):
        return ["body"]
    said = dict(headers)
    if _agree(event, said, key):
        return []
    wrong = [name for header, name in CHECKED if said.get(header) != _text(event.get(name))]
    return wrong if key == _text(event.get("subject")) else [*wrong, "subject"]


def _agree(event: dict[str, Any], said: dict[str, bytes], key: bytes) -> bool:
    """Written out, because every record of the log passes here and hardly any does not agree."""
    try:
        return bool(
            event["id"].encode() == said["ce_id"]
            and event["type"].encode() == said["ce_type"]
            and event["source"].encode() == said["ce_source"]
            and event["sequence"].encode() == said["ce_sequence"]
            and event["subject"].encode() == key
        )
    except (KeyError, AttributeError):
        return False


def _text(value: object) -> bytes | None:
    return value.encode() if isinstance(value, str) else None


@dataclass(slots=True)
class Kept:
    """Findings up to a number that people can read, and how many there were in all."""

    most: int = 1000
    total: int = 0
    by_kind: dict[Kind, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, found: Finding) -> None:
        self.total += 1
        self.by_kind[found.kind] = self.by_kind.get(found.kind, 0) + 1
        if len(self.findings) < self.most:
            self.findings.append(found)
