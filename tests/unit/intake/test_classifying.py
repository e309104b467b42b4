"""A complaint has its place in the category scheme, and its urgency from there."""

from dataclasses import replace

import pytest

from services.intake.domain.decisions.classifying import Classify
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.defaults import category_scheme
from services.intake.domain.scheme import SAFETY, Scheme, scheme_of
from shared.schemas.codes import ClosingReason, Origin, Urgency
from shared.schemas.intake import ComplaintClassified
from shared.schemas.processing import ComplaintClosed
from shared.schemas.refused import Refused
from tests.unit.intake.stories import CRM, INA, LATE, Log, given, parcel

closed = ComplaintClosed(reason=ClosingReason.RESOLVED)


def received(origin: Origin = Origin.LIVE) -> Log:
    log = Log()
    log.when(replace(parcel, origin=origin, annoyance=2))
    return log


def test_a_category_of_the_scheme_in_force_is_taken() -> None:
    assert received().when(Classify(("goods", "defect"), severity=4), INA) == [
        ComplaintClassified(
            item=1, category=["goods", "defect"], scheme_version="1", severity=4, urgency=Urgency.P2
        )
    ]


def test_annoyance_at_receipt_counts_for_every_later_classification() -> None:
    log = Log()
    log.when(replace(parcel, annoyance=5))
    (event,) = log.when(Classify(("goods",)), INA)
    assert isinstance(event, ComplaintClassified)
    assert event.urgency is Urgency.P2


def test_classifying_alike_is_nothing_new() -> None:
    assert received().when(Classify(LATE), INA) == []


def test_the_same_category_under_a_new_scheme_is_said_again() -> None:
    newer = replace(INA, scheme=Scheme("2", frozenset({LATE})))
    assert len(received().when(Classify(LATE), newer)) == 1


def test_a_category_that_the_scheme_does_not_have_is_refused() -> None:
    with pytest.raises(FieldRefused) as refusal:
        received().when(Classify(("delivery", "by-pigeon")), INA)
    assert (refusal.value.field, refusal.value.code) == ("category", "unknown-category")


def test_an_unknown_complaint_is_not_classified() -> None:
    with pytest.raises(Refused, match="no such complaint"):
        given().when(Classify(LATE), INA)


def test_a_closed_case_of_ours_is_not_classified() -> None:
    log = received()
    log.write([closed])
    with pytest.raises(Refused, match="reopen"):
        log.when(Classify(("goods",)), INA)


def test_closed_history_can_be_put_in_order() -> None:
    log = received(Origin.HISTORY)
    log.write([closed], CRM)
    assert len(log.when(Classify(("goods",)), INA)) == 1


def test_the_shipped_scheme_has_every_path_once_with_both_names_and_every_parent() -> None:
    published = category_scheme()
    paths = [tuple(category.path) for category in published.categories]
    assert len(paths) == len(set(paths))
    assert {path[:1] for path in paths} <= set(paths)
    assert all(category.german and category.english for category in published.categories)
    assert scheme_of(published).knows((SAFETY,))
