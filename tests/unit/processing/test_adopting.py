"""A case of history is taken into our own hands by whoever will answer for it."""

import pytest

from services.processing.domain.decisions.adopting import Adopt
from services.processing.domain.occasion import Occasion
from shared.schemas.base import Event
from shared.schemas.codes import FactKind
from shared.schemas.processing import CaseAdopted
from shared.schemas.refused import Refused
from tests.unit.processing.stories import (
    AGENT,
    EVA,
    LEAD,
    MAX,
    adopted,
    classified,
    closed,
    given,
    kept,
    received,
    told,
)
from tests.unit.specification import case_of


def test_whoever_adopts_a_case_owns_it() -> None:
    assert given(kept, classified).when(Adopt(), EVA) == [adopted]
    assert given(kept, classified).when(Adopt(), LEAD) == [CaseAdopted(owner="lea")]


def test_adopting_a_closed_case_opens_it() -> None:
    history = (kept, classified, told(FactKind.CLOSED), closed)
    assert given(*history).when(Adopt(), EVA) == [adopted]
    assert case_of(*history, adopted).course.open


def test_adopting_twice_is_one_adoption() -> None:
    assert given(kept, adopted).when(Adopt(), EVA) == []


@pytest.mark.parametrize(
    ("history", "who", "code"),
    [
        ((), EVA, "unknown-case"),
        ((received, classified), EVA, "not-history"),
        ((kept, classified), AGENT, "role-missing"),
        ((kept, classified, adopted), MAX, "already-adopted"),
    ],
)
def test_what_cannot_be_adopted(history: tuple[Event, ...], who: Occasion, code: str) -> None:
    with pytest.raises(Refused) as refused:
        given(*history).when(Adopt(), who)
    assert refused.value.code == code
