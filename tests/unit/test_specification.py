"""The strategies of the specification leave no event of a case out."""

from functools import partial

from hypothesis import Phase, find, given, settings

from shared.case import Case, fold
from shared.schemas.base import Event
from shared.schemas.catalogue import CATALOGUE
from tests.unit.specification import Written, any_event, any_history, recorded

NO_SHRINKING = settings(phases=(Phase.generate,), database=None)


def _is_a(wanted: type[Event], event: Event) -> bool:
    return type(event) is wanted


def test_every_event_type_of_a_case_can_come() -> None:
    for entry in CATALOGUE.values():
        if entry.topic == "cases" and not entry.retired:
            assert find(any_event, partial(_is_a, entry.event), settings=NO_SHRINKING)


@given(any_history)
def test_a_history_numbers_each_publisher_without_gaps_and_folds(written: list[Written]) -> None:
    history = recorded(written)
    for publisher in {each.publisher for each in history}:
        numbers = [each.sequence for each in history if each.publisher == publisher]
        assert numbers == list(range(1, len(numbers) + 1))
    assert isinstance(fold(history), Case)
