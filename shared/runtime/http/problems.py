"""Every refusal as RFC 9457 problem details, and the one table that says which error is which problem."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar, cast

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.logs import error_fields
from shared.runtime.telemetry import current_trace_id

E = TypeVar("E", bound=Exception)
MEDIA_TYPE = "application/problem+json"
CODES = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid",
}
FIELD_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
SHORTEST_ECHO = 3
"""Shorter input found in a message is chance, not an echo."""

log = structlog.get_logger()


class Problem(HTTPException):
    """A refusal that the caller can act on, raised anywhere below a route; its texts never hold input."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        title: str | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        retry = {} if retry_after is None else {"Retry-After": str(retry_after)}
        super().__init__(status, detail, headers={**(headers or {}), **retry})
        self.code = code
        self.title = title or HTTPStatus(status).phrase
        self.members = members

    def body(self) -> dict[str, Any]:
        """The members of RFC 9457; instance names the trace, so that a report can be found in the logs."""
        trace = current_trace_id()
        return {
            "type": f"urn:redress:problem:{self.code}",
            "title": self.title,
            "status": self.status_code,
            **({"detail": self.detail} if self.detail else {}),
            **({"instance": f"urn:redress:trace:{trace}"} if trace else {}),
            **self.members,
        }

    def response(self) -> Response:
        text = json.dumps(self.body(), ensure_ascii=False, default=str)
        content = text.encode("utf-8", "replace")
        return Response(content, self.status_code, headers=dict(self.headers or {}), media_type=MEDIA_TYPE)


ToProblem: TypeAlias = Callable[[Any], Problem]
_table: dict[type[Exception], ToProblem] = {}


def register_problem(error: type[E], to_problem: Callable[[E], Problem]) -> None:
    """Say which problem an exception is; subclasses follow unless they have an entry of their own."""
    _table[error] = to_problem


def problem_of(error: Exception) -> Problem:
    """What answers an error: the nearest entry of the table, else 500 without a word of the cause."""
    if isinstance(error, Problem):
        return error
    for known in type(error).__mro__:
        if to_problem := _table.get(cast(type[Exception], known)):
            return to_problem(error)
    return Problem(500, "internal", "An unexpected error; it has been logged under the trace of this answer.")


def of_http_exception(error: HTTPException) -> Problem:
    """What the framework refuses (404, 405, an unreadable body), in our form."""
    status = error.status_code
    code = CODES.get(status, HTTPStatus(status).phrase.lower().replace(" ", "-"))
    return Problem(status, code, headers=error.headers)


def of_validation(error: RequestValidationError) -> Problem:
    """A request that does not have the declared shape."""
    return invalid(error.errors())


def invalid(errors: Sequence[Any]) -> Problem:
    """422 that names each field and the reason, or 400 if the body is no JSON at all; never a value."""
    if any(each["type"] == "json_invalid" for each in errors):
        return Problem(400, "malformed-json", "The body is not valid JSON.")
    fields = [{"field": _path(each["loc"]), "reason": _reason(each)} for each in errors]
    return Problem(422, "invalid", "Some fields are missing or not as declared.", fields=fields)


def of_pydantic(error: ValidationError, *, at: str = "body") -> Problem:
    """The same for a body that was read by a pydantic adapter instead of the framework."""
    return invalid([{**each, "loc": (at, *each["loc"])} for each in error.errors()])


def _path(location: Sequence[Any]) -> str:
    """Where it is; a key that does not look like a field's name may be personal data and is not repeated."""
    return ".".join(str(part) if FIELD_NAME.fullmatch(str(part)) else "?" for part in location)


def _reason(error: Mapping[str, Any]) -> str:
    kind, text = str(error["type"]), str(error["msg"])
    if kind == "uuid_parsing":
        return "Input should be a valid UUID"
    if any(leaf in text for leaf in _leaves(error.get("input"))):
        return f"Input is not acceptable ({kind})"
    return text.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _leaves(value: Any) -> Iterator[str]:
    """Every text inside an input, however deep."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(key)
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and len(str(value)) >= SHORTEST_ECHO:
        yield str(value)


async def answer(_: Request, error: Exception) -> Response:
    """The exception handler for what the framework raises."""
    return problem_of(error).response()


class AnswerProblems:
    """Whatever is raised below becomes a problem, and what nobody expected is logged as well."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:
            if started:
                raise
            problem = problem_of(error)
            if problem.code == "internal":
                log.error("request failed unexpectedly", **error_fields(error))
            await problem.response()(scope, receive, send)


register_problem(HTTPException, of_http_exception)
register_problem(RequestValidationError, of_validation)
