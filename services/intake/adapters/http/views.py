"""A complaint as it is shown: what is erased is shown as erased, what is not for the reader is left out."""

from typing import Any
from uuid import UUID

from shared.case import Case
from shared.case.record import SEALED, TOLD, Record
from shared.runtime.sealing import ERASED


def complaint(case_id: UUID, record: Record, case: Case, texts: dict[str, str] | None) -> dict[str, Any]:
    """texts are the personal values in clear; None leaves them out."""
    return {
        "case_id": str(case_id),
        "case_number": record.case_number,
        "state": case.course.stage.value,
        "origin": record.origin.value,
        "channel": record.channel.value,
        "language": record.language,
        "time_zone": record.time_zone,
        "received_on": record.received_on.isoformat(),
        "occurred_at": record.occurred_at.isoformat(),
        "recorded_at": record.recorded_at.isoformat(),
        "entity": record.entity,
        "unit": record.unit,
        "restricted": record.restricted,
        "source_system": record.source_system,
        "source_reference": record.source_reference,
        "subject_id": str(record.subject_id),
        "receiver": record.receiver,
        "contactable": record.contactable,
        "annoyance": record.annoyance,
        **_registration(record),
        "classification": _classification(record),
        "facts": _facts(case),
        "corrections": record.corrections,
        "erased": sorted(group.value for group in case.privacy.erased),
        **({} if texts is None else {"personal": _personal(record, texts)}),
    }


def _registration(record: Record) -> dict[str, Any]:
    registration = record.registration
    return {
        "product": registration.product if registration else None,
        "sub_product": registration.sub_product if registration else None,
        "wish": [wish.value for wish in registration.wish] if registration else [],
        "gaps": list(registration.gaps) if registration else [],
    }


def _classification(record: Record) -> dict[str, Any] | None:
    classed = record.classification
    if classed is None:
        return None
    return {
        "category": list(classed.category),
        "scheme_version": classed.scheme_version,
        "severity": classed.severity,
        "urgency": classed.urgency.value,
        "at": classed.at.isoformat(),
    }


def _facts(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "kind": fact.kind.value,
            "occurred_at": fact.occurred_at.isoformat(),
            "label": fact.label,
            "timely": fact.timely,
        }
        for fact in case.provenance.facts
    ]


def _personal(record: Record, texts: dict[str, str]) -> dict[str, str | None]:
    return {name: texts.get(name, ERASED) if name in record.personal else None for name in (*SEALED, *TOLD)}
