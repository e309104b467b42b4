"""Deadlines count from the event that gave rise to them; reminders and escalations come once each."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.processing.domain.decisions.minding_clocks import Escalate, Remind, StartClock
from services.processing.domain.occasion import Rules
from shared.schemas.base import Dated, Event
from shared.schemas.codes import ClockName, Urgency
from shared.schemas.processing import ClockStarted, ComplaintEscalated, ReminderSent
from shared.schemas.refused import Refused
from tests.unit.processing.stories import (
    SYS,
    adopted,
    classified,
    closed,
    final_clock,
    given,
    in_hand,
    kept,
    received,
    reopened,
)
from tests.unit.specification import NOON, Written

ACKNOWLEDGE, ANSWER = StartClock(ClockName.ACKNOWLEDGEMENT), StartClock(ClockName.FINAL_ANSWER)
reminded = ReminderSent(clock=ClockName.FINAL_ANSWER, owner="eva")
escalated = ComplaintEscalated(clock=ClockName.FINAL_ANSWER, level=1)


def decided(command: StartClock, *history: Event | Written) -> ClockStarted:
    (started,) = given(*history).when(command, SYS)
    assert isinstance(started, ClockStarted)
    return started


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC)


def test_friday_evenings_email_is_to_be_acknowledged_by_wednesday() -> None:
    friday = Written(received, at("2025-12-19T18:30+01:00"))
    started = decided(ACKNOWLEDGE, friday)
    assert started.started_at == friday.time
    assert started.due == at("2025-12-24T23:59:59.999999+01:00")
    assert (started.target, started.calendar_version, started.round) == (2, "business-days-1", 1)


def test_a_letter_that_was_keyed_late_may_be_overdue_from_the_start() -> None:
    monday, thursday = at("2026-03-02T09:00+01:00"), at("2026-03-05T09:00+01:00")
    assert decided(ACKNOWLEDGE, Written(Dated(received, monday), thursday)).due < thursday


@pytest.mark.parametrize(
    ("urgency", "days"), [(Urgency.P1, 2), (Urgency.P2, 5), (Urgency.P3, 10), (Urgency.P4, 15)]
)
def test_the_final_answer_is_due_by_urgency(urgency: Urgency, days: int) -> None:
    started = decided(ANSWER, received, classified.model_copy(update={"urgency": urgency}))
    assert started.target == days
    assert started.started_at == NOON + timedelta(minutes=1)


def test_the_reminder_comes_when_four_fifths_of_the_business_days_are_over() -> None:
    assert decided(ANSWER, received, classified).warn_at == at("2026-03-12T23:59:59.999999+01:00")


def test_without_an_urgency_there_is_no_deadline_for_the_answer_yet() -> None:
    assert given(received).when(ANSWER, SYS) == []


def test_the_deadlines_of_an_adopted_case_count_from_the_adoption() -> None:
    history = (kept, classified, Written(adopted, NOON + timedelta(days=7)))
    for command in (ACKNOWLEDGE, ANSWER):
        assert decided(command, *history).started_at == NOON + timedelta(days=7)


def test_a_reopened_case_gets_a_new_deadline_for_its_answer_and_no_new_acknowledgement() -> None:
    history = (*in_hand, final_clock, closed, Written(reopened, NOON + timedelta(days=30)))
    started = decided(ANSWER, *history)
    assert (started.round, started.started_at) == (2, NOON + timedelta(days=30))
    assert given(*history).when(ACKNOWLEDGE, SYS) == []


@pytest.mark.parametrize(
    "history", [(received, classified, final_clock), (kept, classified), (*in_hand, closed)]
)
def test_a_clock_that_runs_or_has_no_reason_to_is_not_started(history: tuple[Event, ...]) -> None:
    assert given(*history).when(ANSWER, SYS) == []


def test_a_running_clock_keeps_its_target_when_the_rules_change() -> None:
    new = replace(SYS, rules=Rules("2", (), SYS.rules.calendar))
    assert given(received, classified, final_clock).when(ANSWER, new) == []


def test_rules_without_a_target_say_so() -> None:
    new = replace(SYS, rules=Rules("2", (), SYS.rules.calendar))
    with pytest.raises(Refused, match="deadline policy") as refused:
        given(received, classified).when(ANSWER, new)
    assert refused.value.code == "no-target"


def test_the_owner_is_reminded_once() -> None:
    assert given(*in_hand, final_clock).when(Remind(ClockName.FINAL_ANSWER), SYS) == [reminded]
    assert given(*in_hand, final_clock, reminded).when(Remind(ClockName.FINAL_ANSWER), SYS) == []


def test_a_missed_deadline_is_escalated_once_and_stays_where_it_was() -> None:
    assert given(*in_hand, final_clock).when(Escalate(ClockName.FINAL_ANSWER), SYS) == [escalated]
    after = given(*in_hand, final_clock, escalated)
    assert after.when(Escalate(ClockName.FINAL_ANSWER), SYS) == []
    assert after.case.clocks[ClockName.FINAL_ANSWER].due == final_clock.due


@pytest.mark.parametrize("command", [Remind(ClockName.FINAL_ANSWER), Escalate(ClockName.FINAL_ANSWER)])
def test_nothing_is_said_before_its_time(command: Remind | Escalate) -> None:
    with pytest.raises(Refused) as refused:
        given(*in_hand, final_clock).when(command, replace(SYS, now=NOON))
    assert refused.value.code == "not-due"


@pytest.mark.parametrize("command", [Remind(ClockName.FINAL_ANSWER), Escalate(ClockName.FINAL_ANSWER)])
def test_a_closed_case_is_neither_reminded_of_nor_escalated(command: Remind | Escalate) -> None:
    assert given(*in_hand, final_clock, closed).when(command, SYS) == []
