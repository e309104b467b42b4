"""The register of complaints: one row a case, dismissed and erased ones too, as auditors and supervisors ask for it.

What is told about a case before the complaint itself is kept; such a row is nobody's to see until it has a number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, TypeAlias
from uuid import UUID

from shared.case import course, ownership
from shared.case.course import Course, Stage
from shared.case.ownership import Assigned, Handling, Nobody, Ownership
from shared.runtime.projections import Projection
from shared.schemas.base import Recorded
from shared.schemas.codes import Channel, ClockName, ClosingReason, FactKind, Origin
from shared.schemas.intake import (
    ComplaintClassified,
    ComplaintDataCorrected,
    ComplaintReceived,
    ComplaintRegistered,
    UpstreamFactReceived,
)
from shared.schemas.processing import ClockStarted, ComplaintAssigned, ComplaintEscalated


@dataclass(frozen=True, slots=True)
class Row:
    """A complaint in the register. month is that of the receipt in the case's own zone, as YYYY-MM."""

    case_id: UUID
    case_number: str | None = None
    received_on: date | None = None
    month: str | None = None
    recorded_at: datetime | None = None
    channel: Channel | None = None
    subject_id: UUID | None = None
    product: str | None = None
    sub_product: str | None = None
    category: str | None = None
    origin: Origin | None = None
    source_system: str | None = None
    source_reference: str | None = None
    owner_unit: str | None = None
    owner: str | None = None
    owner_started: bool = False
    stage: Stage = Stage.UNKNOWN
    outcome: str | None = None
    closing_reason: ClosingReason | None = None
    closed_at: datetime | None = None
    reopened: int = 0
    acknowledgement_due: datetime | None = None
    acknowledgement_level: int = 0
    final_answer_due: datetime | None = None
    final_answer_level: int = 0
    escalation_level: int = 0
    source_timely: bool | None = None
    disputed: bool = False


Values: TypeAlias = dict[str, Any]
"""A row's columns by name while events are folded: making a row of every event would cost more than reading it."""


def fold(rows: tuple[Row, ...], events: Sequence[Recorded]) -> tuple[Row, ...]:
    """The row of one case after more of its events; batches may be cut anywhere."""
    if not events:
        return rows
    row = rows[0] if rows else Row(events[0].subject)
    now: Values = {column: getattr(row, column) for column in COLUMNS}
    stands, owned = _course(row), _ownership(row)
    for recorded in events:
        if told := TOLD.get(type(recorded.event)):
            now.update(told(now, recorded.event, recorded))
        stands, owned = course.evolve(stands, recorded), ownership.evolve(owned, recorded)
    now["escalation_level"] = max(now["acknowledgement_level"], now["final_answer_level"])
    return (Row(**{**now, **_told_by_course(stands), **_told_by_ownership(owned)}),)


def _course(row: Row) -> Course:
    """The case's course, which is folded as everybody folds it."""
    return Course(
        stage=row.stage,
        reopened=row.reopened,
        closed_at=row.closed_at,
        closed_for=row.closing_reason,
        outcome=row.outcome,
    )


def _told_by_course(stands: Course) -> Values:
    return {
        "stage": stands.stage,
        "reopened": stands.reopened,
        "closed_at": stands.closed_at,
        "closing_reason": stands.closed_for,
        "outcome": stands.outcome,
    }


def _ownership(row: Row) -> Ownership:
    """Who answers for the case, folded as everybody folds it."""
    if row.owner is None:
        return Nobody()
    return Handling(row.owner) if row.owner_started else Assigned(row.owner)


def _told_by_ownership(owned: Ownership) -> Values:
    return {"owner": ownership.owner_of(owned), "owner_started": isinstance(owned, Handling)}


def _received(now: Values, event: ComplaintReceived, recorded: Recorded) -> Values:
    if now["case_number"] is not None:
        return {}
    return {
        "case_number": event.case_number,
        "received_on": event.received_on,
        "month": _month(event.received_on),
        "recorded_at": recorded.time,
        "channel": event.channel,
        "subject_id": event.subject_id,
        "origin": event.origin,
        "source_system": event.source_system,
        "source_reference": event.source_reference,
        "owner_unit": now["owner_unit"] or event.unit,
    }


def _month(day: date) -> str:
    return day.isoformat()[:7]


def _registered(_: Values, event: ComplaintRegistered, __: Recorded) -> Values:
    return {"product": event.product, "sub_product": event.sub_product}


def _classified(_: Values, event: ComplaintClassified, __: Recorded) -> Values:
    return {"category": _path(event.category)}


def _path(category: Sequence[str]) -> str:
    return "/".join(category)


def _corrected(_: Values, event: ComplaintDataCorrected, __: Recorded) -> Values:
    named = set(event.fields)
    new: Values = {name: getattr(event, name) for name in named & {"product", "sub_product"}}
    if "channel" in named and event.channel:
        new["channel"] = event.channel
    if "received_on" in named and event.received_on:
        new |= {"received_on": event.received_on, "month": _month(event.received_on)}
    if "category" in named and event.category is not None:
        new["category"] = _path(event.category)
    return new


def _source_told(now: Values, event: UpstreamFactReceived, _: Recorded) -> Values:
    timely = now["source_timely"] if event.timely is None else event.timely
    return {"source_timely": timely, "disputed": now["disputed"] or event.kind is FactKind.DISPUTED}


def _assigned(now: Values, event: ComplaintAssigned, _: Recorded) -> Values:
    return {"owner_unit": event.unit or now["owner_unit"]}


_CLOCKS = {ClockName.ACKNOWLEDGEMENT: "acknowledgement", ClockName.FINAL_ANSWER: "final_answer"}


def _clock_started(_: Values, event: ClockStarted, __: Recorded) -> Values:
    name = _CLOCKS[event.clock]
    return {f"{name}_due": event.due, f"{name}_level": 0}


def _escalated(now: Values, event: ComplaintEscalated, _: Recorded) -> Values:
    level = f"{_CLOCKS[event.clock]}_level"
    return {level: max(now[level], event.level)}


TOLD: Mapping[type, Callable[[Values, Any, Recorded], Values]] = {
    ComplaintReceived: _received,
    ComplaintRegistered: _registered,
    ComplaintClassified: _classified,
    ComplaintDataCorrected: _corrected,
    UpstreamFactReceived: _source_told,
    ComplaintAssigned: _assigned,
    ClockStarted: _clock_started,
    ComplaintEscalated: _escalated,
}
COLUMNS = tuple(column.name for column in fields(Row))
REGISTER = Projection("register", Row, ("case_id",), fold)
