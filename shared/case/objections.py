"""What the customer objects to and nobody has looked into yet.

A closing that did not know of an objection leaves it standing here; the state shows it, whatever came first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared.schemas.base import Recorded
from shared.schemas.codes import FactKind
from shared.schemas.intake import UpstreamFactReceived
from shared.schemas.processing import ObjectionSettled


@dataclass(frozen=True, slots=True)
class Objection:
    raised_at: datetime
    recorded_at: datetime
    label: str | None


@dataclass(frozen=True, slots=True)
class Objections:
    """Open objections by the id of the fact that raised them, and those settled; a settlement may come first."""

    open: Mapping[UUID, Objection] = field(default_factory=dict)
    settled: frozenset[UUID] = frozenset()


initial = Objections()


def evolve(objections: Objections, recorded: Recorded) -> Objections:
    match recorded.event:
        case UpstreamFactReceived(kind=FactKind.DISPUTED, label=label) if (
            recorded.id not in objections.settled
        ):
            raised = Objection(recorded.occurred_at, recorded.time, label)
            return Objections({**objections.open, recorded.id: raised}, objections.settled)
        case ObjectionSettled(objection=which):
            left = {by: objection for by, objection in objections.open.items() if by != which}
            return Objections(left, objections.settled | {which})
    return objections
