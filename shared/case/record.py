"""Who complains about what and wants what: the mandatory record as it stands after every correction.

Sealed values are kept with the place that they were sealed for, so that they can be opened at use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TypeAlias
from uuid import UUID

from shared.schemas.base import Event, Recorded
from shared.schemas.codes import Channel, Origin, Urgency, Wish
from shared.schemas.intake import (
    ComplaintClassified,
    ComplaintDataCorrected,
    ComplaintReceived,
    ComplaintRegistered,
)
from shared.schemas.privacy import Kept, Sealed

SEALED = ("name", "email", "phone", "customer_number")
TOLD = ("narrative", "details")
PLAIN = ("channel", "received_on", "product", "sub_product", "wish")

Personal: TypeAlias = Mapping[str, Kept]


@dataclass(frozen=True, slots=True)
class NotReceived:
    """Nothing has been accepted under this id (yet)."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The problem, the object and the wish, or which of them are missing."""

    at: datetime
    product: str | None
    sub_product: str | None
    wish: tuple[Wish, ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    by: UUID
    at: datetime
    category: tuple[str, ...]
    scheme_version: str
    severity: int | None
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class Record:
    """A complaint that was received; personal maps field names to sealed values."""

    received_by: UUID
    case_number: str
    origin: Origin
    channel: Channel
    language: str
    time_zone: str
    received_on: date
    occurred_at: datetime
    recorded_at: datetime
    entity: str
    unit: str | None
    restricted: bool
    source_system: str | None
    source_reference: str | None
    subject_id: UUID
    receiver: str | None
    contactable: bool
    annoyance: int | None
    personal: Personal = field(default_factory=dict)
    registration: Registration | None = None
    classification: Classification | None = None
    corrections: int = 0


State: TypeAlias = NotReceived | Record
initial: State = NotReceived()


def evolve(state: State, recorded: Recorded) -> State:
    match recorded.event, state:
        case ComplaintReceived() as event, NotReceived():
            return _received(event, recorded)
        case ComplaintRegistered() as event, Record():
            registration = Registration(
                recorded.time, event.product, event.sub_product, tuple(event.wish), tuple(event.gaps)
            )
            kept = _kept(recorded, {"details": event.details})
            for position, item in enumerate(event.items):
                if item.primary:
                    kept |= _kept(recorded, {"narrative": item.narrative}, prefix=f"items.{position}.")
            return replace(state, registration=registration, personal={**state.personal, **kept})
        case ComplaintClassified() as event, Record():
            seen = Classification(
                recorded.id,
                recorded.time,
                tuple(event.category),
                event.scheme_version,
                event.severity,
                event.urgency,
            )
            return replace(state, classification=seen)
        case ComplaintDataCorrected() as event, Record():
            return _corrected(state, event, recorded)
    return state


def _received(event: ComplaintReceived, recorded: Recorded) -> Record:
    return Record(
        received_by=recorded.id,
        case_number=event.case_number,
        origin=event.origin,
        channel=event.channel,
        language=event.language,
        time_zone=event.time_zone,
        received_on=event.received_on,
        occurred_at=recorded.occurred_at,
        recorded_at=recorded.time,
        entity=event.entity,
        unit=event.unit,
        restricted=event.restricted,
        source_system=event.source_system,
        source_reference=event.source_reference,
        subject_id=event.subject_id,
        receiver=event.receiver,
        contactable=event.contactable,
        annoyance=event.annoyance,
        personal=_kept(recorded, _values(event, SEALED)),
    )


def _corrected(state: Record, event: ComplaintDataCorrected, recorded: Recorded) -> Record:
    named = set(event.fields)
    registration, classification = state.registration, state.classification
    if registration:
        registration = replace(
            registration,
            product=event.product if "product" in named else registration.product,
            sub_product=event.sub_product if "sub_product" in named else registration.sub_product,
            wish=tuple(event.wish) if "wish" in named and event.wish is not None else registration.wish,
        )
    if classification and "category" in named and event.category is not None:
        classification = replace(classification, category=tuple(event.category))
    dropped = {name for name in (*SEALED, *TOLD) if name in named}
    personal = {name: kept for name, kept in state.personal.items() if name not in dropped}
    return replace(
        state,
        channel=event.channel if "channel" in named and event.channel else state.channel,
        received_on=event.received_on if "received_on" in named and event.received_on else state.received_on,
        registration=registration,
        classification=classification,
        personal={**personal, **_kept(recorded, _values(event, dropped))},
        corrections=state.corrections + 1,
    )


def _values(event: Event, names: tuple[str, ...] | set[str]) -> dict[str, object]:
    return {name: getattr(event, name) for name in sorted(names)}


def _kept(recorded: Recorded, values: Mapping[str, object], prefix: str = "") -> dict[str, Kept]:
    return {
        name: Kept(recorded.id, prefix + name, value)
        for name, value in values.items()
        if isinstance(value, Sealed)
    }
