"""One named person answers for a case, and says yes or no to it."""

from dataclasses import replace

import pytest

from services.processing.domain.decisions.assigning import Assign, Decline, StartHandling
from services.processing.domain.occasion import Occasion
from shared.schemas.base import Event
from shared.schemas.codes import DecliningReason
from shared.schemas.privacy import Clear
from shared.schemas.processing import AssignmentDeclined, ComplaintAssigned, HandlingStarted
from shared.schemas.refused import Refused
from tests.unit.processing.stories import (
    AGENT,
    AUDITOR,
    EVA,
    LEAD,
    MAX,
    adopted,
    assigned,
    classified,
    closed,
    declined,
    given,
    in_hand,
    kept,
    received,
    started,
)

decline = Decline(DecliningReason.ABSENT)


@pytest.mark.parametrize("who", [LEAD, AGENT])
def test_a_classified_complaint_is_assigned_to_a_named_person(who: Occasion) -> None:
    assert given(received, classified).when(Assign("eva", "claims"), who) == [assigned]


def test_a_case_is_handed_over_by_its_owner() -> None:
    assert given(*in_hand).when(Assign("max"), EVA) == [ComplaintAssigned(owner="max")]


def test_nobody_takes_somebody_elses_case() -> None:
    with pytest.raises(Refused, match="Only the owner") as refused:
        given(*in_hand).when(Assign("max"), MAX)
    assert refused.value.code == "not-yours"


def test_an_auditor_assigns_nothing() -> None:
    with pytest.raises(Refused) as refused:
        given(received, classified).when(Assign("eva"), AUDITOR)
    assert refused.value.code == "role-missing"


@pytest.mark.parametrize("owner", [Assign("eva"), Assign("eva", "claims")])
def test_naming_the_same_person_again_changes_nothing(owner: Assign) -> None:
    assert given(received, classified, assigned).when(owner, LEAD) == []


def test_naming_another_unit_is_a_new_assignment() -> None:
    assert given(received, classified, assigned).when(Assign("eva", "cards"), LEAD) == [
        ComplaintAssigned(owner="eva", unit="cards")
    ]


@pytest.mark.parametrize(
    ("history", "code"),
    [
        ((), "unknown-case"),
        ((received,), "not-classified"),
        ((kept, classified), "history"),
        ((*in_hand, closed), "closed"),
    ],
)
def test_there_is_a_time_for_assigning(history: tuple[Event, ...], code: str) -> None:
    with pytest.raises(Refused) as refused:
        given(*history).when(Assign("eva"), LEAD)
    assert refused.value.code == code


def test_an_adopted_case_can_be_assigned() -> None:
    assert given(kept, classified, adopted).when(Assign("max"), LEAD) == [ComplaintAssigned(owner="max")]


def test_the_person_named_declines_with_a_reason() -> None:
    remark = Clear(text="I am away until Monday")
    assert given(received, classified, assigned).when(replace(decline, remark=remark), EVA) == [
        AssignmentDeclined(owner="eva", reason=DecliningReason.ABSENT, remark=remark)
    ]


def test_a_case_is_declined_twice_at_most() -> None:
    with pytest.raises(Refused, match="declined 2 times") as refused:
        given(received, classified, assigned, declined, assigned, declined, assigned).when(decline, EVA)
    assert refused.value.code == "declined-too-often"


def test_who_has_started_does_not_decline_any_more() -> None:
    with pytest.raises(Refused, match="hand the case over"):
        given(*in_hand).when(decline, EVA)


@pytest.mark.parametrize("command", [decline, StartHandling()])
@pytest.mark.parametrize("who", [MAX, LEAD])
def test_nobody_answers_for_the_person_named(command: Decline | StartHandling, who: Occasion) -> None:
    with pytest.raises(Refused) as refused:
        given(received, classified, assigned).when(command, who)
    assert refused.value.code == "not-yours"


def test_the_person_named_starts() -> None:
    assert given(received, classified, assigned).when(StartHandling(), EVA) == [HandlingStarted(owner="eva")]


def test_starting_twice_is_one_start() -> None:
    assert given(received, classified, assigned, started).when(StartHandling(), EVA) == []
