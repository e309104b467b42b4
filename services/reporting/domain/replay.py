"""The life of a case told from its events: at any instant, step by step, and which event gave a field its value.

A history is a case's events in accepted order. known_at(i) is the largest recording time of its events 1..i.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from services.reporting.domain.flattening import Change, changes, flat
from services.reporting.domain.sentences import Sentence, sentence
from shared.case import Case, evolve, fold
from shared.schemas.base import Recorded


class UnknownField(LookupError):
    """The case has and had no such field; known are those that it has or had."""

    def __init__(self, field: str, known: Sequence[str]) -> None:
        super().__init__(field)
        self.field, self.known = field, tuple(known)


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant to go back to: as it happened at, as known at, or both; none means the present."""

    as_of: datetime | None = None
    as_known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a case: who did what when, what was known to the decision, and what it changed.

    seen is the last sequence of each other publisher that the decision knew; unseen are the numbers of the events
    that stand before this one and were not known to it.
    """

    number: int
    recorded: Recorded
    known_at: datetime
    sentence: Sentence
    changes: tuple[Change, ...]
    seen: Mapping[str, int]
    unseen: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The event that set a field last, and how often any did; no event where the field is as every case begins."""

    field: str
    value: Any
    before: Any
    step: Step | None
    times: int


def known_at(history: Sequence[Recorded]) -> list[datetime]:
    """For each event the moment from which it and everything before it was known."""
    return list(accumulate((recorded.time for recorded in history), max))


def as_known_at(history: Sequence[Recorded], at: datetime) -> Sequence[Recorded]:
    """What was known at the instant: always a prefix of the history."""
    return history[: sum(moment <= at for moment in known_at(history))]


def as_of(history: Sequence[Recorded], at: datetime) -> Sequence[Recorded]:
    """What had happened at the instant, whether or not it was known then; in accepted order."""
    return [recorded for recorded in history if recorded.occurred_at <= at]


def at_instant(history: Sequence[Recorded], instant: Instant) -> Sequence[Recorded]:
    """The events that count at the instant: known at the one, happened at the other."""
    if instant.as_known_at:
        history = as_known_at(history, instant.as_known_at)
    return as_of(history, instant.as_of) if instant.as_of else history


def steps(history: Sequence[Recorded]) -> Iterator[Step]:
    """The history, event by event."""
    case = Case()
    for number, (recorded, moment) in enumerate(zip(history, known_at(history), strict=True), start=1):
        after = evolve(case, recorded)
        seen = seen_of(recorded)
        yield Step(
            number=number,
            recorded=recorded,
            known_at=moment,
            sentence=sentence(recorded.event),
            changes=tuple(changes(case, after)),
            seen=seen,
            unseen=_unseen(history[: number - 1], recorded, seen),
        )
        case = after


def seen_of(recorded: Recorded) -> Mapping[str, int]:
    """What an event says that its decision knew of the others; entries that are none are passed over."""
    pairs = (entry.partition(":") for entry in recorded.seen.split())
    return {publisher: int(last) for publisher, _, last in pairs if last.isdecimal()}


def _unseen(before: Sequence[Recorded], recorded: Recorded, seen: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(
        number
        for number, earlier in enumerate(before, start=1)
        if earlier.publisher != recorded.publisher and earlier.sequence > seen.get(earlier.publisher, 0)
    )


def explain(history: Sequence[Recorded], field: str) -> Explanation:
    """Raises UnknownField, which lists the fields that there are."""
    present = flat(fold(history))
    known = set(present)
    found: list[tuple[Step, Change]] = []
    for step in steps(history):
        for change in step.changes:
            known.add(change.field)
            if change.field == field:
                found.append((step, change))
    if field not in known:
        raise UnknownField(field, sorted(known))
    if not found:
        return Explanation(field, present[field], None, None, 0)
    step, change = found[-1]
    return Explanation(field, change.after, change.before, step, len(found))


def difference(history: Sequence[Recorded], earlier: Instant, later: Instant) -> list[Change]:
    """What is another between two instants."""
    return changes(fold(at_instant(history, earlier)), fold(at_instant(history, later)))


def state(history: Sequence[Recorded], instant: Instant) -> dict[str, Any]:
    """Every field of the case at the instant."""
    return flat(fold(at_instant(history, instant)))
