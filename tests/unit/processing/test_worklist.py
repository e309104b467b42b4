"""The worklist shows of each case what its folds say, wherever the batches are cut."""

from datetime import UTC, datetime

from hypothesis import given as forall
from hypothesis import strategies as st

from services.processing.projections.worklist import Row, fold
from shared.case.clocks import escalation_level, next_due
from shared.case.course import Stage
from shared.case.ownership import Handling, owner_of
from shared.case.record import Record
from shared.schemas.base import Decided
from shared.schemas.codes import ClockName, Urgency
from shared.schemas.intake import ComplaintReceived
from shared.schemas.processing import ComplaintEscalated
from tests.unit.processing.stories import (
    adopted,
    assigned,
    classified,
    closed,
    declined,
    final_clock,
    in_hand,
    kept,
    received,
    reopened,
)
from tests.unit.specification import CASE, Written, any_history, case_of, recorded


def row_of(*history: Decided | Written) -> Row:
    (row,) = fold((), recorded(history))
    return row


def test_a_received_complaint_waits_for_an_owner() -> None:
    row = row_of(received, classified)
    assert (row.stage, row.urgency, row.owner, row.unit) == (Stage.CLASSIFIED, Urgency.P3, None, "claims")


def test_a_case_in_hand_shows_its_owner_and_what_is_due_next() -> None:
    row = row_of(*in_hand, final_clock)
    assert (row.owner, row.started, row.next_due) == ("eva", True, final_clock.due)
    earlier = datetime(2026, 3, 5, tzinfo=UTC)
    first = final_clock.model_copy(update={"clock": ClockName.ACKNOWLEDGEMENT, "due": earlier})
    assert row_of(*in_hand, final_clock, first).next_due == earlier


def test_a_declined_case_has_no_owner() -> None:
    assert row_of(received, classified, assigned, declined).owner is None


def test_a_closed_case_has_nothing_due_and_a_reopened_one_only_its_new_clock() -> None:
    assert row_of(*in_hand, final_clock, closed).next_due is None
    assert row_of(*in_hand, final_clock, closed, reopened).next_due is None
    assert row_of(*in_hand, final_clock, closed, reopened, final_clock).next_due == final_clock.due


def test_an_escalation_is_seen() -> None:
    escalated = ComplaintEscalated(clock=ClockName.FINAL_ANSWER, level=1)
    assert row_of(*in_hand, final_clock, escalated).escalation_level == 1


def test_a_case_of_history_is_ours_once_it_is_adopted() -> None:
    assert not row_of(kept, classified).ours
    assert row_of(kept, classified, adopted).ours


def test_no_events_change_nothing() -> None:
    assert fold((), []) == ()
    assert fold((Row(CASE),), []) == (Row(CASE),)


@forall(st.sampled_from([received, kept]), any_history, st.integers(0, 12))
def test_the_row_says_what_the_case_says_however_the_batches_are_cut(
    first: ComplaintReceived, later: list[Written], cut: int
) -> None:
    history = recorded([first, *(one for one in later if not _received(one))])
    (row,) = fold(fold((), history[:cut]), history[cut:])
    case = case_of(first, *(one for one in later if not _received(one)))
    assert isinstance(case.record, Record)
    seen = case.record.classification
    assert row == fold((), history)[0]
    assert (row.ours, row.stage, row.reopened) == (
        case.provenance.ours,
        case.course.stage,
        case.course.reopened,
    )
    assert (row.owner, row.started) == (owner_of(case.ownership), isinstance(case.ownership, Handling))
    assert (row.next_due, row.escalation_level) == (next_due(case.clocks), escalation_level(case.clocks))
    assert (row.received_on, row.urgency) == (case.record.received_on, seen and seen.urgency)


def _received(one: Written) -> bool:
    return recorded([one])[0].type == ComplaintReceived.type
