"""The strategies of the specification leave no event of a case out."""

from hypothesis import given

from shared.case import Case, fold
from shared.schemas.catalogue import CATALOGUE
from tests.unit.specification import EVENTS, Written, any_history, recorded


def test_every_event_type_of_a_case_can_come() -> None:
    cases = {entry.event for entry in CATALOGUE.values() if entry.topic == "cases" and not entry.retired}
    assert set(EVENTS) == cases


@given(any_history)
def test_a_history_numbers_each_publisher_without_gaps_and_folds(written: list[Written]) -> None:
    history = recorded(written)
    for publisher in {each.publisher for each in history}:
        numbers = [each.sequence for each in history if each.publisher == publisher]
        assert numbers == list(range(1, len(numbers) + 1))
    assert isinstance(fold(history), Case)
