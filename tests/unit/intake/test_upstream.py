"""What upstream systems send becomes a command, or a refusal that names the field and repeats nothing."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from services.intake.adapters.upstream import Message, Refusal, read_inbound, read_row
from services.intake.adapters.wire import Defaults
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.telling import Fact, RecordFact
from shared.schemas.codes import Channel, FactKind, Origin, Wish

DEFAULTS = Defaults(language="de", time_zone="Europe/Berlin", entity="default")
SECRET = "Canary-Text"
ENVELOPE = {
    "specversion": "1.0",
    "id": "m-1",
    "source": "shop",
    "subject": "4711",
    "time": "2026-03-02T13:00:00+01:00",
}
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def complaint(**data: Any) -> dict[str, Any]:
    return {**ENVELOPE, "type": "upstream.complaint.v1", "data": {"channel": "web-form", **data}}


def fact(**data: Any) -> dict[str, Any]:
    return {**ENVELOPE, "type": "upstream.fact.v1", "data": {"kind": "closed", **data}}


def inbound(event: dict[str, Any] | bytes | None, headers: list[tuple[str, bytes]] | None = None) -> Any:
    raw = json.dumps(event).encode() if isinstance(event, dict) else event
    return read_inbound(raw, headers or [], b"key", DEFAULTS)


def refused(event: dict[str, Any] | bytes | None) -> tuple[str, str]:
    refusal = inbound(event)
    assert isinstance(refusal, Refusal)
    assert refusal.key == b"key"
    assert SECRET not in repr(refusal)
    return refusal.field, refusal.reason


def test_a_complaint_event_is_a_live_complaint_of_its_source() -> None:
    message = inbound(
        complaint(narrative="Zu spät.", wish=["refund", "refund"], category=["delivery", "late"])
    )
    assert isinstance(message, Message)
    assert (message.source_system, message.reference, message.event_id) == ("shop", "4711", "m-1")
    assert message.command == Receive(
        origin=Origin.LIVE,
        channel=Channel.WEB_FORM,
        language="de",
        time_zone="Europe/Berlin",
        entity="default",
        occurred_at=NOON,
        source_system="shop",
        source_reference="4711",
        narrative="Zu spät.",
        wish=(Wish.REFUND,),
        category=("delivery", "late"),
    )


def test_a_fact_event_is_a_fact_about_the_complaint_of_its_subject() -> None:
    message = inbound(fact(label="paid", timely=True, occurred_at="2026-03-01T12:00:00Z"))
    assert isinstance(message, Message)
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert message.command == RecordFact("shop", Fact(FactKind.CLOSED, "paid", True, moment, stated=True))


def test_a_fact_without_a_moment_has_that_of_its_message() -> None:
    message = inbound(fact())
    assert isinstance(message, Message)
    assert message.command == RecordFact("shop", Fact(FactKind.CLOSED, None, None, NOON, stated=False))


def test_an_event_in_binary_mode_is_read_alike() -> None:
    structured = complaint(narrative="Zu spät.")
    headers = [(f"ce_{name}", str(value).encode()) for name, value in structured.items() if name != "data"]
    binary = inbound(
        json.dumps(structured["data"]).encode(), [*headers, ("content-type", b"application/json")]
    )
    assert binary == inbound(structured)


def test_blank_texts_count_as_not_given() -> None:
    assert inbound(complaint(name="", product="", details={"state": ""})) == inbound(complaint())


def test_extensions_of_the_envelope_are_let_through() -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    message = inbound({**complaint(), "traceparent": trace, "partitionkey": "x"})
    assert isinstance(message, Message)
    assert message.traceparent == trace


def test_a_trace_that_is_none_is_left_out() -> None:
    assert inbound({**complaint(), "traceparent": "nonsense"}) == inbound(complaint())


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        (None, "body", "not-json"),
        (b"", "body", "not-json"),
        (b"nope", "body", "not-json"),
        (b"[1]", "body", "not-an-object"),
        (b"[" * 100_000, "body", "not-json"),
        ({**complaint(), "type": "upstream.praise.v1"}, "type", "unknown-value"),
        ({name: value for name, value in complaint().items() if name != "type"}, "type", "missing"),
        ({name: value for name, value in complaint().items() if name != "subject"}, "subject", "missing"),
        ({**complaint(), "subject": ""}, "subject", "forbidden-characters"),
        ({**complaint(), "source": "a\x1fb"}, "source", "forbidden-characters"),
        ({**complaint(), "specversion": "2.0"}, "specversion", "unknown-value"),
        ({**complaint(), "time": "yesterday"}, "time", "not-a-moment"),
        ({**ENVELOPE, "type": "upstream.complaint.v1"}, "data", "missing"),
        (complaint(channel="pigeon"), "channel", "unknown-value"),
        (complaint(narrative=f"{SECRET}\x00"), "narrative", "forbidden-characters"),
        (complaint(narrative="x" * 100_001), "narrative", "too-long"),
        (complaint(narrative="語" * 60_000), "narrative", "too-long"),
        (complaint(narrative=7), "narrative", "not-a-text"),
        (complaint(occurred_at="31/31/2016"), "occurred_at", "not-a-moment"),
        (complaint(occurred_at="20160912"), "occurred_at", "not-a-moment"),
        (complaint(occurred_at=1473638400), "occurred_at", "not-a-moment"),
        (complaint(occurred_at="2016-02-30T12:00:00Z"), "occurred_at", "not-a-moment"),
        (complaint(occurred_at="2016-09-12T12:00:00"), "occurred_at", "no-time-zone"),
        (complaint(occurred_at="0001-01-01T00:00:00+14:00"), "occurred_at", "out-of-range"),
        (complaint(occurred_at="9999-12-31T23:59:59-14:00"), "occurred_at", "out-of-range"),
        (complaint(time_zone="Berlin"), "time_zone", "unknown-zone"),
        (complaint(language="deutsch bitte"), "language", "forbidden-characters"),
        (complaint(severity=6), "severity", "out-of-range"),
        (complaint(severity=True), "severity", "not-a-whole-number"),
        (complaint(restricted="yes"), "restricted", "not-yes-or-no"),
        (complaint(wish=["refund", "moon"]), "wish.1", "unknown-value"),
        (complaint(category=[]), "category", "empty"),
        (complaint(narative=SECRET), "narative", "unknown-field"),
        (complaint(**{SECRET: 1}), "?", "unknown-field"),
        (complaint(source_system="x"), "source_system", "unknown-field"),
        (complaint(details={"A B": "x"}), "details.?", "forbidden-characters"),
        (complaint(details={"a": "x" * 4001}), "details.a", "too-long"),
        (complaint(details={f"a{n}": "x" * 3000 for n in range(3)}), "details", "too-long"),
        (complaint(facts=[{"kind": "closed"}, {"kind": "praised"}]), "facts.1.kind", "unknown-value"),
        (complaint(facts=[{"kind": "closed", "timely": "yes"}]), "facts.0.timely", "not-yes-or-no"),
        (fact(occurred_at="soon"), "occurred_at", "not-a-moment"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field(
    event: dict[str, Any] | bytes | None, field: str, reason: str
) -> None:
    assert refused(event) == (field, reason)


def test_bytes_that_are_not_utf_8_are_refused_by_field() -> None:
    raw = json.dumps(complaint(product="parcel", narrative="Zu sp?t.")).encode().replace(b"sp?t", b"sp\xe4t")
    assert refused(raw) == ("narrative", "not-utf-8")


def test_half_a_surrogate_pair_is_refused_by_field() -> None:
    raw = json.dumps(complaint(facts=[{"kind": "closed", "label": "?"}])).encode().replace(b"?", b"\\ud800")
    assert refused(raw) == ("facts.0.label", "not-utf-8")


def test_a_refusal_keeps_the_whole_of_what_came() -> None:
    raw = json.dumps(complaint(channel="pigeon", narrative=SECRET)).encode()
    refusal = inbound(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.raw == raw


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@forall(st.sampled_from([*complaint(), *ENVELOPE]), json_values)
def test_any_field_with_any_value_is_read_or_refused(name: str, value: Any) -> None:
    assert isinstance(inbound({**complaint(), name: value}), Message | Refusal)


@forall(st.sampled_from(sorted(Receive.__dataclass_fields__)), json_values)
def test_any_data_with_any_value_is_read_or_refused(name: str, value: Any) -> None:
    assert isinstance(inbound(complaint(**{name: value})), Message | Refusal)


@forall(st.binary())
def test_any_bytes_are_refused(raw: bytes) -> None:
    assert isinstance(inbound(raw), Refusal)


ROW = {"channel": "web-form", "source_system": "cfpb", "source_reference": "1"}


def test_a_row_is_read_like_a_body_with_its_origin() -> None:
    message = read_row({**ROW, "occurred_at": "2016-09-12T00:00:00-04:00"}, 2, Origin.HISTORY, DEFAULTS)
    assert isinstance(message, Message)
    assert isinstance(message.command, Receive)
    assert message.command.origin is Origin.HISTORY
    assert message.command.occurred_at == datetime(2016, 9, 12, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"channel": "web-form"}, "source_reference", "missing"),
        ({**ROW, "source_reference": None}, "source_reference", "missing"),
        ({**ROW, "channel": SECRET}, "channel", "unknown-value"),
        ({**ROW, "occurred_at": "09/12/2016"}, "occurred_at", "not-a-moment"),
        ({**ROW, "occurred_at": "2016-09-12"}, "occurred_at", "not-a-moment"),
        ([], "body", "not-an-object"),
        (None, "body", "not-an-object"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_line(row: Any, field: str, reason: str) -> None:
    refusal = read_row(row, 17, Origin.HISTORY, DEFAULTS)
    assert isinstance(refusal, Refusal)
    assert (refusal.field, refusal.reason, refusal.line) == (field, reason, 17)
    assert SECRET not in repr(refusal)
    assert json.loads(refusal.raw) == row
