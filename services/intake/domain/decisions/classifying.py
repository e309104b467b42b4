"""Giving a complaint its place in the category scheme, and with it its urgency."""

from dataclasses import dataclass

from services.intake.domain.decisions.occasion import Occasion
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.scheme import Path
from services.intake.domain.urgency import urgency_of
from shared.case import Case
from shared.case.course import Stage
from shared.case.record import NotReceived, Record
from shared.schemas.base import Decided
from shared.schemas.intake import ComplaintClassified
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class Classify:
    category: Path
    severity: int | None = None


def decide(command: Classify, case: Case, occasion: Occasion) -> list[Decided]:
    match case.record:
        case NotReceived():
            raise Refused("unknown-complaint", "There is no such complaint.")
        case Record() as record:
            pass
    if case.course.stage is Stage.CLOSED and case.provenance.ours:
        raise Refused("closed", "The case is closed; reopen it to classify it anew.")
    if not occasion.scheme.knows(command.category):
        sentence = f"Version {occasion.scheme.version} of the category scheme has no such category."
        raise FieldRefused("category", "unknown-category", sentence)
    said = classified(command.category, command.severity, record.annoyance, occasion)
    stands = record.classification
    if stands and (stands.category, stands.severity, stands.scheme_version, stands.urgency) == (
        command.category,
        command.severity,
        occasion.scheme.version,
        said.urgency,
    ):
        return []
    return [said]


def classified(
    category: Path, severity: int | None, annoyance: int | None, occasion: Occasion
) -> ComplaintClassified:
    """The classification of the one problem item under the scheme in force."""
    return ComplaintClassified(
        item=1,
        category=list(category),
        scheme_version=occasion.scheme.version,
        severity=severity,
        urgency=urgency_of(category, severity, annoyance),
    )
