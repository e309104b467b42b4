"""What requests are answered: what a command did, and how a case stands. Nothing personal is among it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from services.processing.projections.worklist import Row
from shared.case import Case
from shared.case.clocks import Clock, Result, escalation_level, next_due
from shared.case.course import Stage
from shared.case.ownership import Handling, owner_of
from shared.case.provenance import SourceFact
from shared.case.record import Record
from shared.runtime.commands import Outcome
from shared.schemas.base import Recorded
from shared.schemas.codes import ClockName, ClosingReason, FactKind, Origin, Urgency


@dataclass(frozen=True, slots=True)
class EventTold:
    """An event that a command made."""

    id: UUID
    type: str
    sequence: int
    time: datetime

    @classmethod
    def of(cls, recorded: Recorded) -> "EventTold":
        return cls(recorded.id, recorded.type, recorded.sequence, recorded.time)


@dataclass(frozen=True, slots=True)
class Done:
    """What the command did, the same however often it is asked; no events if there was nothing left to do."""

    case_id: UUID
    events: list[EventTold]

    @classmethod
    def of(cls, outcome: Outcome) -> "Done":
        return cls(outcome.case, [EventTold.of(recorded) for recorded in outcome.events])


@dataclass(frozen=True, slots=True)
class ClockView:
    """One deadline: from when it counts, when it is due, and how it ended."""

    clock: ClockName
    round: int
    started_at: datetime
    warn_at: datetime
    due: datetime
    reminded: bool
    level: int
    stopped_at: datetime | None
    result: Result

    @classmethod
    def of(cls, name: ClockName, clock: Clock) -> "ClockView":
        return cls(
            name,
            clock.round,
            clock.started_at,
            clock.warn_at,
            clock.due,
            clock.reminded,
            clock.level,
            clock.stopped_at,
            clock.result,
        )


@dataclass(frozen=True, slots=True)
class FactView:
    """What an upstream system said; an objection is open until it is settled."""

    id: UUID
    kind: FactKind
    occurred_at: datetime
    open: bool

    @classmethod
    def of(cls, fact: SourceFact, case: Case) -> "FactView":
        return cls(fact.event, fact.kind, fact.occurred_at, fact.event in case.objections.open)


@dataclass(frozen=True, slots=True)
class CaseView:
    """How a case stands, as handling sees it, and what the reader could do with it now."""

    case_id: UUID
    case_number: str
    origin: Origin
    ours: bool
    stage: Stage
    received_on: date
    urgency: Urgency | None
    category: list[str]
    owner: str | None
    started: bool
    clocks: list[ClockView]
    next_due: datetime | None
    escalation_level: int
    facts: list[FactView]
    reopened: int
    closed_at: datetime | None
    closing_reason: ClosingReason | None
    outcome: str | None
    next_steps: list[str]
    freshness: Mapping[str, Any]

    @classmethod
    def of(
        cls, case_id: UUID, record: Record, case: Case, steps: Sequence[str], freshness: Mapping[str, Any]
    ) -> "CaseView":
        seen, course = record.classification, case.course
        return cls(
            case_id=case_id,
            case_number=record.case_number,
            origin=record.origin,
            ours=case.provenance.ours,
            stage=course.stage,
            received_on=record.received_on,
            urgency=seen.urgency if seen else None,
            category=list(seen.category) if seen else [],
            owner=owner_of(case.ownership),
            started=isinstance(case.ownership, Handling),
            clocks=[ClockView.of(name, clock) for name, clock in case.clocks.items()],
            next_due=next_due(case.clocks),
            escalation_level=escalation_level(case.clocks),
            facts=[FactView.of(fact, case) for fact in case.provenance.facts],
            reopened=course.reopened,
            closed_at=course.closed_at,
            closing_reason=course.closed_for,
            outcome=course.outcome,
            next_steps=list(steps),
            freshness=freshness,
        )


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """Cases by their next due moment, and the cursor of the next page if there is one."""

    items: list[Row]
    next: str | None
    freshness: Mapping[str, Any]
