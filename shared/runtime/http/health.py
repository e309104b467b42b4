"""What an operator and a probe may ask a service: does it live, may it be asked, in what state is it."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from starlette.responses import Response

from shared.runtime.http.problems import Problem
from shared.runtime.logs import error_fields

PROBES = ("/healthz", "/readyz", "/metrics")
STATE = "/v1/operations/state"
FORWARDED = ("forwarded", "x-forwarded-for")

log = structlog.get_logger()


def health_routes(
    live: Callable[[], bool],
    ready: Callable[[], Awaitable[list[str]]],
    state: Callable[[], Awaitable[Mapping[str, Any]]],
    registry: CollectorRegistry = REGISTRY,
) -> APIRouter:
    """/healthz, /readyz (503 with the reasons that ready gives), /metrics, and the state for this machine."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        if not live():
            raise Problem(503, "not-alive", "The process cannot go on and must be started again.")
        return _json({"status": "ok"})

    @router.get("/readyz")
    async def readyz() -> Response:
        if reasons := await _reasons(ready):
            raise Problem(503, "not-ready", "; ".join(reasons), retry_after=1, reasons=reasons)
        return _json({"status": "ready"})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get(STATE)
    async def operations(request: Request) -> Response:
        if not from_this_machine(request):
            raise Problem(403, "loopback-only", "The state is shown to callers on this machine only.")
        return _json(await state())

    return router


async def _reasons(ready: Callable[[], Awaitable[list[str]]]) -> list[str]:
    try:
        return await ready()
    except Exception as error:  # noqa: BLE001 - whatever hinders asking, the service is not ready
        log.warning("readiness could not be established", **error_fields(error))
        return [f"readiness could not be established: {type(error).__name__}"]


def from_this_machine(request: Request) -> bool:
    """Whether the caller itself, not a proxy on its behalf, speaks from a loopback address."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    return is_loopback(request.client.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and nothing else; names other than localhost are not looked up."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _json(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value, default=str), media_type="application/json")
