"""How a service runs as a process: its web application around the running parts, and its command line."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from shared.runtime import operations
from shared.runtime.build import VERSION
from shared.runtime.collecting import collect_seldom
from shared.runtime.http.app import make_app
from shared.runtime.http.health import health_routes
from shared.runtime.http.refusals import register_refusals
from shared.runtime.logs import configure_logs
from shared.runtime.loops import Loop
from shared.runtime.migrating import migrate
from shared.runtime.rebuild import rebuild
from shared.runtime.running import ROLES, Blueprint, Running
from shared.runtime.settings import BadSettings, RuntimeSettings
from shared.runtime.telemetry import start_tracing

GRACE = 10
"""Seconds that requests get to end; the parts get the rest of the fifteen."""
log = structlog.get_logger()


def application(running: Running[Any, Any]) -> FastAPI:
    """The web application of a running service: it answers from the first moment and starts the parts beside."""
    register_refusals()
    gauges = Loop("gauges", lambda: operations.sample(running), rest_least=5, rest_most=5)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running.start()
        gauges.start()
        try:
            yield
        finally:
            await gauges.stop(1)
            await running.stop()

    app = make_app(f"Redress {running.blueprint.name}", VERSION, tokens=running.tokens, lifespan=lifespan)
    app.include_router(
        health_routes(lambda: not running.failed, running.reasons, lambda: operations.state(running))
    )
    app.include_router(operations.parked_routes(running))
    if running.role != "worker":
        for router in running.blueprint.routes(running):
            app.include_router(router)
    return app


def serve(blueprint: Blueprint[Any, Any], settings: RuntimeSettings, role: str) -> None:
    """Runs until the process is told to stop."""
    configure_logs(blueprint.name)
    start_tracing(blueprint.name, settings.otel_exporter_otlp_endpoint)
    running = Running(blueprint, settings, role)
    app = application(running)
    collect_seldom()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
    )
    if running.lost:
        sys.exit(3)


def main(blueprint: Blueprint[Any, Any], settings_type: type[RuntimeSettings] = RuntimeSettings) -> None:
    """`python -m services.<name> serve [--role R] | migrate | rebuild NAME`; exits 2 on wrong use."""
    asked = _arguments(blueprint).parse_args()
    environ = os.environ
    try:
        if asked.command == "migrate":
            asyncio.run(_migrate(blueprint, environ))
        elif asked.command == "rebuild":
            sys.exit(asyncio.run(_rebuild(blueprint, environ, asked.projection, asked.accept_differences)))
        else:
            serve(blueprint, settings_type.of(blueprint.name, environ), asked.role)
    except BadSettings as bad:
        print(bad, file=sys.stderr)  # noqa: T201 - the one line that the caller must read
        sys.exit(2)


def _arguments(blueprint: Blueprint[Any, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{blueprint.name}")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="answer requests, read the log, do what is owed")
    serving.add_argument("--role", choices=ROLES, default="all")
    commands.add_parser("migrate", help="bring the database to this build's tables")
    rebuilding = commands.add_parser(
        "rebuild", help="make a projection anew from the log beside the live one"
    )
    rebuilding.add_argument("projection", choices=[projection.name for projection in blueprint.projections])
    rebuilding.add_argument("--accept-differences", action="store_true")
    return parser


def _needed(environ: Mapping[str, str], name: str) -> str:
    if value := environ.get(name):
        return value
    raise BadSettings(f"{name} is missing. `redress up` writes it to .run/env.")


async def _migrate(blueprint: Blueprint[Any, Any], environ: Mapping[str, str]) -> None:
    dsn = _needed(environ, f"PG_DSN_{blueprint.name.upper()}_OWNER")
    applied = await migrate(dsn, blueprint.name, blueprint.migrations, insert_only=blueprint.insert_only)
    print(f"{blueprint.name}: {', '.join(applied) or 'nothing to apply'}")  # noqa: T201


async def _rebuild(
    blueprint: Blueprint[Any, Any], environ: Mapping[str, str], name: str, accept_differences: bool
) -> int:
    (projection,) = (one for one in blueprint.projections if one.name == name)
    rebuilt = await rebuild(
        _needed(environ, f"PG_DSN_{blueprint.name.upper()}_OWNER"),
        _needed(environ, "KAFKA_BOOTSTRAP"),
        environ.get("TOPIC_PREFIX", "complaints"),
        blueprint.name,
        projection,
        accept_differences=accept_differences,
    )
    return _told(name, rebuilt.rows, rebuilt.checksum_before, rebuilt.checksum_after, rebuilt.differences)


def _told(name: str, rows: int, before: str, after: str, differences: Sequence[object]) -> int:
    print(f"{name}: {rows} rows, checksum before {before}, after {after}")  # noqa: T201
    for difference in differences:
        print(f"  differs: {difference}")  # noqa: T201
    return 0 if not differences else 1
