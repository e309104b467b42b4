"""The register of complaints: one row a case, dismissed and erased ones too, as auditors and supervisors ask for it.

What is told about a case before the complaint itself is kept; such a row is nobody's to see until it has a number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import reduce
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
    PersonalDataErased,
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
    erased: bool = False
    source_timely: bool | None = None
    disputed: bool = False


def fold(rows: tuple[Row, ...], events: Sequence[Recorded]) -> tuple[Row, ...]:
    """The row of one case after more of its events; batches may be cut anywhere."""
    if not rows and not events:
        return ()
    row = rows[0] if rows else Row(events[0].subject)
    return (reduce(_evolve, events, row),)


def _evolve(row: Row, recorded: Recorded) -> Row:
    told = TOLD.get(type(recorded.event))
    row = told(row, recorded.event, recorded) if told else row
    return _owned(_moved(row, recorded), recorded)


def _moved(row: Row, recorded: Recorded) -> Row:
    """The case's course, as everybody else folds it."""
    before = Course(
        stage=row.stage,
        reopened=row.reopened,
        closed_at=row.closed_at,
        closed_for=row.closing_reason,
        outcome=row.outcome,
    )
    after = course.evolve(before, recorded)
    if after is before:
        return row
    return replace(
        row,
        stage=after.stage,
        reopened=after.reopened,
        closed_at=after.closed_at,
        closing_reason=after.closed_for,
        outcome=after.outcome,
    )


def _owned(row: Row, recorded: Recorded) -> Row:
    """Who answers for the case, as everybody else folds it."""
    before = _ownership(row)
    after = ownership.evolve(before, recorded)
    if after is before:
        return row
    return replace(row, owner=ownership.owner_of(after), owner_started=isinstance(after, Handling))


def _ownership(row: Row) -> Ownership:
    if row.owner is None:
        return Nobody()
    return Handling(row.owner) if row.owner_started else Assigned(row.owner)


def _received(row: Row, event: ComplaintReceived, recorded: Recorded) -> Row:
    if row.case_number is not None:
        return row
    return replace(
        row,
        case_number=event.case_number,
        received_on=event.received_on,
        month=_month(event.received_on),
        recorded_at=recorded.time,
        channel=event.channel,
        subject_id=event.subject_id,
        origin=event.origin,
        source_system=event.source_system,
        source_reference=event.source_reference,
        owner_unit=row.owner_unit or event.unit,
    )


def _month(day: date) -> str:
    return day.isoformat()[:7]


def _registered(row: Row, event: ComplaintRegistered, _: Recorded) -> Row:
    return replace(row, product=event.product, sub_product=event.sub_product)


def _classified(row: Row, event: ComplaintClassified, _: Recorded) -> Row:
    return replace(row, category=_path(event.category))


def _path(category: Sequence[str]) -> str:
    return "/".join(category)


def _corrected(row: Row, event: ComplaintDataCorrected, _: Recorded) -> Row:
    named = set(event.fields)
    new: dict[str, Any] = {name: getattr(event, name) for name in named & {"product", "sub_product"}}
    if "channel" in named and event.channel:
        new["channel"] = event.channel
    if "received_on" in named and event.received_on:
        new |= {"received_on": event.received_on, "month": _month(event.received_on)}
    if "category" in named and event.category is not None:
        new["category"] = _path(event.category)
    return replace(row, **new) if new else row


def _source_told(row: Row, event: UpstreamFactReceived, _: Recorded) -> Row:
    timely = row.source_timely if event.timely is None else event.timely
    return replace(row, source_timely=timely, disputed=row.disputed or event.kind is FactKind.DISPUTED)


def _erased(row: Row, _: PersonalDataErased, __: Recorded) -> Row:
    return replace(row, erased=True)


def _assigned(row: Row, event: ComplaintAssigned, _: Recorded) -> Row:
    return replace(row, owner_unit=event.unit or row.owner_unit)


def _clock_started(row: Row, event: ClockStarted, _: Recorded) -> Row:
    if event.clock is ClockName.ACKNOWLEDGEMENT:
        return _escalation(replace(row, acknowledgement_due=event.due, acknowledgement_level=0))
    return _escalation(replace(row, final_answer_due=event.due, final_answer_level=0))


def _escalated(row: Row, event: ComplaintEscalated, _: Recorded) -> Row:
    if event.clock is ClockName.ACKNOWLEDGEMENT:
        level = max(row.acknowledgement_level, event.level)
        return _escalation(replace(row, acknowledgement_level=level))
    return _escalation(replace(row, final_answer_level=max(row.final_answer_level, event.level)))


def _escalation(row: Row) -> Row:
    return replace(row, escalation_level=max(row.acknowledgement_level, row.final_answer_level))


Told: TypeAlias = Callable[[Row, Any, Recorded], Row]
TOLD: Mapping[type, Told] = {
    ComplaintReceived: _received,
    ComplaintRegistered: _registered,
    ComplaintClassified: _classified,
    ComplaintDataCorrected: _corrected,
    UpstreamFactReceived: _source_told,
    PersonalDataErased: _erased,
    ComplaintAssigned: _assigned,
    ClockStarted: _clock_started,
    ComplaintEscalated: _escalated,
}

REGISTER = Projection("register", Row, ("case_id",), fold)
