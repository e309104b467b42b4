"""What Redress is shipped with: deadlines for every clock and urgency, and a week of business days."""

from datetime import time
from itertools import product

import pytest

from services.processing.domain.decisions import decide
from services.processing.domain.decisions.minding_clocks import StartClock
from services.processing.domain.defaults import CALENDAR, DEADLINES
from services.processing.domain.occasion import rules_of
from shared.schemas.codes import ClockName, Urgency
from shared.schemas.processing import ClockStarted
from tests.unit.processing.stories import SYS, classified, received
from tests.unit.specification import case_of


def test_every_clock_has_a_target_for_every_urgency() -> None:
    assert sorted((target.clock, target.urgency) for target in DEADLINES.targets) == sorted(
        product(ClockName, Urgency)
    )


@pytest.mark.parametrize("urgency", Urgency)
def test_every_complaint_can_be_given_its_deadlines(urgency: Urgency) -> None:
    case = case_of(received, classified.model_copy(update={"urgency": urgency}))
    for name in ClockName:
        (started,) = decide(StartClock(name), case, SYS)
        assert isinstance(started, ClockStarted)
        assert started.started_at < started.warn_at < started.due


def test_the_rules_are_those_that_were_published() -> None:
    rules = rules_of(DEADLINES, CALENDAR)
    assert (rules.policy_version, rules.calendar.version) == (DEADLINES.version, CALENDAR.version)
    assert rules.calendar.cut_off == time(17)
    assert rules.calendar.weekdays == {1, 2, 3, 4, 5}
