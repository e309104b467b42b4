"""Whose case it is: handled here (live or adopted), or kept as history with what its source told about it."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from shared.schemas.base import Recorded
from shared.schemas.codes import FactKind, Origin
from shared.schemas.intake import ComplaintReceived, UpstreamFactReceived
from shared.schemas.processing import CaseAdopted, ComplaintClosed


@dataclass(frozen=True, slots=True)
class SourceFact:
    """What the source said: the event's id, when it happened there, in the source's own words."""

    event: UUID
    kind: FactKind
    occurred_at: datetime
    recorded_at: datetime
    label: str | None
    timely: bool | None


@dataclass(frozen=True, slots=True)
class Provenance:
    origin: Origin | None = None
    adopted_at: datetime | None = None
    adopted_by: UUID | None = None
    facts: tuple[SourceFact, ...] = ()
    placed: frozenset[UUID] = frozenset()
    """Facts that their owner here has taken over."""

    @property
    def ours(self) -> bool:
        """Clocks run and effects are owed only for a case that is ours."""
        return self.origin is Origin.LIVE or self.adopted_at is not None

    def latest(self, kind: FactKind) -> SourceFact | None:
        """What the source said last of this kind."""
        return next((fact for fact in reversed(self.facts) if fact.kind is kind), None)


initial = Provenance()


def evolve(provenance: Provenance, recorded: Recorded) -> Provenance:
    match recorded.event:
        case ComplaintReceived(origin=origin):
            return replace(provenance, origin=origin)
        case CaseAdopted():
            return replace(provenance, adopted_at=recorded.time, adopted_by=recorded.id)
        case UpstreamFactReceived() as event:
            fact = SourceFact(
                recorded.id, event.kind, recorded.occurred_at, recorded.time, event.label, event.timely
            )
            return replace(provenance, facts=(*provenance.facts, fact))
        case ComplaintClosed(fact=UUID() as fact):
            # Named by the closing: the source may have said more while that was on its way.
            return replace(provenance, placed=provenance.placed | {fact})
    return provenance
