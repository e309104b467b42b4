"""From what upstream systems sent to commands, or to a refusal that says which field is wrong and repeats no value."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from services.intake.adapters.wire import (
    ComplaintBody,
    Defaults,
    FactBody,
    Moment,
    Name,
    SourcedBody,
    receive_command,
)
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.telling import RecordFact
from shared.schemas.codes import Origin

Fault: TypeAlias = tuple[str, str]
"""field, reason"""

_FIELD = re.compile(r"[a-z0-9_]{1,64}")
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_REASONS = {
    "extra_forbidden": "unknown-field",
    "string_too_long": "too-long",
    "too_long": "too-long",
    "string_too_short": "empty",
    "too_short": "empty",
    "string_pattern_mismatch": "forbidden-characters",
    "string_unicode": "not-utf-8",
    "enum": "unknown-value",
    "literal_error": "unknown-value",
    "union_tag_invalid": "unknown-value",
    "union_tag_not_found": "missing",
    "json_invalid": "not-json",
    "dict_type": "not-an-object",
    "model_type": "not-an-object",
    "model_attributes_type": "not-an-object",
    "list_type": "not-a-list",
    "string_type": "not-a-text",
    "int_type": "not-a-whole-number",
    "bool_type": "not-yes-or-no",
    "datetime_parsing": "not-a-moment",
    "datetime_from_date_parsing": "not-a-moment",
    "datetime_object_invalid": "not-a-moment",
    "timezone_aware": "no-time-zone",
    "greater_than_equal": "out-of-range",
    "less_than_equal": "out-of-range",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A command with the reference that it is about and the upstream event that brought it."""

    source_system: str
    reference: str
    command: Receive | RecordFact
    event_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What could not be read: the first fault, where it was, and the whole of what came."""

    reason: str
    field: str
    raw: bytes = dataclasses.field(repr=False)
    line: int | None = None
    key: bytes | None = dataclasses.field(default=None, repr=False)


class _CloudEvent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    specversion: Literal["1.0"]
    id: Name
    source: Name
    subject: Name
    time: Moment | None = None
    traceparent: str | None = None


class _ComplaintEvent(_CloudEvent):
    type: Literal["upstream.complaint.v1"]
    data: ComplaintBody


class _FactEvent(_CloudEvent):
    type: Literal["upstream.fact.v1"]
    data: FactBody


_INBOUND: TypeAdapter[_ComplaintEvent | _FactEvent] = TypeAdapter(
    Annotated[_ComplaintEvent | _FactEvent, Discriminator("type")]
)
_ROW = TypeAdapter(SourcedBody)
_TAGS = ("upstream.complaint.v1", "upstream.fact.v1")


def read_inbound(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    key: bytes | None,
    defaults: Defaults,
) -> Message | Refusal:
    """A record of complaints.inbound: a CloudEvent in structured mode, or in binary mode with ce_ headers."""
    raw = value or b""
    try:
        return _message(_INBOUND.validate_json(structured(raw, headers)), defaults)
    except ValidationError as error:
        name, reason = faults(error, raw)[0]
        return Refusal(reason, name, raw, key=key)


def read_row(row: Any, line: int, origin: Origin, defaults: Defaults) -> Message | Refusal:
    """A row of an import, which needs a reference so that it is known when it comes again."""
    try:
        body = _ROW.validate_python(row)
    except ValidationError as error:
        name, reason = faults(error)[0]
        return Refusal(reason, name, written(row), line)
    if body.source_system is None or body.source_reference is None:
        return Refusal("missing", "source_reference", written(row), line)
    source = body.source_system, body.source_reference
    return Message(*source, receive_command(body, origin, defaults, source))


def written(row: Any) -> bytes:
    """Whatever a row held, numbers of any size and broken texts too."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")


def faults(error: ValidationError, raw: bytes = b"") -> list[Fault]:
    """Every fault of what was read, by field and reason. A name that looks like none of ours is not repeated."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    if details[0]["type"] == "json_invalid" and (unreadable := _unreadable_text(raw)):
        return [(unreadable, "not-utf-8")]
    return [_fault(detail) for detail in details]


def _message(event: _ComplaintEvent | _FactEvent, defaults: Defaults) -> Message:
    source = event.source, event.subject
    match event:
        case _ComplaintEvent(data=body):
            command: Receive | RecordFact = receive_command(body, Origin.LIVE, defaults, source, event.time)
        case _FactEvent(data=told):
            command = RecordFact(event.source, told.fact(event.time))
    traced = event.traceparent if _TRACE.fullmatch(event.traceparent or "") else None
    return Message(*source, command, event.id, traced)


def structured(raw: bytes, headers: Sequence[tuple[str, bytes]]) -> bytes:
    """What came, whole: a binary-mode record in the form of a structured one, any other as it is."""
    said = dict(headers)
    if "ce_specversion" not in said:
        return raw
    attributes = {
        # A header may have no value at all.
        name.removeprefix("ce_"): (value or b"").decode("utf-8", "replace")
        for name, value in said.items()
        if name.startswith("ce_")
    }
    return orjson.dumps(attributes)[:-1] + b',"data":' + (raw or b"null") + b"}"


def _fault(detail: ErrorDetails) -> Fault:
    kind, location = detail["type"], detail["loc"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return "type", _REASONS[kind]
    if kind == "source-incomplete":
        return "source_reference", "missing"
    parts = [str(part) for part in location if part not in (*_TAGS, "[key]")]
    name = ".".join(part if _FIELD.fullmatch(part) else "?" for part in parts)
    return name.removeprefix("data.") or "body", _REASONS.get(kind, kind.replace("_", "-"))


def _unreadable_text(raw: bytes) -> str | None:
    """The field that holds bytes that are not UTF-8, or half a surrogate pair; None if that is not what is wrong."""
    try:
        found = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    path = next(_broken(found), None)
    return None if path is None else path.removeprefix("data.") or "body"


def _broken(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield path
    elif isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, inner in pairs:
            part = str(name) if _FIELD.fullmatch(str(name)) else "?"
            yield from _broken(inner, f"{path}.{part}" if path else part)
