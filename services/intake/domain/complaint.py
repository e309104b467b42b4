"""A complaint as acceptance sees it: what all its events tell, and what its source said of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from uuid import UUID

from services.intake.domain import told
from services.intake.domain.owed import Owed, owed
from services.intake.domain.told import Told
from shared import case as cases
from shared.case import Case
from shared.case.record import Record
from shared.schemas.base import Event, Recorded
from shared.schemas.intake import ComplaintReceived


@dataclass(frozen=True, slots=True)
class Complaint:
    case: Case = Case()
    told: Told = told.initial


def evolve(complaint: Complaint, recorded: Recorded) -> Complaint:
    return Complaint(cases.evolve(complaint.case, recorded), told.evolve(complaint.told, recorded))


def fold(history: Iterable[Recorded]) -> Complaint:
    return reduce(evolve, history, Complaint())


def subject_of(complaint: Complaint, events: Sequence[Event]) -> UUID | None:
    """Whose data keys seal what is decided about this complaint."""
    if isinstance(complaint.case.record, Record):
        return complaint.case.record.subject_id
    received = (event.subject_id for event in events if isinstance(event, ComplaintReceived))
    return next(received, None)


def owed_by(complaint: Complaint) -> list[Owed]:
    return list(owed(complaint.case))
