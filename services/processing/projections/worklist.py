"""The worklist: open cases in our hands, the one that is due first on top, so that what is overdue is seen first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import reduce
from uuid import UUID

from shared.case import course, ownership
from shared.case.course import Course, Stage
from shared.case.ownership import Assigned, Handling, Nobody, Ownership
from shared.runtime.auth import Principal, visible_to
from shared.runtime.postgres import Pool
from shared.runtime.projections import Projection
from shared.schemas.base import Recorded
from shared.schemas.codes import ClockName, Origin, Urgency
from shared.schemas.intake import ComplaintClassified, ComplaintDataCorrected, ComplaintReceived
from shared.schemas.processing import (
    CaseAdopted,
    ClockStarted,
    ComplaintAssigned,
    ComplaintClosed,
    ComplaintEscalated,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A case as the worklist shows it: a clock has a due moment while it runs, a level once it was ever started."""

    case_id: UUID
    case_number: str | None = None
    received_on: date | None = None
    ours: bool = False
    stage: Stage = Stage.UNKNOWN
    urgency: Urgency | None = None
    owner: str | None = None
    started: bool = False
    unit: str | None = None
    acknowledgement_due: datetime | None = None
    acknowledgement_level: int | None = None
    final_answer_due: datetime | None = None
    final_answer_level: int | None = None
    next_due: datetime | None = None
    escalation_level: int = 0
    reopened: int = 0


def fold(rows: tuple[Row, ...], events: Sequence[Recorded]) -> tuple[Row, ...]:
    """The row of one case after more of its events; batches may be cut anywhere."""
    if not events:
        return rows
    row = rows[0] if rows else Row(events[0].subject)
    return (reduce(_evolve, events, row),)


WORKLIST = Projection("worklist", Row, ("case_id",), fold)


def _evolve(row: Row, recorded: Recorded) -> Row:
    return _timed(_owned(_moved(_recorded(row, recorded), recorded), recorded), recorded)


def _recorded(row: Row, recorded: Recorded) -> Row:
    match recorded.event:
        case ComplaintReceived() as event if row.case_number is None:
            return replace(
                row,
                case_number=event.case_number,
                received_on=event.received_on,
                ours=row.ours or event.origin is Origin.LIVE,
                unit=row.unit or event.unit,
            )
        case ComplaintClassified(urgency=urgency):
            return replace(row, urgency=urgency)
        case ComplaintDataCorrected(fields=named, received_on=date() as day) if "received_on" in named:
            return replace(row, received_on=day)
        case CaseAdopted():
            return replace(row, ours=True)
        case ComplaintAssigned(unit=str() as unit):
            return replace(row, unit=unit)
    return row


def _moved(row: Row, recorded: Recorded) -> Row:
    """The case's course, as everybody else folds it."""
    after = course.evolve(Course(stage=row.stage, reopened=row.reopened), recorded)
    return replace(row, stage=after.stage, reopened=after.reopened)


def _owned(row: Row, recorded: Recorded) -> Row:
    """Who answers for the case, as everybody else folds it."""
    after = ownership.evolve(_ownership(row), recorded)
    return replace(row, owner=ownership.owner_of(after), started=isinstance(after, Handling))


def _ownership(row: Row) -> Ownership:
    if row.owner is None:
        return Nobody()
    return Handling(row.owner) if row.started else Assigned(row.owner)


def _timed(row: Row, recorded: Recorded) -> Row:
    match recorded.event:
        case ClockStarted(clock=ClockName.ACKNOWLEDGEMENT, due=due):
            return _summed(replace(row, acknowledgement_due=due, acknowledgement_level=0))
        case ClockStarted(clock=ClockName.FINAL_ANSWER, due=due):
            return _summed(replace(row, final_answer_due=due, final_answer_level=0))
        case ComplaintEscalated(clock=ClockName.ACKNOWLEDGEMENT, level=level):
            return _summed(replace(row, acknowledgement_level=_raised(row.acknowledgement_level, level)))
        case ComplaintEscalated(clock=ClockName.FINAL_ANSWER, level=level):
            return _summed(replace(row, final_answer_level=_raised(row.final_answer_level, level)))
        case ComplaintClosed():
            return _summed(replace(row, acknowledgement_due=None, final_answer_due=None))
    return row


def _raised(level: int | None, to: int) -> int | None:
    return None if level is None else max(level, to)


def _summed(row: Row) -> Row:
    running = [due for due in (row.acknowledgement_due, row.final_answer_due) if due]
    level = max(row.acknowledgement_level or 0, row.final_answer_level or 0)
    return replace(row, next_due=min(running, default=None), escalation_level=level)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which cases are asked for; None asks for all, and without a stage the closed ones are left out."""

    owner: str | None = None
    unit: str | None = None
    stage: Stage | None = None
    overdue: bool | None = None


_SELECT = f"select {', '.join(WORKLIST.columns)} from worklist where ours and "
_PLACE = "coalesce(next_due, 'infinity')"


async def page(
    pool: Pool,
    principal: Principal,
    filters: Filters,
    now: datetime,
    after: tuple[datetime | None, UUID] | None,
    limit: int,
) -> list[Row]:
    """Cases by their next due moment, from behind the one named; one more than limit, to tell that there are more."""
    conditions, arguments = _where(principal, filters, now)
    if after:
        arguments += after
        due, case = f"${len(arguments) - 1}::timestamptz", f"${len(arguments)}::uuid"
        conditions.append(f"({_PLACE}, case_id) > (coalesce({due}, 'infinity'), {case})")
    order = f" order by {_PLACE}, case_id limit {limit + 1}"
    found = await pool.fetch(_SELECT + " and ".join(conditions) + order, *arguments)
    return [WORKLIST.read(row) for row in found]


def _where(principal: Principal, filters: Filters, now: datetime) -> tuple[list[str], list[object]]:
    """What the principal may see of what is asked for."""
    seen, arguments = visible_to(principal)
    conditions = [seen, f"stage {'<>' if filters.stage is None else '='} ${len(arguments) + 1}"]
    arguments.append((filters.stage or Stage.CLOSED).value)
    asked: list[tuple[str, object]] = [("owner = {}", filters.owner), ("unit = {}", filters.unit)]
    if filters.overdue is not None:
        asked.append(("next_due < {}" if filters.overdue else "coalesce(next_due >= {}, true)", now))
    for condition, value in asked:
        if value is not None:
            arguments.append(value)
            conditions.append(condition.format(f"${len(arguments)}"))
    return conditions, arguments
