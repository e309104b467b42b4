"""One way to make a web application, so that all services refuse, log, trace and describe alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from fastapi.routing import iter_route_contexts
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.auth import Tokens
from shared.runtime.http.bodies import BodyRule, CheckBodies
from shared.runtime.http.health import PROBES
from shared.runtime.http.problems import MEDIA_TYPE, AnswerProblems, answer, problem_of
from shared.runtime.telemetry import TraceRequests

CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "urn:redress:problem:<code>"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri", "description": "the trace of the request"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
PROBLEM_RESPONSES = {
    "4XX": {"$ref": "#/components/responses/Refused"},
    "5XX": {"$ref": "#/components/responses/Unable"},
}

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]
log = structlog.get_logger()


class Application(FastAPI):
    """FastAPI whose description says that every refusal is a problem."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = with_problems(super().openapi())
        return self.openapi_schema


def make_app(
    title: str,
    version: str,
    *,
    tokens: Tokens | None = None,
    lifespan: Lifespan | None = None,
    body_rules: Mapping[str, BodyRule] | None = None,
    dependencies: Sequence[Depends] = (),
) -> FastAPI:
    """An application without routes: allow() asks tokens, body_rules names paths with bodies not JSON."""
    app = Application(
        title=title,
        version=version,
        lifespan=lifespan,
        dependencies=dependencies,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(TraceRequests),
            Middleware(LogRequests),
            Middleware(AnswerProblems),
            Middleware(CheckBodies, rules=body_rules),
        ],
    )
    app.state.tokens = tokens
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(RequestValidationError, answer)
    return app


async def answer_http(request: Request, error: Exception) -> Response:
    """What the framework refuses; of a wrong method all right ones are told, not those of one route alone."""
    problem = problem_of(error)
    if problem.status_code == 405:
        problem.headers = {**(problem.headers or {}), "Allow": ", ".join(_methods_at(request))}
    return problem.response()


def _methods_at(request: Request) -> list[str]:
    here = [
        route.methods or ()
        for route in iter_route_contexts(request.app.routes)
        if (pattern := getattr(route, "path_regex", None)) and pattern.match(request.url.path)
    ]
    return sorted({method for methods in here for method in methods})


def with_problems(description: dict[str, Any]) -> dict[str, Any]:
    """A description in which every operation may answer problem details, not the framework's own form."""
    parts = description.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for framework_own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_own, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    parts["responses"] = {
        "Refused": {"description": "The request is refused; the problem says why.", "content": content},
        "Unable": {"description": "The service cannot answer now; the problem says why.", "content": content},
    }
    for operations in description.get("paths", {}).values():
        for operation in operations.values():
            responses = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]
            responses.update(PROBLEM_RESPONSES)
    return description


class LogRequests:
    """Sets the security headers and logs each request by its route's template, never by its address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            note = log.debug if scope["path"] in PROBES else log.info
            seconds = round(time.perf_counter() - began, 6)
            note("request", method=scope["method"], route=_template(scope), status=status, seconds=seconds)


def _template(scope: Scope) -> str:
    """The path with names for the parameters' values; an address that no route has may hold anything."""
    if "endpoint" not in scope:
        return "unmatched"
    names = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names.get(part, part) for part in scope["path"].split("/"))
