"""Where a complaint stands on its way from receipt to rest (domain, section 1.2)."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.schemas.base import Recorded
from shared.schemas.codes import ClosingReason
from shared.schemas.intake import ComplaintClassified, ComplaintReceived, ComplaintRegistered
from shared.schemas.processing import (
    AssignmentDeclined,
    CaseAdopted,
    ComplaintAssigned,
    ComplaintClosed,
    ComplaintReopened,
    HandlingStarted,
)


class Stage(StrEnum):
    UNKNOWN = "unknown"
    RECEIVED = "received"
    REGISTERED = "registered"
    CLASSIFIED = "classified"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in-progress"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Course:
    """The stage, how often and by which event the case was reopened, and how it was closed last."""

    stage: Stage = Stage.UNKNOWN
    reopened: int = 0
    woken_by: UUID | None = None
    woken_at: datetime | None = None
    closed_at: datetime | None = None
    closed_for: ClosingReason | None = None
    outcome: str | None = None

    @property
    def open(self) -> bool:
        return self.stage not in (Stage.UNKNOWN, Stage.CLOSED)


initial = Course()

_WAY = (Stage.UNKNOWN, Stage.RECEIVED, Stage.REGISTERED, Stage.CLASSIFIED, Stage.ASSIGNED, Stage.IN_PROGRESS)
_REACHED: dict[type, Stage] = {
    ComplaintReceived: Stage.RECEIVED,
    ComplaintRegistered: Stage.REGISTERED,
    ComplaintClassified: Stage.CLASSIFIED,
}


def evolve(course: Course, recorded: Recorded) -> Course:
    event = recorded.event
    match event:
        case ComplaintReceived() | ComplaintRegistered() | ComplaintClassified():
            # Handling may have begun while the record was still on its way: a stage is never taken back by it.
            reached = _REACHED[type(event)]
            return _at(course, reached) if _before(course.stage, reached) else course
        case CaseAdopted():
            return replace(course, stage=Stage.IN_PROGRESS)
        case ComplaintAssigned() | AssignmentDeclined() | HandlingStarted() if (
            course.stage is not Stage.CLOSED
        ):
            return _at(course, _handling(event))
        case ComplaintClosed(reason=reason, outcome=outcome):
            at = recorded.occurred_at
            return replace(course, stage=Stage.CLOSED, closed_at=at, closed_for=reason, outcome=outcome)
        case ComplaintReopened(number=number):
            awake = replace(course, stage=Stage.IN_PROGRESS, reopened=number)
            return replace(awake, woken_by=recorded.id, woken_at=recorded.time)
    return course


def _handling(event: object) -> Stage:
    match event:
        case ComplaintAssigned():
            return Stage.ASSIGNED
        case AssignmentDeclined():
            return Stage.CLASSIFIED
    return Stage.IN_PROGRESS


def _before(stage: Stage, reached: Stage) -> bool:
    return stage in _WAY and _WAY.index(stage) < _WAY.index(reached)


def _at(course: Course, stage: Stage) -> Course:
    return replace(course, stage=stage)
