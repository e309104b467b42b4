"""Accepting a complaint: the mandatory record (domain, 1.6), with what its source knows of its course."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.intake.domain.decisions import receiving_again, telling
from services.intake.domain.decisions.classifying import classified
from services.intake.domain.decisions.occasion import Occasion, Opening
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.decisions.telling import Fact
from services.intake.domain.personal import clear, details_text
from services.intake.domain.scheme import Path
from shared.case import Case
from shared.case.record import NotReceived, Record
from shared.schemas.base import Dated, Decided
from shared.schemas.codes import Channel, Origin, Wish
from shared.schemas.intake import ComplaintReceived, ComplaintRegistered, ProblemItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """A complaint as it was told. Without occurred_at it is received now; without a source it is known by no reference.

    details is what else the source said, under its own names.
    """

    origin: Origin
    channel: Channel
    language: str
    time_zone: str
    entity: str
    occurred_at: datetime | None = None
    source_system: str | None = None
    source_reference: str | None = None
    unit: str | None = None
    restricted: bool | None = None
    annoyance: int | None = None
    product: str | None = None
    sub_product: str | None = None
    wish: tuple[Wish, ...] = ()
    category: Path | None = None
    severity: int | None = None
    name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    customer_number: str | None = field(default=None, repr=False)
    narrative: str | None = field(default=None, repr=False)
    details: Mapping[str, str] = field(default_factory=dict, repr=False)
    facts: tuple[Fact, ...] = ()


def decide(command: Receive, case: Case, occasion: Occasion) -> list[Decided]:
    _refuse_future(command, occasion)
    match case.record:
        case NotReceived():
            return list(_first(command, occasion))
        case Record() as record:
            return receiving_again.decide(_said(command, record), record, case, occasion)


def _refuse_future(command: Receive, occasion: Occasion) -> None:
    if command.occurred_at is not None and command.occurred_at > occasion.now:
        sentence = "A complaint cannot be received in the future; check the date and its zone."
        raise FieldRefused("occurred_at", "in-the-future", sentence)
    for place, fact in enumerate(command.facts):
        telling.refuse_future_fact(fact, f"facts.{place}.occurred_at", occasion)


def _first(command: Receive, occasion: Occasion) -> Iterator[Decided]:
    if occasion.opening is None:
        raise ValueError("a first receipt needs a case number and a subject")
    occurred_at = command.occurred_at or occasion.now
    yield Dated(_received(command, occasion.opening, occurred_at, occasion), occurred_at)
    known = command.category is not None and occasion.scheme.knows(command.category)
    yield _registered(command, category_missing=command.category is not None and not known)
    if command.category is not None and known:
        yield classified(command.category, command.severity, command.annoyance, occasion)
    for fact in command.facts:
        yield telling.received(fact, command.source_system or occasion.actor.id, occasion)


def _received(
    command: Receive, opening: Opening, occurred_at: datetime, occasion: Occasion
) -> ComplaintReceived:
    return ComplaintReceived(
        case_number=opening.case_number,
        origin=command.origin,
        channel=command.channel,
        language=command.language,
        time_zone=command.time_zone,
        received_on=civil_date(occurred_at, command.time_zone),
        entity=command.entity,
        unit=command.unit,
        restricted=command.restricted or False,
        source_system=command.source_system,
        source_reference=command.source_reference,
        subject_id=opening.subject_id,
        receiver=_receiver(command, occasion),
        contactable=any((command.email, command.phone, command.customer_number)),
        annoyance=command.annoyance,
        name=clear(command.name),
        email=clear(command.email),
        phone=clear(command.phone),
        customer_number=clear(command.customer_number),
    )


def _receiver(command: Receive, occasion: Occasion) -> str | None:
    """The person who took the complaint; who hands in history or a system's message took nothing."""
    took_it = command.origin is Origin.LIVE and occasion.actor.kind == "human"
    return occasion.actor.id if took_it else None


def _registered(command: Receive, *, category_missing: bool) -> ComplaintRegistered:
    gaps = {
        "complainant": not any((command.name, command.email, command.phone, command.customer_number)),
        "narrative": not command.narrative,
        "product": not command.product,
        "category": category_missing,
    }
    return ComplaintRegistered(
        items=[ProblemItem(number=1, primary=True, narrative=clear(command.narrative))],
        product=command.product,
        sub_product=command.sub_product,
        wish=list(stated(command.wish)),
        gaps=[name for name, missing in gaps.items() if missing],
        details=clear(details_text(command.details)),
    )


def _said(command: Receive, record: Record) -> receiving_again.Said:
    on = None if command.occurred_at is None else civil_date(command.occurred_at, record.time_zone)
    return receiving_again.Said(
        fixed={name: getattr(command, name) for name in receiving_again.FIXED},
        plain={
            "channel": command.channel,
            "received_on": on or record.received_on,
            "product": command.product,
            "sub_product": command.sub_product,
            "wish": stated(command.wish),
        },
        personal={name: getattr(command, name) for name in receiving_again.PERSONAL},
        details=command.details,
        category=command.category,
        severity=command.severity,
        facts=command.facts,
    )


def civil_date(moment: datetime, time_zone: str) -> date:
    """The date on a calendar that hangs in this zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def stated(wish: tuple[Wish, ...]) -> tuple[Wish, ...]:
    return wish or (Wish.NOT_STATED,)
