"""A new event is answered with as it will be read back, so that an answer is the same the first time and ever after."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.schemas.base import Recorded
from shared.schemas.catalogue import CATALOGUE
from shared.schemas.envelope import Draft, read, serialised

EXAMPLES = Path(__file__).resolve().parents[2] / "shared" / "schemas" / "examples"
WRITTEN = [path for path in sorted(EXAMPLES.glob("*/*.json")) if not CATALOGUE[path.parent.name].retired]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.parent.name)
def test_a_draft_says_what_is_read_from_its_bytes(path: Path) -> None:
    recorded = read(path.read_bytes())
    draft = _draft(recorded)
    read_back = read(draft.body(recorded.sequence, recorded.seen))
    assert draft.recorded(recorded.sequence, recorded.seen) == read_back
    assert replace(draft, event=None).recorded(recorded.sequence, recorded.seen) == read_back


def _draft(recorded: Recorded) -> Draft:
    return Draft(
        id=recorded.id,
        subject=recorded.subject,
        type=recorded.type,
        data=serialised(recorded.event),
        time=recorded.time,
        occurred_at=recorded.occurred_at,
        actor=recorded.actor,
        command=recorded.command,
        correlation=recorded.correlation,
        causation=recorded.causation,
        policy_version=recorded.policy_version,
        traceparent=recorded.traceparent,
        event=recorded.event,
    )
