"""JSON lines without personal data by construction: only listed fields, and of errors only type and place."""

import logging
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

# fmt: off
FIELDS = frozenset({
    "event", "level", "logger", "time", "service", "role", "trace_id", "span_id", "dropped", "error",
    "frames", "caused_by", "method", "route", "status", "seconds", "topic", "partition", "offset",
    "position", "publisher", "sequence", "case", "command", "type", "event_id", "key_id", "projection",
    "schema", "what", "cause", "due", "attempt", "attempts", "worker", "epoch", "group", "count",
    "rows", "new", "known", "changed", "refused", "lag", "depth", "oldest", "held", "parked", "owed",
    "stuck", "verdict", "code", "version", "host", "port", "pid", "signal", "waiting_for", "line",
    "column",
})
# fmt: on
"""What a line may hold. Ids are pseudonyms; a field that could carry a name or a text has no place here."""

LONGEST_TEXT = 300
DEEPEST_STACK = 25
DEEPEST_CAUSE = 5


def configure_logs(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all that this process logs, the libraries too, as JSON lines to stream (else standard output)."""
    first: list[Processor] = [structlog.stdlib.add_logger_name, *_common(service)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *first,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                only_listed_fields,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=first,
        )
    )
    handler.addFilter(_plain_message)
    _take_over(handler, level)
    sys.excepthook = _log_uncaught


def _common(service: str) -> list[Processor]:
    def name_service(_: Any, __: str, line: EventDict) -> EventDict:
        return {"service": service, **line}

    return [
        name_service,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_trace,
        reduce_error,
    ]


def _take_over(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for known in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(known, logging.Logger):
            known.handlers = []
            known.propagate = True
    # The access log repeats whole addresses, queries included; the application logs requests by template.
    logging.getLogger("uvicorn.access").disabled = True
    for chatty in ("httpx", "httpcore", "aiokafka", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def only_listed_fields(_: Any, __: str, line: EventDict) -> EventDict:
    """Drops every field that is not on the list, and says by name what it dropped."""
    kept = {name: _short(value) for name, value in line.items() if name in FIELDS}
    if dropped := sorted(name for name in line if name not in FIELDS):
        kept["dropped"] = dropped
    return kept


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value[:DEEPEST_STACK]]
    return str(value)[:LONGEST_TEXT]


def add_trace(_: Any, __: str, line: EventDict) -> EventDict:
    """Names the running trace and span."""
    here = trace.get_current_span().get_span_context()
    if here.is_valid:
        line.setdefault("trace_id", f"{here.trace_id:032x}")
        line.setdefault("span_id", f"{here.span_id:016x}")
    return line


def reduce_error(_: Any, __: str, line: EventDict) -> EventDict:
    """Replaces an exception by its type, its causes' types and where it happened: messages may quote data."""
    error = _error_of(line.pop("exc_info", None))
    line.pop("stack_info", None)
    if error is not None:
        line.update(error_fields(error))
    return line


def error_fields(error: BaseException) -> dict[str, Any]:
    """What may be told of an error; for borders that log before or without configure_logs, which print locals."""
    return {"error": type_name(error), "frames": stack_of(error), "caused_by": causes_of(error)}


def _error_of(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def type_name(error: BaseException) -> str:
    """The full name of an error's type."""
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def stack_of(error: BaseException) -> list[str]:
    """The innermost frames of an error as module:function:line, without a value of any variable."""
    frames: list[str] = []
    at: TracebackType | None = error.__traceback__
    while at is not None:
        frame = at.tb_frame
        frames.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_name}:{at.tb_lineno}")
        at = at.tb_next
    return frames[-DEEPEST_STACK:]


def causes_of(error: BaseException) -> list[str]:
    """The types of what led to an error, nearest first, group members included."""
    found: list[str] = []
    following: BaseException | None = error
    while following is not None and len(found) < DEEPEST_CAUSE:
        if isinstance(following, BaseExceptionGroup):
            found.extend(type_name(inner) for inner in following.exceptions[:DEEPEST_CAUSE])
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
        if following is not None:
            found.append(type_name(following))
    return found


def _plain_message(record: logging.LogRecord) -> bool:
    """Keeps a library's message but for the texts of errors in it, which may quote what was being read."""
    if isinstance(record.msg, str):
        record.msg, record.args = _message_of(record), None
    return True


def _message_of(record: logging.LogRecord) -> str:
    error = _error_of(record.exc_info)
    if isinstance(record.args, tuple):
        record.args = tuple(_reduced(value) for value in record.args)
    elif isinstance(record.args, Mapping):
        record.args = {name: _reduced(value) for name, value in record.args.items()}
    text = _formatted(record)
    if error is not None and str(error):
        text = text.replace(str(error), type_name(error))
    lines = text.strip().splitlines()
    return lines[0][:LONGEST_TEXT] if lines else ""


def _reduced(value: object) -> object:
    return type_name(value) if isinstance(value, BaseException) and not isinstance(value, OSError) else value


def _formatted(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)


def _log_uncaught(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    structlog.get_logger().critical("the process ends by an error that nobody handled", exc_info=error)
