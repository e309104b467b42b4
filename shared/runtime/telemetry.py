"""What can be measured and followed: every metric, declared once, and the trace that work belongs to."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SERVICE = ("service",)
PARTITION = ("service", "topic", "partition")
"""Labels name machinery only: a case or a person would make a series each, and leave a trail."""

LAG = Gauge("redress_lag_records", "Records between the position and the end of the partition.", PARTITION)
GAPS = Gauge(
    "redress_gaps_held", "Events held because an earlier one of their publisher is missing.", SERVICE
)
DUPLICATES = Counter("redress_duplicates", "Records that had been accepted before.", PARTITION)
FORKS = Counter("redress_forks", "Records that contradict an accepted one of the same sequence.", PARTITION)
PARKED = Gauge("redress_parked", "Cases whose commands and folds rest until somebody has looked.", SERVICE)
ASIDE = Gauge("redress_aside", "Records without a readable place, kept for somebody to look at.", SERVICE)
OWED = Gauge("redress_owed", "What the service owes and has not done yet.", SERVICE)
STUCK = Gauge("redress_stuck", "What is owed and failed so often that somebody must look.", SERVICE)
OUTBOX_DEPTH = Gauge("redress_outbox_depth", "Events that no broker has acknowledged yet.", SERVICE)
OUTBOX_OLDEST = Gauge("redress_outbox_oldest_seconds", "Age of the oldest of them.", SERVICE)
APPEND_CONFLICTS = Counter("redress_append_conflicts", "Appends that found the case changed.", SERVICE)
BATCH_SECONDS = Histogram(
    "redress_batch_seconds", "From a batch's arrival to its commit.", ("service", "topic")
)
CATCHING_UP = Gauge("redress_catching_up", "1 while commands wait for the log to be read.", SERVICE)

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Traceparent:
    """W3C trace context: which trace, and which span within it caused this."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def parse_traceparent(text: str | None) -> Traceparent | None:
    """What a header says, or None where it says nothing valid: a bad one never fails a request."""
    found = TRACEPARENT.fullmatch(text.strip()) if text else None
    if not found:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Traceparent(trace_id, span_id, bool(int(flags, 16) & 1))


def current_traceparent() -> str | None:
    """The running span for the envelope of an event or a request further on; None outside any."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return None
    return str(Traceparent(f"{here.trace_id:032x}", f"{here.span_id:016x}", here.trace_flags.sampled))


def current_trace_id() -> str | None:
    """The running trace, as logs and problems name it."""
    here = trace.get_current_span().get_span_context()
    return f"{here.trace_id:032x}" if here.is_valid else None


class _Tracing:
    """The one provider of this process: without an exporter spans cost little and still name the trace."""

    provider = TracerProvider(shutdown_on_exit=False)


def start_tracing(service: str, endpoint: str | None = None) -> TracerProvider:
    """Name this process in its spans and send them by OTLP/HTTP to a collector, if one is named."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    if endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        # The exporter brings an HTTP client of its own, which a process without a collector need not load.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces") if endpoint else OTLPSpanExporter()
        provider.add_span_processor(BatchSpanProcessor(exporter))
    _Tracing.provider = provider
    return provider


@contextmanager
def span(
    name: str, cause: str | None = None, kind: trace.SpanKind = trace.SpanKind.INTERNAL
) -> Iterator[trace.Span]:
    """A span within the running one, or within the trace that cause names; errors are noted by type only."""
    tracer = _Tracing.provider.get_tracer("redress")
    context = _context(parse_traceparent(cause))
    with tracer.start_as_current_span(
        name, context, kind, record_exception=False, set_status_on_exception=False
    ) as here:
        try:
            yield here
        except BaseException as error:
            here.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


def _context(cause: Traceparent | None) -> Context | None:
    if cause is None:
        return None
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if cause.sampled else trace.TraceFlags.DEFAULT)
    remote = trace.SpanContext(
        int(cause.trace_id, 16), int(cause.span_id, 16), is_remote=True, trace_flags=flags
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(remote))


class TraceRequests:
    """Every request runs in a span, of the caller's trace if it sends one; the answer names it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        cause = Headers(scope=scope).get("traceparent")
        with span(f"HTTP {scope['method']}", cause, trace.SpanKind.SERVER) as here:
            answered = current_traceparent()

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    here.set_attribute("http.response.status_code", message["status"])
                    MutableHeaders(scope=message)["traceresponse"] = answered or ""
                await send(message)

            await self.app(scope, receive, noting)
