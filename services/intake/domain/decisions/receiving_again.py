"""The same reference again: nothing new, or other content, which is a correction that names what changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.intake.domain.decisions import telling
from services.intake.domain.decisions.classifying import classified
from services.intake.domain.decisions.erasing import ordered_or_erased
from services.intake.domain.decisions.occasion import Occasion
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.decisions.telling import Fact
from services.intake.domain.personal import clear, details_of, details_text
from services.intake.domain.scheme import Path
from services.intake.domain.told import UPSTREAM_CHANGED
from shared.case import Case
from shared.case.record import Record
from shared.schemas.base import Decided, Event
from shared.schemas.codes import FactKind
from shared.schemas.intake import ComplaintDataCorrected, UpstreamFactReceived
from shared.schemas.privacy import DataGroup

FIXED = ("entity", "unit", "restricted", "annoyance")
"""What stands as it was first received: another service may have acted on it."""
PERSONAL = {
    "name": DataGroup.CONTACT,
    "email": DataGroup.CONTACT,
    "phone": DataGroup.CONTACT,
    "customer_number": DataGroup.CONTACT,
    "narrative": DataGroup.NARRATIVE,
}
WORDS = {
    FactKind.FORWARDED: "forwarding",
    FactKind.ANSWERED: "answer",
    FactKind.CLOSED: "closing",
    FactKind.DISPUTED: "dispute",
}
DETAILS = "details"


@dataclass(frozen=True, slots=True)
class Said:
    """The content of a complaint as it was sent again, by the names that changes are told under."""

    fixed: Mapping[str, object]
    plain: Mapping[str, object]
    personal: Mapping[str, str | None]
    details: Mapping[str, str]
    category: Path | None
    severity: int | None
    facts: tuple[Fact, ...]


def decide(said: Said, record: Record, case: Case, occasion: Occasion) -> list[Decided]:
    _refuse_fixed(said, record)
    known, classing = _category_changed(said, record, occasion)
    values: dict[str, Any] = dict(_plain_changes(said, record))
    values |= _personal_changes(said, record, case, occasion)
    if "category" in classing:
        values["category"] = list(said.category) if said.category else None
    names = list(values | dict.fromkeys(classing))
    if details := _details_changed(said, record, case, occasion):
        values[DETAILS] = clear(details_text(said.details))
        names += [DETAILS, *(f"{DETAILS}.{name}" for name in details)]
    decided: list[Decided] = []
    if names:
        decided.append(ComplaintDataCorrected(fields=names, reason=UPSTREAM_CHANGED, **values))
    if known and classing and said.category:
        decided.append(classified(said.category, said.severity, record.annoyance, occasion))
    return decided + _new_facts(said, record, case, occasion)


def _new_facts(said: Said, record: Record, case: Case, occasion: Occasion) -> list[Decided]:
    source = record.source_system or occasion.actor.id
    new = (fact for fact in said.facts if not telling.known(fact, case.provenance))
    return [telling.received(fact, source, occasion) for fact in new]


def changes(events: Iterable[Event]) -> list[str]:
    """What a command changed, in stable words for whoever sent it; nothing for a first receipt's own events."""
    return list(dict.fromkeys(_words(events)))


def _words(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        match event:
            case ComplaintDataCorrected(fields=fields):
                yield from (name.removeprefix(f"{DETAILS}.") for name in fields if name != DETAILS)
            case UpstreamFactReceived(kind=kind):
                yield WORDS[kind]


def _refuse_fixed(said: Said, record: Record) -> None:
    for name, value in said.fixed.items():
        if value is not None and value != getattr(record, name):
            sentence = (
                f"{name} stands as it was first received; sending the complaint again cannot change it."
            )
            raise FieldRefused(name, "fixed", sentence)


def _plain_changes(said: Said, record: Record) -> Iterator[tuple[str, object]]:
    stands: dict[str, object] = {"channel": record.channel, "received_on": record.received_on}
    if record.registration is not None:
        registration = record.registration
        stands |= {
            "product": registration.product,
            "sub_product": registration.sub_product,
            "wish": registration.wish,
        }
    for name, value in said.plain.items():
        if name in stands and value != stands[name]:
            yield name, list(value) if isinstance(value, tuple) else value


def _personal_changes(said: Said, record: Record, case: Case, occasion: Occasion) -> dict[str, Any]:
    readable = {
        name: value
        for name, value in said.personal.items()
        if _comparable(name, PERSONAL[name], record, case, occasion)
    }
    return {name: clear(value) for name, value in readable.items() if value != occasion.previous.get(name)}


def _details_changed(said: Said, record: Record, case: Case, occasion: Occasion) -> list[str]:
    if not _comparable(DETAILS, DataGroup.NARRATIVE, record, case, occasion):
        return []
    stands = details_of(occasion.previous.get(DETAILS))
    return sorted(name for name in {*stands, *said.details} if stands.get(name) != said.details.get(name))


def _comparable(name: str, group: DataGroup, record: Record, case: Case, occasion: Occasion) -> bool:
    """What is erased, or about to be, is not compared: it would come back as a change."""
    if group in ordered_or_erased(case):
        return False
    return name in occasion.previous or name not in record.personal


def _category_changed(said: Said, record: Record, occasion: Occasion) -> tuple[bool, list[str]]:
    """Whether the scheme knows the category that was sent, and which of category and severity the source changed."""
    known = said.category is not None and occasion.scheme.knows(said.category)
    if said.category is not None and not known:
        gaps = record.registration.gaps if record.registration else ()
        if occasion.told.category is None and "category" in gaps:
            return False, []
        sentence = f"Version {occasion.scheme.version} of the category scheme has no such category."
        raise FieldRefused("category", "unknown-category", sentence)
    told = occasion.told
    pairs: dict[str, tuple[object, object]] = {"category": (said.category, told.category)}
    if known:
        pairs["severity"] = (said.severity, told.severity)
    return known, [name for name, (now, before) in pairs.items() if now != before]
