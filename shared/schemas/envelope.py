"""An event on the wire: CloudEvents 1.0, structured mode, one self-contained byte string, never re-serialised."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter, ValidationError, create_model

from shared.schemas.base import Actor, Event, Recorded
from shared.schemas.catalogue import CATALOGUE
from shared.schemas.retired import upcast

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
MOST_BYTES = 256 * 1024
MOST_NARRATIVE = 100_000
Header: TypeAlias = tuple[str, bytes]


class TooLarge(ValueError):
    """The event would be larger than the log takes; say less in the narrative."""


class Unreadable(ValueError):
    """The bytes are no event of this catalogue: unknown type, or fields that do not fit it."""


def source_of(publisher: str) -> str:
    """The CloudEvents source of a service, such as /services/intake."""
    return f"/services/{publisher}"


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that lacks only its place in the case: sealed and serialised once, numbered at the append.

    event is what data says, where it is still at hand.
    """

    id: UUID
    subject: UUID
    type: str
    data: bytes
    time: datetime
    occurred_at: datetime
    actor: Actor
    command: UUID
    correlation: UUID
    causation: str | None = None
    policy_version: str | None = None
    traceparent: str | None = None
    event: Event | None = None

    def recorded(self, sequence: int, seen: str) -> Recorded:
        """What `read` finds in the body; to parse it again costs more than all else about a new event."""
        if self.event is None:
            return read(self.body(sequence, seen))
        return Recorded(
            id=self.id,
            subject=self.subject,
            type=self.type,
            publisher=self.type.partition(".")[0],
            sequence=sequence,
            time=self.time.astimezone(UTC),
            occurred_at=self.occurred_at.astimezone(UTC),
            actor=self.actor,
            command=self.command,
            correlation=self.correlation,
            causation=self.causation,
            seen=seen,
            policy_version=self.policy_version,
            traceparent=self.traceparent,
            event=self.event,
        )

    def body(self, sequence: int, seen: str) -> bytes:
        """The exact bytes that are stored, published, hashed and replayed. Raises TooLarge."""
        head: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": source_of(self.type.partition(".")[0]),
            "type": self.type,
            "subject": self.subject,
            "time": self.time.astimezone(UTC),
            "datacontenttype": "application/json",
            "sequence": f"{sequence:010d}",
            "seen": seen,
            "commandid": self.command,
            "occurredat": self.occurred_at.astimezone(UTC),
            "actor": self.actor.id,
            "actorrole": self.actor.role,
            "actorkind": self.actor.kind,
            "correlationid": self.correlation,
        }
        optional = {
            "onbehalfof": self.actor.on_behalf_of,
            "causationid": self.causation,
            "policyversion": self.policy_version,
            "traceparent": self.traceparent,
        }
        head |= {name: value for name, value in optional.items() if value is not None}
        # It knows the standard library's ids; those of the database's client, another class, it is told how to write.
        body = orjson.dumps(head, default=str)[:-1] + b',"data":' + self.data + b"}"
        if len(body) > MOST_BYTES:
            raise TooLarge(f"{self.type} takes {len(body)} bytes, at most {MOST_BYTES} are taken")
        return body


class _Envelope(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    specversion: Literal["1.0"]
    id: UUID
    source: str
    subject: UUID
    time: datetime
    sequence: str
    seen: str = ""
    commandid: UUID
    occurredat: datetime
    actor: str
    actorrole: str
    actorkind: str
    onbehalfof: str | None = None
    correlationid: UUID
    causationid: str | None = None
    policyversion: str | None = None
    traceparent: str | None = None


@cache
def _reader() -> Callable[[bytes], Any]:
    envelopes = [_envelope_of(name, entry.event) for name, entry in CATALOGUE.items()]
    union: Any = Annotated[Union[tuple(envelopes)], Discriminator("type")]  # noqa: UP007 - of a tuple made at run time
    validate: Callable[[bytes], Any] = TypeAdapter(union).validator.validate_json
    return validate


def _envelope_of(name: str, event: type[Event]) -> type[_Envelope]:
    fields: dict[str, Any] = {"type": (Literal[name], ...), "data": (event, ...)}
    return create_model(event.__name__ + "Envelope", __base__=_Envelope, **fields)


def read(body: bytes) -> Recorded:
    """The event in the bytes, as today's folds know it.

    Raises Unreadable, which names the type or the field at fault and never a value.
    """
    try:
        said = _reader()(body)
    except ValidationError as error:
        raise Unreadable(_faults(error)) from None
    return Recorded(  # by place, for names alone would cost as much as the gate does
        said.id,
        said.subject,
        said.type,
        said.source.rpartition("/")[2],
        int(said.sequence),
        said.time,
        said.occurredat,
        Actor(said.actor, said.actorrole, said.actorkind, said.onbehalfof),
        said.commandid,
        said.correlationid,
        said.causationid,
        said.seen,
        said.policyversion,
        said.traceparent,
        upcast(said.data),
    )


def _faults(error: ValidationError) -> str:
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['type']}" for fault in faults[:5])


def serialised(event: Event) -> bytes:
    """The payload's bytes. Raises if personal data is in clear."""
    return event.model_dump_json(exclude_none=True).encode()


def headers(
    body_type: str, event_id: UUID, publisher: str, sequence: int, traceparent: str | None = None
) -> list[Header]:
    """What the gate reads without opening the body."""
    said: list[Header] = [
        ("content-type", CONTENT_TYPE.encode()),
        ("ce_type", body_type.encode()),
        ("ce_id", str(event_id).encode()),
        ("ce_source", source_of(publisher).encode()),
        ("ce_sequence", b"%010d" % sequence),
    ]
    return said if traceparent is None else [*said, ("traceparent", traceparent.encode())]
