"""Upstream systems tell later facts; whoever owns the fact here decides what follows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.decisions.telling import Fact, RecordFact
from shared.schemas.base import Dated
from shared.schemas.codes import FactKind
from shared.schemas.intake import UpstreamFactReceived
from shared.schemas.refused import Refused
from tests.unit.intake.stories import CRM, Log, given, parcel
from tests.unit.specification import NOON

MOMENT = NOON + timedelta(days=2)
answered = RecordFact("shop", Fact(FactKind.ANSWERED, "explained", True, MOMENT))


def received() -> Log:
    log = Log()
    log.when(parcel)
    return log


def without_moment(label: str) -> RecordFact:
    return RecordFact("shop", Fact(FactKind.ANSWERED, label))


def test_a_fact_is_recorded_at_the_moment_that_its_source_names() -> None:
    log = received()
    assert log.when(answered) == [
        UpstreamFactReceived(
            kind=FactKind.ANSWERED, source_system="shop", label="explained", timely=True, stated=True
        )
    ]
    assert log.history[-1].occurred_at == MOMENT


def test_a_fact_without_a_moment_is_of_now_and_says_so() -> None:
    log = received()
    (event,) = log.when(without_moment("explained"))
    assert isinstance(event, UpstreamFactReceived)
    assert not event.stated
    assert log.history[-1].occurred_at == CRM.now


def test_a_fact_that_is_told_again_is_known() -> None:
    log = received()
    log.when(answered)
    log.when(replace(answered, fact=replace(answered.fact, label="paid")))
    assert log.when(answered) == []


def test_without_moments_only_the_last_word_is_known() -> None:
    log = received()
    log.when(without_moment("explained"))
    assert log.when(without_moment("explained")) == []
    log.when(without_moment("paid"))
    assert len(log.when(without_moment("explained"))) == 1


def test_a_fact_from_the_future_is_refused() -> None:
    future = replace(answered, fact=replace(answered.fact, occurred_at=CRM.now + timedelta(seconds=1)))
    with pytest.raises(FieldRefused) as refusal:
        received().when(future)
    assert (refusal.value.field, refusal.value.code) == ("occurred_at", "in-the-future")


def test_a_fact_about_an_unknown_complaint_is_refused() -> None:
    with pytest.raises(Refused, match="before its facts"):
        given().when(answered, CRM)


def test_a_fact_is_decided_with_its_moment() -> None:
    log = received()
    (decided,) = given(*(recorded.event for recorded in log.history)).when(answered, CRM)
    assert isinstance(decided, Dated)
    assert decided.occurred_at == MOMENT
