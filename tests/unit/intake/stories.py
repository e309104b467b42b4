"""What the examples of acceptance are told with, and a log that commands are carried out on one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import reduce
from typing import Any
from uuid import UUID

from services.intake.domain import told
from services.intake.domain.decisions import Command, decide
from services.intake.domain.decisions.occasion import Occasion, Opening
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.defaults import category_scheme
from services.intake.domain.scheme import scheme_of
from services.intake.domain.told import Told
from shared.case import Case, fold
from shared.case.record import Record
from shared.schemas.base import Actor, Dated, Decided, Event, Part, Recorded
from shared.schemas.codes import Channel, Origin
from shared.schemas.privacy import Clear, Sealed
from tests.unit.specification import CASE, NOON, Specification, event_id

given: Specification[Command, Occasion] = Specification(decide)

NUMBER = "2026-K7Q2M9XD-4"
SUBJECT = UUID(int=77)
INA = Occasion(
    now=NOON + timedelta(days=30),
    actor=Actor("ina", "INT", "human"),
    scheme=scheme_of(category_scheme()),
    opening=Opening(NUMBER, SUBJECT),
)
CRM = replace(INA, actor=Actor("crm", "UPS", "upstream"))

LATE = ("delivery", "late")
parcel = Receive(
    origin=Origin.LIVE,
    channel=Channel.WEB_FORM,
    language="de",
    time_zone="Europe/Berlin",
    entity="default",
    occurred_at=NOON,
    source_system="shop",
    source_reference="4711",
    product="parcel",
    category=LATE,
    name="Erika Muster",
    email="erika@example.org",
    narrative="Das Paket kam drei Wochen zu spät.",
    details={"order": "A-17"},
)


def events_of(decided: Sequence[Decided]) -> list[Event]:
    return [each.event if isinstance(each, Dated) else each for each in decided]


def as_sealed(part: Any) -> Any:
    """The event as the log would hold it; the test reads the text where the ciphertext stands."""
    if isinstance(part, Clear):
        return Sealed(v=1, kid="kid", nonce="nonce", ct=part.text)
    if isinstance(part, list):
        return [as_sealed(inner) for inner in part]
    if isinstance(part, Part):
        return part.model_copy(
            update={name: as_sealed(getattr(part, name)) for name in type(part).model_fields}
        )
    return part


@dataclass
class Log:
    """The log of one complaint; each command is decided on what is there, as the application does it."""

    history: list[Recorded] = field(default_factory=list)

    @property
    def case(self) -> Case:
        return fold(self.history)

    @property
    def told(self) -> Told:
        return reduce(told.evolve, self.history, told.initial)

    def previous(self) -> dict[str, str]:
        record = self.case.record
        personal = record.personal if isinstance(record, Record) else {}
        return {name: kept.value.ct for name, kept in personal.items()}

    def when(self, command: Command, occasion: Occasion = CRM) -> list[Event]:
        """Decides, appends, and answers the events as they were decided."""
        made = replace(occasion, previous=self.previous(), told=self.told)
        decided = decide(command, self.case, made)
        self.write(decided, occasion)
        return events_of(decided)

    def write(self, decided: Sequence[Decided], occasion: Occasion = CRM) -> None:
        command = UUID(int=1_000_000 + len(self.history))
        for each in decided:
            event = each.event if isinstance(each, Dated) else each
            self.history.append(
                Recorded(
                    id=event_id(len(self.history) + 1),
                    subject=CASE,
                    type=event.type,
                    publisher=event.publisher(),
                    sequence=len(self.history) + 1,
                    time=occasion.now,
                    occurred_at=each.occurred_at if isinstance(each, Dated) else occasion.now,
                    actor=occasion.actor,
                    command=command,
                    correlation=CASE,
                    causation=None,
                    seen="",
                    policy_version=None,
                    traceparent=None,
                    event=as_sealed(event),
                )
            )
