"""Who may see a case: its entity, unit and restriction, and the people who work or worked on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from shared.schemas.base import Recorded
from shared.schemas.intake import ComplaintReceived
from shared.schemas.processing import CaseAdopted, ComplaintAssigned, HandlingStarted


@dataclass(frozen=True, slots=True)
class Access:
    """One row of case_access; people are pseudonymous ids in the order in which they joined."""

    case_id: UUID
    entity: str
    unit: str | None
    restricted: bool
    people: tuple[str, ...]


def fold(rows: tuple[Access, ...], events: Sequence[Recorded]) -> tuple[Access, ...]:
    """At most one row a case; facts that come before the complaint itself leave no row, for nobody may see it yet."""
    access = rows[0] if rows else None
    early: list[str] = []
    for recorded in events:
        match recorded.event:
            case ComplaintReceived() as event:
                receiver = [event.receiver] if event.receiver else []
                access = access or Access(recorded.subject, event.entity, event.unit, event.restricted, ())
                access = _joined(access, [*receiver, *early])
            case ComplaintAssigned(owner=owner, unit=unit):
                early.append(owner)
                access = access and _joined(replace(access, unit=unit or access.unit), [owner])
            case HandlingStarted(owner=owner) | CaseAdopted(owner=owner):
                early.append(owner)
                access = access and _joined(access, [owner])
    return (access,) if access else ()


def _joined(access: Access, people: list[str]) -> Access:
    new = tuple(dict.fromkeys(person for person in people if person not in access.people))
    return replace(access, people=access.people + new) if new else access
