"""How urgent a complaint is (domain, section 1.7). What a customer is worth never counts."""

from services.intake.domain.scheme import SAFETY, Path
from shared.schemas.codes import Urgency

GRAVE = 4
MODERATE = 3
MOST_ANNOYED = 5


def urgency_of(category: Path, severity: int | None, annoyance: int | None) -> Urgency:
    if category[:1] == (SAFETY,):
        return Urgency.P1
    if (severity or 0) >= GRAVE or annoyance == MOST_ANNOYED:
        return Urgency.P2
    return Urgency.P3 if severity == MODERATE else Urgency.P4
