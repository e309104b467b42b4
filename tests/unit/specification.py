"""The domain without any I/O: given what happened, when a command comes, then these events.

Also every event of a case as a strategy, for properties that must hold for any history.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from hypothesis import strategies as st

from shared.case import Case, fold
from shared.schemas import intake, processing, reporting
from shared.schemas.base import Actor, Dated, Decided, Event, Recorded
from shared.schemas.codes import (
    Channel,
    ClockName,
    ClosingReason,
    DecliningReason,
    ErasureBasis,
    FactKind,
    Origin,
    ReopeningReason,
    Urgency,
    Wish,
)
from shared.schemas.privacy import DataGroup, Sealed

CASE = UUID("01900000-0000-7000-8000-0000000000ca")
COMMAND = UUID("01900000-0000-7000-8000-0000000000c0")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday."""

C = TypeVar("C")
O = TypeVar("O")  # noqa: E741 - an occasion


def event_id(n: int) -> UUID:
    """The id of the n-th event of a history, counted from 1."""
    return UUID(int=n)


@dataclass(frozen=True, slots=True)
class Written:
    """An event with the moment at which it was recorded, for histories where that matters."""

    event: Decided
    time: datetime


def recorded(happened: Iterable[Decided | Written]) -> list[Recorded]:
    """The events as a log of one case has them: numbered per publisher, one a minute unless they say when."""
    numbers: Counter[str] = Counter()
    history = []
    for n, what in enumerate(happened, start=1):
        decided, time = (
            (what.event, what.time) if isinstance(what, Written) else (what, NOON + timedelta(minutes=n))
        )
        event, occurred_at = (
            (decided.event, decided.occurred_at) if isinstance(decided, Dated) else (decided, time)
        )
        numbers[event.publisher()] += 1
        history.append(
            Recorded(
                id=event_id(n),
                subject=CASE,
                type=event.type,
                publisher=event.publisher(),
                sequence=numbers[event.publisher()],
                time=time,
                occurred_at=occurred_at,
                actor=Actor("eva", "OWN", "human"),
                command=COMMAND,
                correlation=CASE,
                causation=None,
                seen="",
                policy_version=None,
                traceparent=None,
                event=event,
            )
        )
    return history


def case_of(*happened: Decided | Written) -> Case:
    return fold(recorded(happened))


class Specification(Generic[C, O]):
    """A service's decide, read as a sentence: given(received, classified).when(Assign("eva"), LEAD)."""

    def __init__(self, decide: Callable[[C, Case, O], Sequence[Decided]]) -> None:
        self.decide = decide

    def __call__(self, *happened: Decided | Written) -> "Given[C, O]":
        return Given(self.decide, case_of(*happened))


@dataclass(frozen=True, slots=True)
class Given(Generic[C, O]):
    decide: Callable[[C, Case, O], Sequence[Decided]]
    case: Case

    def when(self, command: C, occasion: O) -> list[Decided]:
        return list(self.decide(command, self.case, occasion))


sealed = Sealed(v=1, kid="kid", nonce="nonce", ct="text")
people = st.sampled_from(["eva", "max"])
ids = st.integers(1, 8).map(event_id)
"""Few, so that events which name others often name one that is there."""
codes = st.sampled_from(["mortgage", "cards"])
clocks = st.sampled_from(ClockName)
moments = st.integers(-40 * 24, 40 * 24).map(lambda hours: NOON + timedelta(hours=hours))
groups = st.lists(st.sampled_from(DataGroup), max_size=2)
sealed_if_any = st.none() | st.just(sealed)

