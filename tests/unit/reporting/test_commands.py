"""What the command line tells of a replay, an explanation and a verification."""

import json
from collections.abc import Iterator, Mapping

import pytest

from redress.commands import audit
from redress.commands.replay import instant, state_lines, step_lines
from redress.failures import NotRunning, WrongUse

STEP = {
    "number": 2,
    "who": {"id": "eva", "role": "OWN", "kind": "human", "on_behalf_of": "max"},
    "occurred_at": "2026-03-02T10:00:00+00:00",
    "recorded_at": "2026-03-02T12:00:00+00:00",
    "sentence": {"de": "eva zugewiesen", "en": "Assigned to eva"},
    "changes": [{"field": "ownership.owner", "before": None, "after": "eva"}],
    "unseen": [1],
}
RESULT = {
    "holds": False,
    "records": 5,
    "partitions": 3,
    "events": 4,
    "cases": 1,
    "bytes": 900,
    "seconds": 0.1,
    "findings_total": 120,
    "findings": [{"text": f"altered: case {n}"} for n in range(110)],
}


def test_a_day_alone_is_its_first_moment() -> None:
    assert instant("2026-03-02") == "2026-03-02T00:00:00+00:00"
    assert instant("2026-03-02T12:00:00+01:00") == "2026-03-02T12:00:00+01:00"
    assert instant(None) is None


def test_what_is_no_instant_is_wrong_use() -> None:
    with pytest.raises(WrongUse):
        instant("gestern")


def test_a_step_says_who_for_whom_when_and_what_was_not_known() -> None:
    head, told, change, unseen = step_lines(STEP)
    assert "occurred 2026-03-02T10:00:00+00:00" in head
    assert head.endswith("eva (OWN, human) for max")
    assert told.strip() == "eva zugewiesen  |  Assigned to eva"
    assert change.strip() == "ownership.owner: – → eva"
    assert unseen.strip() == "decided without knowing of event 1"


def test_a_state_says_of_which_instant_it_is() -> None:
    told = {
        "case": "c",
        "as_known_at": "2026-03-02",
        "counted": 1,
        "events": 3,
        "state": {"course.open": True, "record.wish": ["refund", "apology"]},
        "parked": "forked",
        "unreadable": None,
    }
    assert state_lines(told) == [
        "case c, as known at 2026-03-02: 1 of 3 events",
        "  course.open: yes",
        "  record.wish: refund, apology",
        "  parked: forked",
    ]


def test_a_verification_that_does_not_hold_lists_what_people_can_read() -> None:
    lines = audit.told(RESULT)
    assert lines[1] == "The ledger does NOT hold: 120 findings"
    assert len(lines) == 2 + audit.SHOWN + 1
    assert lines[-1].startswith("... and 20 more")


def test_a_verification_that_holds_says_so() -> None:
    assert audit.told({**RESULT, "holds": True})[1].startswith("The ledger holds")


def _lines(*said: Mapping[str, object]) -> Iterator[dict[str, object]]:
    return iter(json.loads(json.dumps(said)))


def test_the_last_line_is_the_result() -> None:
    progress = {"progress": {"records": 1, "of": 2, "findings": 0}}
    assert audit.followed(_lines(progress, {"result": {"holds": True}})) == {"holds": True}


@pytest.mark.parametrize("said", [[{"error": "TimeoutError"}], []])
def test_a_verification_that_broke_off_proves_nothing(said: list[dict[str, object]]) -> None:
    with pytest.raises(NotRunning):
        audit.followed(_lines(*said))
