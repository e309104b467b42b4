"""Whoever looks at a case sees what they could do with it now."""

import pytest

from services.processing.domain.next_steps import next_steps
from services.processing.domain.occasion import Occasion
from shared.schemas.base import Decided
from tests.unit.processing.stories import (
    AGENT,
    AUDITOR,
    EVA,
    LEAD,
    MAX,
    assigned,
    classified,
    closed,
    disputed,
    given,
    in_hand,
    kept,
    received,
)


@pytest.mark.parametrize(
    ("history", "who", "steps"),
    [
        ((received,), LEAD, ["closing"]),
        ((received, classified), AGENT, ["assignment"]),
        ((received, classified, assigned), EVA, ["assignment", "declining", "start"]),
        (in_hand, EVA, ["assignment", "closing"]),
        (in_hand, MAX, []),
        (in_hand, AUDITOR, []),
        ((*in_hand, disputed), EVA, ["assignment", "settlement"]),
        ((*in_hand, closed), LEAD, ["reopening"]),
        ((kept, classified), EVA, ["adoption"]),
    ],
)
def test_the_steps_are_those_that_would_be_granted(
    history: tuple[Decided, ...], who: Occasion, steps: list[str]
) -> None:
    assert next_steps(given(*history).case, who, [who.role]) == steps


def test_whoever_has_several_roles_is_offered_the_steps_of_all() -> None:
    case = given(received, classified).case
    assert next_steps(case, MAX, ["OWN"]) == []
    assert next_steps(case, MAX, ["OWN", "LEAD"]) == ["assignment", "closing"]
