"""The deadlines that run on a case. A due moment is a value in an event: later calendars never move it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from shared.schemas.base import Recorded
from shared.schemas.codes import ClockName
from shared.schemas.processing import ClockStarted, ComplaintClosed, ComplaintEscalated, ReminderSent


class Result(StrEnum):
    OPEN = "open"
    MET = "met"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Clock:
    """One run of a clock; started_by is the id of the event that started it."""

    started_by: UUID
    started_at: datetime
    due: datetime
    warn_at: datetime
    round: int
    reminded: bool = False
    level: int = 0
    stopped_at: datetime | None = None

    @property
    def running(self) -> bool:
        return self.stopped_at is None

    @property
    def result(self) -> Result:
        if self.stopped_at is None:
            return Result.OPEN
        return Result.MET if self.stopped_at <= self.due else Result.MISSED


Clocks: TypeAlias = Mapping[ClockName, Clock]


def evolve(clocks: Clocks, recorded: Recorded) -> Clocks:
    match recorded.event:
        case ClockStarted(clock=name) as event:
            started = Clock(recorded.id, event.started_at, event.due, event.warn_at, event.round)
            return {**clocks, name: started}
        case ReminderSent(clock=name) if name in clocks:
            return {**clocks, name: replace(clocks[name], reminded=True)}
        case ComplaintEscalated(clock=name, level=level) if name in clocks:
            return {**clocks, name: replace(clocks[name], level=max(level, clocks[name].level))}
        case ComplaintClosed():
            return {name: _stopped(clock, recorded.occurred_at) for name, clock in clocks.items()}
    return clocks


def _stopped(clock: Clock, at: datetime) -> Clock:
    return replace(clock, stopped_at=at) if clock.running else clock


def next_due(clocks: Clocks) -> datetime | None:
    """The moment at which the first running clock is due."""
    return min((clock.due for clock in clocks.values() if clock.running), default=None)


def escalation_level(clocks: Clocks) -> int:
    """The highest level that any clock of the case was escalated to."""
    return max((clock.level for clock in clocks.values()), default=0)
