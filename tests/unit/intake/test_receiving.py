"""A complaint is accepted at once; what its record lacks is named, not asked for first."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.intake.domain.decisions.occasion import Occasion
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.decisions.telling import Fact
from shared.schemas.base import Dated
from shared.schemas.codes import FactKind, Origin, Urgency, Wish
from shared.schemas.intake import (
    ComplaintClassified,
    ComplaintReceived,
    ComplaintRegistered,
    UpstreamFactReceived,
)
from shared.schemas.privacy import Clear
from tests.unit.intake.stories import CRM, INA, LATE, NUMBER, SUBJECT, events_of, given, parcel
from tests.unit.specification import NOON


def received(command: Receive) -> ComplaintReceived:
    event = events_of(given().when(command, CRM))[0]
    assert isinstance(event, ComplaintReceived)
    return event


def registered(command: Receive) -> ComplaintRegistered:
    event = events_of(given().when(command, CRM))[1]
    assert isinstance(event, ComplaintRegistered)
    return event


def test_a_complaint_is_received_registered_and_classified_in_one_step() -> None:
    first, second, third = given().when(parcel, CRM)
    assert isinstance(first, Dated)
    assert first.occurred_at == NOON
    assert isinstance(first.event, ComplaintReceived)
    assert (first.event.case_number, first.event.subject_id) == (NUMBER, SUBJECT)
    assert first.event.name == Clear(text="Erika Muster")
    assert isinstance(second, ComplaintRegistered)
    assert second.items[0].narrative == Clear(text="Das Paket kam drei Wochen zu spät.")
    assert second.gaps == []
    assert third == ComplaintClassified(
        item=1, category=["delivery", "late"], scheme_version="1", urgency=Urgency.P4
    )


def test_the_date_of_receipt_is_that_of_the_complaints_zone() -> None:
    night = replace(parcel, occurred_at=datetime(2026, 3, 28, 23, 30, tzinfo=UTC))
    assert received(night).received_on == date(2026, 3, 29)
    assert received(replace(night, time_zone="America/New_York")).received_on == date(2026, 3, 28)


def test_a_complaint_without_a_moment_is_received_now() -> None:
    first = given().when(replace(parcel, occurred_at=None), CRM)[0]
    assert isinstance(first, Dated)
    assert first.occurred_at == CRM.now


def test_nothing_is_received_in_the_future() -> None:
    with pytest.raises(FieldRefused, match="future") as refusal:
        given().when(replace(parcel, occurred_at=CRM.now + timedelta(seconds=1)), CRM)
    assert refusal.value.field == "occurred_at"


def test_no_fact_is_told_from_the_future() -> None:
    tomorrow = Fact(FactKind.CLOSED, occurred_at=CRM.now + timedelta(days=1))
    with pytest.raises(FieldRefused) as refusal:
        given().when(replace(parcel, facts=(Fact(FactKind.ANSWERED), tomorrow)), CRM)
    assert refusal.value.field == "facts.1.occurred_at"


def test_what_is_missing_is_named_and_refuses_nothing() -> None:
    bare = Receive(
        origin=Origin.LIVE,
        channel=parcel.channel,
        language="de",
        time_zone="Europe/Berlin",
        entity="default",
    )
    assert registered(bare).gaps == ["complainant", "narrative", "product"]
    assert len(given().when(bare, CRM)) == 2


def test_a_wish_that_is_not_stated_is_a_wish_and_no_gap() -> None:
    assert registered(parcel).wish == [Wish.NOT_STATED]
    assert registered(replace(parcel, wish=(Wish.REFUND,))).wish == [Wish.REFUND]


def test_an_unknown_category_is_a_gap_and_no_refusal() -> None:
    odd = replace(parcel, category=("delivery", "by-pigeon"))
    assert registered(odd).gaps == ["category"]
    assert len(given().when(odd, CRM)) == 2


@pytest.mark.parametrize(
    ("known_by", "contactable"),
    [
        ({"name": "Erika"}, False),
        ({"email": "e@example.org"}, True),
        ({"phone": "1"}, True),
        ({"customer_number": "1"}, True),
    ],
)
def test_a_complainant_can_be_answered_by_what_reaches_them(
    known_by: dict[str, str], contactable: bool
) -> None:
    anonymous = replace(parcel, name=None, email=None)
    assert received(replace(anonymous, **known_by)).contactable is contactable  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("origin", "by", "receiver"),
    [(Origin.LIVE, INA, "ina"), (Origin.LIVE, CRM, None), (Origin.HISTORY, INA, None)],
)
def test_only_a_person_who_takes_a_complaint_receives_it(
    origin: Origin, by: Occasion, receiver: str | None
) -> None:
    first = events_of(given().when(replace(parcel, origin=origin), by))[0]
    assert isinstance(first, ComplaintReceived)
    assert first.receiver == receiver


@pytest.mark.parametrize(
    ("category", "severity", "annoyance", "urgency"),
    [
        (("safety", "injury"), None, None, Urgency.P1),
        (("safety",), 1, 1, Urgency.P1),
        (LATE, 4, None, Urgency.P2),
        (LATE, None, 5, Urgency.P2),
        (LATE, 3, 4, Urgency.P3),
        (LATE, 2, 1, Urgency.P4),
        (LATE, None, None, Urgency.P4),
    ],
)
def test_urgency_follows_from_danger_severity_and_annoyance(
    category: tuple[str, ...], severity: int | None, annoyance: int | None, urgency: Urgency
) -> None:
    command = replace(parcel, category=category, severity=severity, annoyance=annoyance)
    classified = events_of(given().when(command, CRM))[2]
    assert isinstance(classified, ComplaintClassified)
    assert classified.urgency is urgency


def test_each_fact_that_comes_along_is_an_event_at_its_own_moment() -> None:
    sent, closed = NOON + timedelta(days=1), NOON + timedelta(days=2)
    facts = (
        Fact(FactKind.FORWARDED, occurred_at=sent),
        Fact(FactKind.CLOSED, "Closed with explanation", True, closed, stated=False),
    )
    *_, first, second = given().when(replace(parcel, facts=facts), CRM)
    assert first == Dated(UpstreamFactReceived(kind=FactKind.FORWARDED, source_system="shop"), sent)
    label = "Closed with explanation"
    assert second == Dated(
        UpstreamFactReceived(
            kind=FactKind.CLOSED, source_system="shop", label=label, timely=True, stated=False
        ),
        closed,
    )


def test_no_personal_text_shows_where_a_command_is_printed() -> None:
    assert "Erika" not in repr(parcel)
    assert "Paket" not in repr(parcel)
