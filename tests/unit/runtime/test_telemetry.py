"""Metrics name machinery only, and work keeps the trace that it belongs to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.metrics import MetricWrapperBase

from shared.runtime import telemetry
from shared.runtime.http.app import make_app
from shared.runtime.telemetry import Traceparent, current_traceparent, parse_traceparent, span, start_tracing
from tests.unit.runtime.http_client import Caller

INCOMING = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**length - 1).map(lambda number: f"{number:0{length}x}")


@given(st.builds(Traceparent, hexadecimal(32), hexadecimal(16), st.booleans()))
def test_a_traceparent_is_read_as_it_was_written(made: Traceparent) -> None:
    assert parse_traceparent(str(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        INCOMING.upper(),
        INCOMING.replace("00-", "ff-", 1),
        INCOMING + "-more",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_an_invalid_traceparent_is_as_good_as_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent("01" + INCOMING[2:] + "-more") is not None


def test_metrics_carry_no_label_that_could_name_a_case_or_a_person() -> None:
    metrics = [value for value in vars(telemetry).values() if isinstance(value, MetricWrapperBase)]
    assert len(metrics) == 13
    for metric in metrics:
        assert set(metric._labelnames) <= {"service", "topic", "partition"}
        assert metric._name.startswith("redress_")


def test_outside_any_work_there_is_no_trace() -> None:
    assert current_traceparent() is None


def test_work_caused_by_an_event_stays_in_its_trace() -> None:
    with span("fold", INCOMING):
        inner = parse_traceparent(current_traceparent())
    assert inner is not None
    assert inner.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert inner.span_id != "b7ad6b7169203331"


def test_a_trace_that_nobody_samples_is_passed_on_unsampled() -> None:
    with span("fold", INCOMING[:-1] + "0"):
        inner = parse_traceparent(current_traceparent())
    assert inner is not None
    assert not inner.sampled


def test_an_error_leaves_its_type_in_the_span_and_not_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setattr(telemetry._Tracing, "provider", telemetry._Tracing.provider)
    exporter = InMemorySpanExporter()
    start_tracing("test").add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.raises(ValueError, match="Erika"), span("decide"):
        raise ValueError("Erika Mustermann")
    (finished,) = exporter.get_finished_spans()
    assert finished.status.description == "ValueError"
    assert "Erika" not in finished.to_json()
    assert finished.resource.attributes["service.name"] == "test"


def test_a_request_continues_the_callers_trace_or_starts_one() -> None:
    app = make_app("test", "1")

    @app.get("/trace")
    async def trace() -> str | None:
        return current_traceparent()

    client = Caller(app)
    continued = client.get("/trace", headers={"traceparent": INCOMING})
    assert continued.json().split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    assert continued.headers["traceresponse"] == continued.json()
    started = client.get("/trace", headers={"traceparent": "nonsense"}).json()
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", started)
    assert client.get("/trace").json() != started
