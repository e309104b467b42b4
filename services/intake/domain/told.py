"""What the source itself said last about the category: a later word of ours is not taken for a change by the source."""

from dataclasses import dataclass, replace
from uuid import UUID

from services.intake.domain.scheme import Path
from shared.schemas.base import Recorded
from shared.schemas.intake import ComplaintClassified, ComplaintDataCorrected, ComplaintReceived

UPSTREAM_CHANGED = "upstream-changed"
"""The reason of a correction that only repeats what the source says now."""


@dataclass(frozen=True, slots=True)
class Told:
    """by is the last command that brought the source's word."""

    by: UUID | None = None
    category: Path | None = None
    severity: int | None = None


initial = Told()


def evolve(told: Told, recorded: Recorded) -> Told:
    match recorded.event:
        case ComplaintReceived() if told.by is None:
            return replace(told, by=recorded.command)
        case ComplaintDataCorrected(fields=fields, reason=reason) if reason == UPSTREAM_CHANGED:
            return Told(recorded.command) if "category" in fields else replace(told, by=recorded.command)
        case ComplaintClassified(category=category, severity=severity) if recorded.command == told.by:
            return Told(told.by, tuple(category), severity)
    return told
