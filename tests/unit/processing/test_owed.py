"""What handling owes a case follows from its state, whatever came first."""

from datetime import timedelta
from itertools import permutations

import pytest

from services.processing.domain.decisions import decide
from services.processing.domain.owed import Owed, owed
from shared.case import Case
from shared.schemas.base import Dated, Decided
from shared.schemas.codes import ClockName, ClosingReason, FactKind, ReopeningReason
from shared.schemas.processing import ComplaintClosed, ComplaintReopened, ReminderSent
from tests.unit.processing.stories import (
    SYS,
    adopted,
    classified,
    closed,
    disputed,
    final_clock,
    in_hand,
    kept,
    received,
    reopened,
    told,
)
from tests.unit.specification import NOON, Written, case_of, event_id

BOTH_ORDERS = list(permutations([disputed, closed]))


def listed(*history: Decided | Written) -> list[tuple[str, str]]:
    return [(work.what, work.cause) for work in owed(case_of(*history))]


def cause(n: int) -> str:
    return str(event_id(n))


def granted(work: Owed, case: Case) -> list[Decided]:
    return decide(work.command, case, SYS)


def test_what_has_not_been_received_owes_nothing_whatever_else_is_told_of_it() -> None:
    assert listed(adopted, disputed, closed) == []


def test_a_received_complaint_owes_the_start_of_its_acknowledgement_clock() -> None:
    assert listed(received) == [("acknowledgement-clock", cause(1))]


def test_a_classified_one_also_that_of_its_final_answer() -> None:
    assert listed(received, classified) == [
        ("acknowledgement-clock", cause(1)),
        ("final-answer-clock", cause(1)),
    ]


def test_work_to_be_done_at_once_is_due_when_all_it_rests_on_is_recorded() -> None:
    early, late = NOON, NOON + timedelta(hours=5)
    acknowledgement, answer = owed(case_of(Written(received, early), Written(classified, late)))
    assert (acknowledgement.due, answer.due) == (early, late)


def test_a_running_clock_owes_a_reminder_and_an_escalation() -> None:
    steps = [work for work in owed(case_of(*in_hand, final_clock)) if work.cause == cause(5)]
    assert [(step.what, step.due) for step in steps] == [
        ("reminder", final_clock.warn_at),
        ("escalation", final_clock.due),
    ]


def test_a_reopened_case_owes_a_new_clock_and_then_new_steps() -> None:
    history = (*in_hand, final_clock, ReminderSent(clock=ClockName.FINAL_ANSWER), closed, reopened)
    assert listed(*history) == [("final-answer-clock", cause(8))]
    again = final_clock.model_copy(update={"round": 2})
    assert listed(*history, again) == [("reminder", cause(9)), ("escalation", cause(9))]


def test_a_closed_case_owes_nothing() -> None:
    assert listed(*in_hand, final_clock, closed) == []


@pytest.mark.parametrize(
    "history", [(kept, classified), (kept, classified, disputed), (kept, classified, disputed, closed)]
)
def test_a_case_of_history_owes_nothing_to_anybody(history: tuple[Decided, ...]) -> None:
    assert listed(*history) == []


def test_an_adopted_one_owes_its_clocks_because_of_the_adoption() -> None:
    assert listed(kept, classified, adopted) == [
        ("acknowledgement-clock", cause(3)),
        ("final-answer-clock", cause(3)),
    ]


def test_a_closing_told_by_the_source_is_to_be_placed() -> None:
    assert listed(kept, told(FactKind.CLOSED, NOON + timedelta(days=1))) == [("closing-by-source", cause(2))]


def test_one_that_is_out_of_order_is_not() -> None:
    assert listed(kept, told(FactKind.CLOSED, NOON - timedelta(days=1))) == []


@pytest.mark.parametrize("pair", BOTH_ORDERS)
def test_a_closing_and_an_objection_that_missed_each_other_wake_the_case(pair: tuple[Decided, ...]) -> None:
    case = case_of(*in_hand, *pair)
    objection = event_id(5 + pair.index(disputed))
    (repair,) = owed(case)
    assert (repair.what, repair.cause) == ("reopening", str(objection))
    assert granted(repair, case) == [
        ComplaintReopened(reason=ReopeningReason.LATE_FACT, number=1, fact=objection)
    ]


@pytest.mark.parametrize("pair", BOTH_ORDERS)
def test_whichever_came_first_the_case_is_open_with_its_objection_and_a_new_deadline(
    pair: tuple[Decided, ...],
) -> None:
    history = (*in_hand, final_clock, *pair)
    (repair,) = owed(case_of(*history))
    history = (*history, *granted(repair, case_of(*history)))
    case = case_of(*history)
    assert case.course.open
    assert len(case.objections.open) == 1
    assert listed(*history) == [("final-answer-clock", cause(8))]


SOURCE_CLOSED = told(FactKind.CLOSED, NOON + timedelta(days=1))
by_source = ComplaintClosed(reason=ClosingReason.BY_SOURCE, fact=event_id(3))


@pytest.mark.parametrize(
    "history",
    [
        (kept, classified, SOURCE_CLOSED, adopted),
        (kept, classified, adopted, SOURCE_CLOSED),
        (kept, classified, SOURCE_CLOSED, Dated(by_source, SOURCE_CLOSED.occurred_at), adopted),
    ],
    ids=["told, then adopted", "adopted, then told", "told, placed, then adopted"],
)
def test_an_adopted_case_stays_open_whenever_its_source_told_of_the_closing(
    history: tuple[Decided, ...],
) -> None:
    case = case_of(*history)
    assert case.course.open
    assert [work.what for work in owed(case)] == ["acknowledgement-clock", "final-answer-clock"]