EVENTS: Mapping[type[Event], st.SearchStrategy[Event]] = {
    intake.ComplaintReceived: st.builds(
        intake.ComplaintReceived,
        case_number=st.just("2026-ABCDEFGH-1"),
        origin=st.sampled_from(Origin),
        channel=st.sampled_from(Channel),
        language=st.just("de"),
        time_zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
        received_on=st.just(date(2026, 3, 2)),
        entity=st.just("default"),
        unit=st.none() | st.just("claims"),
        restricted=st.booleans(),
        subject_id=st.just(UUID(int=77)),
        receiver=st.none() | people,
        contactable=st.booleans(),
        annoyance=st.none() | st.integers(1, 5),
        name=sealed_if_any,
        email=sealed_if_any,
    ),
    intake.ComplaintRegistered: st.builds(
        intake.ComplaintRegistered,
        items=st.lists(
            st.builds(intake.ProblemItem, number=st.just(1), primary=st.booleans(), narrative=sealed_if_any),
            max_size=2,
        ),
        product=st.none() | codes,
        wish=st.lists(st.sampled_from(Wish), max_size=2),
        gaps=st.lists(codes, max_size=1),
    ),
    intake.ComplaintClassified: st.builds(
        intake.ComplaintClassified,
        item=st.just(1),
        category=st.lists(codes, max_size=2),
        scheme_version=st.just("1"),
        severity=st.none() | st.integers(1, 5),
        urgency=st.sampled_from(Urgency),
    ),
    intake.UpstreamFactReceived: st.builds(
        intake.UpstreamFactReceived,
        kind=st.sampled_from(FactKind),
        source_system=st.just("crm"),
        label=st.none() | st.just("Closed with explanation"),
        timely=st.none() | st.booleans(),
    ),
    intake.ComplaintDataCorrected: st.builds(
        intake.ComplaintDataCorrected,
        fields=st.lists(
            st.sampled_from(["name", "narrative", "product", "wish", "category", "channel"]), max_size=3
        ),
        reason=st.just("typing-error"),
        channel=st.none() | st.sampled_from(Channel),
        product=st.none() | codes,
        category=st.none() | st.lists(codes, max_size=2),
        wish=st.none() | st.lists(st.sampled_from(Wish), max_size=2),
        name=sealed_if_any,
        narrative=sealed_if_any,
    ),
    intake.ErasureOrdered: st.builds(
        intake.ErasureOrdered, basis=st.sampled_from(ErasureBasis), groups=groups
    ),
    intake.PersonalDataErased: st.builds(
        intake.PersonalDataErased,
        order=ids,
        basis=st.sampled_from(ErasureBasis),
        groups=groups,
        kids=st.just(["kid"]),
    ),
    processing.ComplaintAssigned: st.builds(
        processing.ComplaintAssigned, owner=people, unit=st.none() | st.just("claims")
    ),
    processing.AssignmentDeclined: st.builds(
        processing.AssignmentDeclined,
        owner=people,
        reason=st.sampled_from(DecliningReason),
        remark=sealed_if_any,
    ),
    processing.HandlingStarted: st.builds(processing.HandlingStarted, owner=people),
    processing.CaseAdopted: st.builds(processing.CaseAdopted, owner=people),
    processing.ClockStarted: st.builds(
        processing.ClockStarted,
        clock=clocks,
        started_at=moments,
        due=moments,
        warn_at=moments,
        target=st.integers(1, 15),
        calendar_version=st.just("1"),
        round=st.integers(1, 3),
    ),
    processing.ReminderSent: st.builds(processing.ReminderSent, clock=clocks, owner=st.none() | people),
    processing.ComplaintEscalated: st.builds(
        processing.ComplaintEscalated, clock=clocks, level=st.integers(1, 3)
    ),
    processing.ObjectionSettled: st.builds(
        processing.ObjectionSettled, objection=ids, finding=st.just("justified")
    ),
    processing.ComplaintClosed: st.builds(
        processing.ComplaintClosed,
        reason=st.sampled_from(ClosingReason),
        outcome=st.none() | st.just("explained"),
        fact=st.none() | ids,
    ),
    processing.ComplaintReopened: st.builds(
        processing.ComplaintReopened,
        reason=st.sampled_from(ReopeningReason),
        number=st.integers(1, 3),
        fact=st.none() | ids,
    ),
    reporting.ForkAcknowledged: st.builds(
        reporting.ForkAcknowledged,
        forks=st.lists(
            st.builds(
                reporting.NamedFork,
                publisher=st.just("intake"),
                sequence=st.just(2),
                id=ids,
                partition=st.just(0),
                offset=st.integers(0, 9),
            ),
            max_size=1,
        ),
        finding=st.just("stray-producer"),
    ),
}
"""Every event type of a case, and how it may come."""

any_event: st.SearchStrategy[Event] = st.one_of(*EVENTS.values())
"""Any fact about a case. Publishers may interleave in any way, so a list in any order is a history."""


def _written(event: Event, minutes: int, late: int) -> Written:
    time = NOON + timedelta(minutes=minutes)
    return Written(Dated(event, time - timedelta(hours=late)), time)


any_written: st.SearchStrategy[Written] = st.builds(
    _written, any_event, st.integers(0, 10_000), st.integers(0, 500)
)
any_history: st.SearchStrategy[list[Written]] = st.lists(any_written, max_size=12)
"""Any facts in any order, recorded at any time, each of something that happened then or before."""
