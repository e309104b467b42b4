"""Starting the deadlines of a case, reminding before and escalating after: owed work, harmless when it comes twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from services.processing.domain.decisions.standing import received
from services.processing.domain.occasion import Occasion
from shared.calendars import due_after, warn_after
from shared.case import Case
from shared.case.clocks import Clock
from shared.case.ownership import owner_of
from shared.case.provenance import Provenance
from shared.case.record import Record
from shared.schemas.base import Decided
from shared.schemas.codes import ClockName, Origin, Urgency
from shared.schemas.processing import ClockStarted, ClockTarget, ComplaintEscalated, ReminderSent
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class StartClock:
    clock: ClockName


@dataclass(frozen=True, slots=True)
class Remind:
    clock: ClockName


@dataclass(frozen=True, slots=True)
class Escalate:
    """To the team lead: level 1."""

    clock: ClockName


Command: TypeAlias = StartClock | Remind | Escalate


@dataclass(frozen=True, slots=True)
class Start:
    """A clock that has to be started: by which event, from when it counts, and since when all is known for it."""

    clock: ClockName
    cause: UUID
    counts_from: datetime
    known_at: datetime
    urgency: Urgency | None
    round: int


def decide(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    match command:
        case StartClock(name):
            record = received(case)
            return [_started(start, record, occasion) for start in to_start(case) if start.clock is name]
        case Remind(name) | Escalate(name):
            clock = running(case).get(name)
            return [] if clock is None else _step(command, clock, case, occasion)


def running(case: Case) -> dict[ClockName, Clock]:
    """The clocks that are reminded of and escalated: those of an open case in our hands."""
    if not (case.provenance.ours and case.course.open):
        return {}
    return {name: clock for name, clock in case.clocks.items() if clock.running}


def to_start(case: Case) -> Iterator[Start]:
    """The acknowledgement clock once; the final answer's once a round, when the urgency is known."""
    if not (isinstance(case.record, Record) and case.provenance.ours and case.course.open):
        return
    rounds = case.course.reopened
    if ClockName.ACKNOWLEDGEMENT not in case.clocks and not rounds:
        cause, counts_from, known_at = _taken_on(case, case.record)
        yield Start(ClockName.ACKNOWLEDGEMENT, cause, counts_from, known_at, None, 1)
    last, seen = case.clocks.get(ClockName.FINAL_ANSWER), case.record.classification
    if seen and (last is None or last.round <= rounds):
        cause, counts_from, known_at = _woken(case) or _taken_on(case, case.record)
        known_at = max(known_at, seen.at)
        yield Start(ClockName.FINAL_ANSWER, cause, counts_from, known_at, seen.urgency, rounds + 1)


def _taken_on(case: Case, record: Record) -> tuple[UUID, datetime, datetime]:
    """A live complaint's deadlines count from its receipt, those of an adopted one from the adoption."""
    match case.provenance:
        case Provenance(origin=Origin.HISTORY, adopted_by=UUID() as by, adopted_at=datetime() as at):
            return by, at, at
    return record.received_by, record.occurred_at, record.recorded_at


def _woken(case: Case) -> tuple[UUID, datetime, datetime] | None:
    by, at = case.course.woken_by, case.course.woken_at
    return (by, at, at) if by and at else None


def _started(start: Start, record: Record, occasion: Occasion) -> ClockStarted:
    target, calendar = _target(start, occasion), occasion.rules.calendar
    zone, days = ZoneInfo(record.time_zone), target.business_days
    return ClockStarted(
        clock=start.clock,
        started_at=start.counts_from,
        due=due_after(calendar, start.counts_from, days, zone),
        warn_at=warn_after(calendar, start.counts_from, days, target.warn_percent, zone),
        target=days,
        calendar_version=calendar.version,
        round=start.round,
    )


def _target(start: Start, occasion: Occasion) -> ClockTarget:
    """While the urgency is unknown the shortest is kept to: then it holds for whatever turns out."""
    fitting = [
        target
        for target in occasion.rules.targets
        if target.clock is start.clock and start.urgency in (None, target.urgency)
    ]
    if not fitting:
        raise Refused("no-target", f"Publish a deadline policy that has a target for {start.clock}.")
    return min(fitting, key=lambda target: target.business_days)


def _step(command: Remind | Escalate, clock: Clock, case: Case, occasion: Occasion) -> list[Decided]:
    match command:
        case Remind(name) if occasion.now >= clock.warn_at:
            owner = owner_of(case.ownership)
            return [] if clock.reminded else [ReminderSent(clock=name, owner=owner)]
        case Escalate(name) if occasion.now >= clock.due:
            return [] if clock.level else [ComplaintEscalated(clock=name, level=1)]
        case Remind() | Escalate():
            raise Refused("not-due", f"The {command.clock} clock has not run that far: wait.")
