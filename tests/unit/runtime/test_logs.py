"""No line of the log can hold personal data, whoever writes it."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.runtime.http.app import make_app
from shared.runtime.logs import configure_logs
from shared.runtime.telemetry import span
from tests.unit.runtime.http_client import Caller

SECRET = "Erika Mustermann"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    configure_logs("test", "DEBUG", out)
    yield out
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    assert SECRET not in written.getvalue()
    return [json.loads(line) for line in written.getvalue().splitlines()]


def failing(depth: int = 2) -> None:
    secret_local = SECRET
    if depth:
        failing(depth - 1)
    raise ValueError(f"cannot read {secret_local}")


def test_a_field_that_is_not_listed_is_dropped_and_its_name_told(written: io.StringIO) -> None:
    structlog.get_logger().info("case opened", case="0198", customer=SECRET, email=SECRET)
    (line,) = lines(written)
    assert line["event"] == "case opened"
    assert line["case"] == "0198"
    assert line["service"] == "test"
    assert line["level"] == "info"
    assert line["dropped"] == ["customer", "email"]


def test_values_are_not_formatted_into_the_message(written: io.StringIO) -> None:
    structlog.get_logger().info("opened for %s", SECRET)
    assert lines(written)[0]["event"] == "opened for %s"


def test_an_error_is_its_type_and_where_it_happened(written: io.StringIO) -> None:
    try:
        try:
            failing()
        except ValueError as inner:
            raise RuntimeError(SECRET) from inner
    except RuntimeError as error:
        structlog.get_logger().error("failed", exc_info=error)
    (line,) = lines(written)
    assert line["error"] == "RuntimeError"
    assert line["caused_by"] == ["ValueError"]
    assert line["frames"][0].split(":")[1] == "test_an_error_is_its_type_and_where_it_happened"


def test_an_error_group_names_the_types_of_its_members(written: io.StringIO) -> None:
    group = ExceptionGroup(SECRET, [KeyError(SECRET), OSError(SECRET)])
    structlog.get_logger().error("failed", exc_info=group)
    assert lines(written)[0]["caused_by"] == ["KeyError", "OSError"]


def test_a_librarys_message_is_kept_and_its_error_reduced(written: io.StringIO) -> None:
    library = logging.getLogger("some.library")
    try:
        failing()
    except ValueError as error:
        library.exception("Consumer failed: %s", error)
        library.warning(f"ValueError: {error}\n{SECRET}", exc_info=True)
        library.error("again %(error)s", {"error": error})
    first, second, third = lines(written)
    assert first["event"] == "Consumer failed: ValueError"
    assert first["error"] == "ValueError"
    assert first["frames"][-1].split(":")[1] == "failing"
    assert second["event"] == "ValueError: ValueError"
    assert third["event"] == "again ValueError"


def test_only_the_first_line_of_a_message_is_kept(written: io.StringIO) -> None:
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <Task exception=%s>", SECRET
    )
    assert lines(written)[0]["event"] == "Task exception was never retrieved"


def test_a_message_that_does_not_fit_its_arguments_is_no_error(written: io.StringIO) -> None:
    logging.getLogger("some.library").error("%d cases", "many")
    assert lines(written)[0]["event"] == "%d cases"


def test_a_line_names_the_running_trace(written: io.StringIO) -> None:
    with span("work") as here:
        structlog.get_logger().info("inside")
        logging.getLogger("some.library").info("inside too")
    for line in lines(written):
        assert line["trace_id"] == f"{here.get_span_context().trace_id:032x}"
        assert line["span_id"] == f"{here.get_span_context().span_id:016x}"


def test_an_error_that_nobody_handles_is_reduced_as_well(written: io.StringIO) -> None:
    try:
        failing()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    (line,) = lines(written)
    assert (line["level"], line["error"]) == ("critical", "ValueError")


def test_a_request_is_logged_by_template_and_never_by_address_or_body(written: io.StringIO) -> None:
    app = make_app("test", "1")

    @app.post("/cases/{case}/notes/{note}")
    async def note(case: str, note: str) -> str:
        raise LookupError(SECRET + case + note)

    client = Caller(app)
    assert client.post(f"/cases/{SECRET}/notes/2?q={SECRET}").status_code == 500
    assert client.get(f"/{SECRET}").status_code == 404
    unexpected, failed, unknown = lines(written)
    assert unexpected["error"] == "LookupError"
    assert unexpected["trace_id"] == failed["trace_id"]
    assert (failed["route"], failed["status"]) == ("/cases/{case}/notes/{note}", 500)
    assert (unknown["route"], unknown["status"]) == ("unmatched", 404)


def test_probes_are_logged_for_debugging_only(written: io.StringIO) -> None:
    Caller(make_app("test", "1")).get("/healthz")
    assert lines(written)[0]["level"] == "debug"
