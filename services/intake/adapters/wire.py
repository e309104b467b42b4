"""What upstream systems send, field by field: one form for HTTP, CloudEvents and imported rows."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, TypeAlias
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.telling import Fact
from shared.schemas.codes import Channel, FactKind, Origin, Wish
from shared.schemas.envelope import MOST_NARRATIVE

MOST_NARRATIVE_BYTES = 170_000
"""Sealed and encoded it still fits the largest event."""
MOST_DETAILS_BYTES = 8_192
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
ISO_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ].+", re.DOTALL)
NO_NUL = r"^[^\x00]*$"
NO_CONTROLS = r"^[^\x00-\x1f\x7f]+$"


def _text_of_a_moment(value: Any) -> Any:
    """Numbers are no moments: 20160912 would be taken for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and ISO_MOMENT.fullmatch(value)):
        return value
    raise PydanticCustomError("not-a-moment", "Write a moment as 2026-03-02T12:00:00+01:00.")


def _plausible(moment: datetime) -> datetime:
    if moment < EARLIEST or moment.year > 9000:
        raise PydanticCustomError("out-of-range", "Nobody alive can have complained then.")
    return moment.astimezone(UTC)


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise PydanticCustomError("unknown-zone", "Name a zone such as Europe/Berlin.")
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _fits_an_event(text: str) -> str:
    if len(text.encode()) > MOST_NARRATIVE_BYTES:
        raise PydanticCustomError("too-long", "The narrative is longer than an event can hold.")
    return text


def _details_fit(details: dict[str, str]) -> dict[str, str]:
    if sum(len(name) + len(text.encode()) for name, text in details.items()) > MOST_DETAILS_BYTES:
        raise PydanticCustomError("too-long", "The details are longer than an event can hold.")
    return details


Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_text_of_a_moment), AfterValidator(_plausible)]
Zone: TypeAlias = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]
Language: TypeAlias = Annotated[
    str, StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
]
Name: TypeAlias = Annotated[str, StringConstraints(max_length=200, pattern=NO_CONTROLS)]
"""What ids are derived from or cases are found by."""
Short: TypeAlias = Annotated[str, StringConstraints(max_length=300, pattern=NO_NUL)]
Narrative: TypeAlias = Annotated[
    str, StringConstraints(max_length=MOST_NARRATIVE, pattern=NO_NUL), AfterValidator(_fits_an_event)
]
DetailName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
DetailText: TypeAlias = Annotated[str, StringConstraints(max_length=4_000, pattern=NO_NUL)]
Degree: TypeAlias = Annotated[int, Strict(), Field(ge=1, le=5)]
YesNo: TypeAlias = Annotated[bool, Strict()]


class Body(BaseModel):
    """What is sent is read whole: an unknown field is a mistake that would lose something."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class FactBody(Body):
    """What happened to the complaint where it came from."""

    kind: FactKind
    label: Short | None = None
    timely: YesNo | None = None
    occurred_at: Moment | None = None
    stated: YesNo = True

    def fact(self, sent_at: datetime | None = None) -> Fact:
        """sent_at stands in where the source names no moment."""
        moment = self.occurred_at or sent_at
        stated = self.stated and self.occurred_at is not None
        return Fact(self.kind, self.label or None, self.timely, moment, stated)


class ComplaintBody(Body):
    """A complaint. A blank text counts as not given."""

    channel: Channel
    occurred_at: Moment | None = None
    language: Language | None = None
    time_zone: Zone | None = None
    entity: Name | None = None
    unit: Name | None = None
    restricted: YesNo | None = None
    name: Short | None = None
    email: Short | None = None
    phone: Short | None = None
    customer_number: Short | None = None
    annoyance: Degree | None = None
    narrative: Narrative | None = None
    product: Short | None = None
    sub_product: Short | None = None
    category: Annotated[list[Short], Field(min_length=1, max_length=8)] | None = None
    severity: Degree | None = None
    wish: Annotated[list[Wish], Field(max_length=len(Wish), default_factory=list)]
    facts: Annotated[list[FactBody], Field(max_length=50, default_factory=list)]
    details: Annotated[dict[DetailName, DetailText], Field(max_length=64), AfterValidator(_details_fit)] = {}


class SourcedBody(ComplaintBody):
    """A complaint that may say by which reference its source knows it."""

    source_system: Name | None = None
    source_reference: Name | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "SourcedBody":
        if (self.source_system is None) != (self.source_reference is None):
            raise PydanticCustomError("source-incomplete", "source_system and source_reference go together.")
        return self


class Defaults(Body):
    """What a complaint is taken to be where its source does not say."""

    language: Language = "de"
    time_zone: Zone = "Europe/Berlin"
    entity: Name = "default"


def receive_command(
    body: ComplaintBody,
    origin: Origin,
    defaults: Defaults,
    source: tuple[str, str] | None = None,
    sent_at: datetime | None = None,
) -> Receive:
    """The command that a body asks for. source is the system and its reference, sent_at the message's moment."""
    system, reference = source or (None, None)
    return Receive(
        origin=origin,
        channel=body.channel,
        language=body.language or defaults.language,
        time_zone=body.time_zone or defaults.time_zone,
        entity=body.entity or defaults.entity,
        occurred_at=body.occurred_at or sent_at,
        source_system=system,
        source_reference=reference,
        unit=body.unit,
        restricted=body.restricted,
        annoyance=body.annoyance,
        product=body.product or None,
        sub_product=body.sub_product or None,
        wish=tuple(dict.fromkeys(body.wish)),
        category=tuple(body.category) if body.category else None,
        severity=body.severity,
        name=body.name or None,
        email=body.email or None,
        phone=body.phone or None,
        customer_number=body.customer_number or None,
        narrative=body.narrative or None,
        details={name: text for name, text in body.details.items() if text},
        facts=tuple(fact.fact(sent_at) for fact in body.facts),
    )
