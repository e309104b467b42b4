"""Who answers for the case: one named person at a time, accepted or not yet."""

from dataclasses import dataclass
from typing import TypeAlias

from shared.schemas.base import Recorded
from shared.schemas.processing import AssignmentDeclined, CaseAdopted, ComplaintAssigned, HandlingStarted


@dataclass(frozen=True, slots=True)
class Nobody:
    """No one is named; declined counts how often the case was refused by those who were."""

    declined: int = 0


@dataclass(frozen=True, slots=True)
class Assigned:
    owner: str
    unit: str | None = None
    declined: int = 0


@dataclass(frozen=True, slots=True)
class Handling:
    owner: str
    unit: str | None = None


Ownership: TypeAlias = Nobody | Assigned | Handling
initial: Ownership = Nobody()


def evolve(ownership: Ownership, recorded: Recorded) -> Ownership:
    match recorded.event, ownership:
        case ComplaintAssigned(owner=owner, unit=unit), Nobody(declined) | Assigned(_, _, declined):
            return Assigned(owner, unit, declined)
        case ComplaintAssigned(owner=owner, unit=unit), _:
            return Assigned(owner, unit)
        case AssignmentDeclined(owner=owner), Assigned(current, _, declined) if owner == current:
            return Nobody(declined + 1)
        case HandlingStarted(owner=owner), Assigned(current, unit, _) if owner == current:
            return Handling(owner, unit)
        case ((HandlingStarted(owner=owner) | CaseAdopted(owner=owner)), _):
            return Handling(owner)
    return ownership


def owner_of(ownership: Ownership) -> str | None:
    """The person named, whether or not they have started."""
    return None if isinstance(ownership, Nobody) else ownership.owner
