"""What handling owes a case in its present state. The runtime keeps these rows; a worker sends the command when due.

A case of history that nobody has adopted owes nothing to anybody: only its source's closing is taken over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.processing.domain.decisions import Command
from services.processing.domain.decisions.closing import CloseBySource, Reopen, closing_fact
from services.processing.domain.decisions.minding_clocks import (
    Escalate,
    Remind,
    StartClock,
    running,
    to_start,
)
from shared.case import Case
from shared.case.course import Stage
from shared.case.record import Record
from shared.schemas.codes import ReopeningReason


@dataclass(frozen=True, slots=True)
class Owed:
    """Work with a cause: the id of the event that gave rise to it, so that it is done once a cause, not once a case.

    Work that is to be done at once is due from the moment at which all that it rests on was recorded.
    """

    what: str
    cause: str
    due: datetime
    command: Command


def owed(case: Case) -> Iterator[Owed]:
    if not isinstance(case.record, Record):
        return
    yield from _starts(case)
    yield from _steps(case)
    yield from _closing_by_source(case)
    yield from _reopenings(case)


def _starts(case: Case) -> Iterator[Owed]:
    for start in to_start(case):
        what = f"{start.clock}-clock"
        yield Owed(what, str(start.cause), start.known_at, StartClock(start.clock))


def _steps(case: Case) -> Iterator[Owed]:
    for name, clock in running(case).items():
        if not clock.reminded:
            yield Owed("reminder", str(clock.started_by), clock.warn_at, Remind(name))
        if not clock.level:
            yield Owed("escalation", str(clock.started_by), clock.due, Escalate(name))


def _closing_by_source(case: Case) -> Iterator[Owed]:
    if fact := closing_fact(case):
        yield Owed("closing-by-source", str(fact.event), fact.recorded_at, CloseBySource(fact.event))


def _reopenings(case: Case) -> Iterator[Owed]:
    if not case.provenance.ours or case.course.stage is not Stage.CLOSED:
        return
    for fact, objection in case.objections.open.items():
        due = max(objection.recorded_at, case.course.closed_at or objection.recorded_at)
        yield Owed("reopening", str(fact), due, Reopen(ReopeningReason.LATE_FACT, fact))
