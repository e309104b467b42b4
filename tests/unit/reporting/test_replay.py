"""The replay of a case: at any instant, step by step, and which event gave a field its value."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporting.domain.flattening import changes, flat
from services.reporting.domain.replay import (
    Instant,
    UnknownField,
    as_known_at,
    as_of,
    at_instant,
    difference,
    explain,
    known_at,
    state,
    steps,
)
from services.reporting.domain.sentences import SENTENCES, sentence
from shared.case import fold
from shared.schemas.base import Dated
from shared.schemas.catalogue import CATALOGUE
from shared.schemas.codes import Channel, ClockName, ClosingReason, Origin
from shared.schemas.intake import ComplaintDataCorrected, ComplaintReceived
from shared.schemas.processing import ClockStarted, ComplaintAssigned, ComplaintClosed, HandlingStarted
from shared.schemas.retired import UPCASTERS
from tests.unit.specification import EVENTS, NOON, Written, any_history, moments, recorded

FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)

received = ComplaintReceived(
    case_number="2026-ABCDEFGH-1",
    origin=Origin.LIVE,
    channel=Channel.LETTER,
    language="de",
    time_zone="Europe/Berlin",
    received_on=date(2026, 3, 2),
    entity="default",
    subject_id=UUID(int=77),
    contactable=True,
)
corrected = ComplaintDataCorrected(fields=["channel"], reason="typing-error", channel=Channel.FAX)
assigned = ComplaintAssigned(owner="eva", unit="claims")
started = HandlingStarted(owner="eva")
closed = ComplaintClosed(reason=ClosingReason.RESOLVED)
clock = ClockStarted(
    clock=ClockName.FINAL_ANSWER,
    started_at=NOON,
    due=NOON + timedelta(days=10),
    warn_at=NOON + timedelta(days=8),
    target=10,
    calendar_version="1",
)


def at_minute(minute: int, event: object, happened_at: int | None = None) -> Written:
    time = NOON + timedelta(minutes=minute)
    happened = time if happened_at is None else NOON + timedelta(minutes=happened_at)
    return Written(Dated(event, happened), time)  # type: ignore[arg-type]


@given(any_history)
def test_at_the_end_of_time_both_views_are_the_present(happened: list[Written]) -> None:
    history = recorded(happened)
    now = max((one.time for one in history), default=FOR_EVER)

    for at in (now, FOR_EVER):
        assert fold(as_of(history, at)) == fold(history)
        assert fold(as_known_at(history, at)) == fold(history)
        assert fold(at_instant(history, Instant(at, at))) == fold(history)


@given(any_history, moments)
def test_what_was_known_at_any_instant_is_a_prefix(happened: list[Written], at: datetime) -> None:
    history = recorded(happened)
    known = as_known_at(history, at)

    assert list(known) == history[: len(known)]
    assert all(one.time <= at for one in known)
    assert len(known) == len(history) or history[len(known)].time > at


@given(any_history, moments)
def test_what_had_happened_keeps_the_accepted_order(happened: list[Written], at: datetime) -> None:
    history = recorded(happened)
    held = [one for one in history if one.occurred_at <= at]
    assert list(as_of(history, at)) == held


@given(any_history)
def test_the_changes_of_all_steps_lead_from_nothing_to_the_present(happened: list[Written]) -> None:
    history = recorded(happened)
    fields = flat(fold([]))
    for step in steps(history):
        for change in step.changes:
            assert fields.get(change.field) == change.before
            fields[change.field] = change.after

    assert {name: value for name, value in fields.items() if value is not None} == {
        name: value for name, value in state(history, Instant()).items() if value is not None
    }


@given(any_history, st.data())
def test_an_explanation_names_the_last_event_that_changed_the_field(
    happened: list[Written], data: st.DataObject
) -> None:
    history = recorded(happened)
    fields = flat(fold(history))
    field = data.draw(st.sampled_from(sorted(fields)))

    told = explain(history, field)

    assert told.value == fields[field]
    number = told.step.number if told.step else 0
    for later in range(number, len(history) + 1):
        assert flat(fold(history[:later])).get(field) == fields[field]
    if number:
        assert flat(fold(history[: number - 1])).get(field) != fields[field]


@given(any_history, moments, moments)
def test_a_difference_leads_from_the_one_instant_to_the_other(
    happened: list[Written], one: datetime, other: datetime
) -> None:
    history = recorded(happened)
    found = difference(history, Instant(as_known_at=one), Instant(as_known_at=other))
    before, after = fold(as_known_at(history, one)), fold(as_known_at(history, other))

    assert found == changes(before, after)
    assert bool(found) == (flat(before) != flat(after))


def test_a_late_entry_is_known_later_than_it_happened() -> None:
    history = recorded([at_minute(10, received, happened_at=0), at_minute(20, assigned, happened_at=5)])

    known = Instant(as_known_at=NOON + timedelta(minutes=15))
    happened = Instant(as_of=NOON + timedelta(minutes=5))
    assert state(history, known).get("ownership.owner") is None
    assert state(history, happened)["ownership.owner"] == "eva"


def test_an_event_is_known_no_earlier_than_what_stands_before_it() -> None:
    history = recorded([at_minute(10, received), at_minute(4, assigned)])
    assert known_at(history) == [NOON + timedelta(minutes=10)] * 2


def test_each_step_says_what_the_event_changed() -> None:
    _, second, third = steps(recorded([received, assigned, started]))

    assert {(one.field, one.before, one.after) for one in second.changes} == {
        ("course.stage", "received", "assigned"),
        ("ownership.is", "nobody", "assigned"),
        ("ownership.owner", None, "eva"),
        ("ownership.unit", None, "claims"),
    }
    assert {one.field for one in third.changes} == {"course.stage", "ownership.is", "ownership.declined"}
    assert second.sentence.german == "eva (claims) zugewiesen"
    assert second.sentence.english == "Assigned to eva (claims)"


def test_a_step_says_what_its_decision_knew_and_what_it_did_not() -> None:
    history = recorded([received, corrected, assigned])
    history[2] = replace(history[2], seen="intake:1")

    step = list(steps(history))[2]

    assert step.seen == {"intake": 1}
    assert step.unseen == (2,)


def test_a_corrected_field_is_explained_by_its_correction() -> None:
    told = explain(recorded([received, assigned, corrected]), "record.channel")

    assert (told.value, told.before, told.times) == ("fax", "letter", 2)
    assert told.step is not None
    assert (told.step.number, told.step.recorded.actor.id) == (3, "eva")


def test_the_due_moment_of_a_clock_is_explained_by_its_start() -> None:
    history = recorded([received, clock, closed])
    assert explain(history, "clocks.final-answer.due").value == clock.due
    result = explain(history, "clocks.final-answer.result")
    assert (result.value, result.step and result.step.number) == ("met", 3)


def test_a_field_that_is_gone_is_explained_by_what_took_it_away() -> None:
    told = explain(recorded([received, assigned, started]), "ownership.declined")
    assert (told.value, told.before, told.step and told.step.number) == (None, 0, 3)


def test_a_field_that_no_event_touched_is_as_every_case_begins() -> None:
    told = explain(recorded([received]), "course.reopened")
    assert (told.value, told.step, told.times) == (0, None, 0)


def test_an_unknown_field_lists_those_that_there_are() -> None:
    with pytest.raises(UnknownField) as refused:
        explain(recorded([received]), "record.chanel")
    assert "record.channel" in refused.value.known
    assert "course.stage" in refused.value.known


def test_every_event_of_a_case_has_a_sentence_in_both_languages() -> None:
    current = {
        entry.event for entry in CATALOGUE.values() if entry.topic == "cases" and entry.event not in UPCASTERS
    }
    assert set(SENTENCES) == current


@given(st.one_of(*EVENTS.values()))
def test_no_sentence_fails_or_holds_personal_text(event: object) -> None:
    for text in sentence(event):  # type: ignore[arg-type]
        assert text
        assert "nonce" not in text
