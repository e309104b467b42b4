"""The same reference again: known, or a change that is named."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.intake.domain.decisions.classifying import Classify
from services.intake.domain.decisions.erasing import OrderErasure
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.receiving_again import changes
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.decisions.telling import Fact
from shared.case.record import Record
from shared.schemas.base import Event
from shared.schemas.codes import Channel, ErasureBasis, FactKind, Origin, Wish
from shared.schemas.intake import (
    ComplaintClassified,
    ComplaintDataCorrected,
    ErasureOrdered,
    PersonalDataErased,
    UpstreamFactReceived,
)
from shared.schemas.privacy import Clear, DataGroup
from tests.unit.intake.stories import CRM, INA, Log, parcel
from tests.unit.specification import NOON

ANSWERED = Fact(FactKind.ANSWERED, "explained", True, NOON + timedelta(days=2))
CLOSED = Fact(FactKind.CLOSED, "explained", None, NOON + timedelta(days=3), stated=False)
told_all = replace(parcel, severity=3, wish=(Wish.REFUND,), facts=(ANSWERED, CLOSED))


def log(*commands: Receive) -> Log:
    made = Log()
    for command in commands or (told_all,):
        made.when(command)
    return made


def record(made: Log) -> Record:
    assert isinstance(made.case.record, Record)
    return made.case.record


def test_the_same_content_again_is_known() -> None:
    assert log().when(told_all) == []


def test_the_same_content_at_a_later_import_is_known() -> None:
    later = replace(CRM, now=CRM.now + timedelta(days=100))
    assert log().when(replace(told_all, origin=Origin.HISTORY, occurred_at=None), later) == []


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"channel": Channel.PHONE}, ["channel"]),
    ({"occurred_at": NOON + timedelta(days=1)}, ["received_on"]),
    ({"product": "letter"}, ["product"]),
    ({"product": None}, ["product"]),
    ({"sub_product": "express"}, ["sub_product"]),
    ({"wish": (Wish.APOLOGY,)}, ["wish"]),
    ({"wish": ()}, ["wish"]),
    ({"category": ("delivery", "damaged")}, ["category"]),
    ({"category": None}, ["category"]),
    ({"severity": 4}, ["severity"]),
    ({"name": "Erika Mustermann"}, ["name"]),
    ({"email": None}, ["email"]),
    ({"phone": "030 1"}, ["phone"]),
    ({"customer_number": "K-1"}, ["customer_number"]),
    ({"narrative": "Es kam nie."}, ["narrative"]),
    ({"details": {"order": "A-18"}}, ["order"]),
    ({"details": {}}, ["order"]),
    ({"details": {"order": "A-17", "state": "BE"}}, ["state"]),
    ({"facts": (replace(ANSWERED, timely=False), CLOSED)}, ["answer"]),
    ({"facts": (ANSWERED, replace(CLOSED, label="paid"))}, ["closing"]),
    ({"facts": (ANSWERED, CLOSED, Fact(FactKind.DISPUTED))}, ["dispute"]),
    ({"product": "letter", "severity": 4, "details": {}}, ["product", "severity", "order"]),
]


@pytest.mark.parametrize(("changed", "names"), CHANGES)
def test_other_content_is_a_change_that_is_named_once(changed: dict[str, Any], names: list[str]) -> None:
    made, other = log(), replace(told_all, **changed)
    assert changes(made.when(other)) == names
    assert made.when(other) == []


@pytest.mark.parametrize(("changed", "names"), CHANGES)
def test_what_was_changed_back_is_a_change_again(changed: dict[str, Any], names: list[str]) -> None:
    made = log(told_all, replace(told_all, **changed))
    back = changes(made.when(told_all))
    assert "facts" in changed or set(names) <= set(back)


def test_the_record_has_the_new_values_and_the_old_ones_stay_in_the_log() -> None:
    made = log(told_all, replace(told_all, product="letter", narrative="Es kam nie."))
    registration = record(made).registration
    assert registration is not None
    assert registration.product == "letter"
    assert made.previous()["narrative"] == "Es kam nie."
    assert parcel.narrative is not None
    assert any(parcel.narrative in str(recorded.event) for recorded in made.history)


def test_a_correction_says_why_and_seals_what_is_personal() -> None:
    (correction,) = log().when(replace(told_all, narrative="Es kam nie."))
    assert correction == ComplaintDataCorrected(
        fields=["narrative"], reason="upstream-changed", narrative=Clear(text="Es kam nie.")
    )


def test_a_new_category_of_the_source_is_a_new_classification() -> None:
    *_, last = log().when(replace(told_all, category=("safety", "hazard")))
    assert isinstance(last, ComplaintClassified)
    assert (last.category, last.urgency) == (["safety", "hazard"], "P1")


def test_a_category_that_we_found_better_is_not_undone_by_the_source() -> None:
    made = log()
    made.when(Classify(("goods", "defect")), INA)
    assert made.when(told_all) == []
    assert changes(made.when(replace(told_all, product="letter"))) == ["product"]
    classification = record(made).classification
    assert classification is not None
    assert classification.category == ("goods", "defect")


def test_a_category_that_the_scheme_never_knew_stays_a_gap() -> None:
    odd = replace(told_all, category=("delivery", "by-pigeon"))
    made = log(odd)
    assert made.when(odd) == []
    assert changes(made.when(told_all)) == ["category", "severity"]


def test_a_known_category_cannot_become_an_unknown_one() -> None:
    with pytest.raises(FieldRefused) as refusal:
        log().when(replace(told_all, category=("delivery", "by-pigeon")))
    assert (refusal.value.field, refusal.value.code) == ("category", "unknown-category")


@pytest.mark.parametrize(
    "changed", [{"entity": "other"}, {"unit": "b"}, {"restricted": True}, {"annoyance": 5}]
)
def test_what_others_acted_on_cannot_be_changed_by_sending_it_again(changed: dict[str, Any]) -> None:
    with pytest.raises(FieldRefused) as refusal:
        log().when(replace(told_all, **changed))
    assert [refusal.value.field] == list(changed)


def erased(made: Log, group: DataGroup) -> None:
    basis = ErasureBasis.REQUEST
    made.write([ErasureOrdered(basis=basis, groups=[group])])
    made.write([PersonalDataErased(order=made.history[-1].id, basis=basis, groups=[group], kids=["kid"])])


@pytest.mark.parametrize(
    ("group", "changed"),
    [
        (DataGroup.CONTACT, {"name": "Other", "email": None, "phone": "1"}),
        (DataGroup.NARRATIVE, {"narrative": "Other", "details": {"order": "B"}}),
    ],
)
def test_what_is_erased_does_not_come_back(group: DataGroup, changed: dict[str, Any]) -> None:
    made = log()
    erased(made, group)
    assert made.when(replace(told_all, **changed)) == []


def test_nothing_is_added_while_an_erasure_is_on_its_way() -> None:
    made = log()
    made.when(OrderErasure(ErasureBasis.REQUEST), INA)
    assert made.when(replace(told_all, narrative="Other", phone="1")) == []


def test_a_fact_that_the_source_dates_is_known_whatever_came_after_it() -> None:
    made = log()
    made.when(replace(told_all, facts=(replace(ANSWERED, timely=False),)))
    assert made.when(told_all) == []


def test_a_change_of_facts_alone_corrects_nothing() -> None:
    made: list[Event] = log().when(replace(told_all, facts=(ANSWERED, replace(CLOSED, label="paid"))))
    assert [type(event) for event in made] == [UpstreamFactReceived]
