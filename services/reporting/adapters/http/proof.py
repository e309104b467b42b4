"""The proof of the log over HTTP: a case's exact bytes with their hashes, and the verification of everything."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
import structlog
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response, StreamingResponse

from services.reporting.adapters.http.answers import fresh_answer, the_case
from services.reporting.adapters.http.replay import Name, Reader
from services.reporting.adapters.ledger import PostgresLedger, events_of
from services.reporting.adapters.topics import KafkaTopics
from services.reporting.adapters.verifiers import Verifiers
from services.reporting.application.verifying import Progress, Verification
from services.reporting.domain.chain import genesis
from services.reporting.domain.framing import unpacked
from shared.runtime.auth import Principal, Role, allow
from shared.runtime.http.freshness import AskedToken
from shared.runtime.http.pages import AskedPage, Cursor
from shared.runtime.http.problems import Problem
from shared.runtime.kafka import logs_of
from shared.runtime.running import Running

CURSOR = Cursor(int)
NDJSON = "application/x-ndjson"
TELL_EVERY = 1.0
"""Seconds between two lines of progress."""
log = structlog.get_logger()


def proof_routes(running: Running[Any, Any]) -> APIRouter:
    """A case's events as they were published, and the verification."""
    router = APIRouter(prefix="/v1", tags=["proof"])
    turn = asyncio.Lock()

    @router.get("/cases/{case}/events", response_model=None)
    async def events(
        principal: Reader,
        case: Name,
        page: AskedPage,
        token: AskedToken,
        form: Annotated[Literal["base64", "json"], Query(alias="format")] = "base64",
    ) -> Response:
        """The accepted events in accepted order, each with its place in the topic and the hash behind it."""
        fresh = await running.seen(token)
        which = await the_case(running, principal, case)
        topic = f"{running.settings.topic_prefix}.cases"
        after = CURSOR.parse(page.cursor) if page.cursor else 0
        rows = await events_of(running.parts.pool, topic, which, after, page.limit + 1)
        items = [_event(row, form) for row in rows[: page.limit]]
        body = {
            "case": which,
            "topic": topic,
            "genesis": genesis(topic, str(which).encode()).hex(),
            "items": items,
            "next": CURSOR.render(items[-1]["number"]) if len(rows) > page.limit else None,
        }
        return await fresh_answer(running, fresh, body)

    @router.post(
        "/verification", response_class=StreamingResponse, responses={200: {"content": {NDJSON: {}}}}
    )
    async def verify(_: Annotated[Principal, Depends(allow(Role.AUD))]) -> Response:
        """Compares the ledger with the topics, both ways: lines of progress, the last line is the result."""
        if turn.locked():
            detail = "A verification is running; its result holds for everybody."
            raise Problem(409, "verification-running", detail, retry_after=10)
        return StreamingResponse(_told(running, turn), media_type=NDJSON)

    return router


def _event(row: Any, form: str) -> dict[str, Any]:
    body = {"json": orjson.Fragment(row["body"])} if form == "json" else {"body": _base64(row["body"])}
    return {
        "number": row["n"],
        "partition": row["part"],
        "offset": row["off"],
        "hash": row["hash"].hex(),
        "published_at": row["stamped"],
        "headers": unpacked(row["headers"]),
        **body,
    }


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


async def _told(running: Running[Any, Any], turn: asyncio.Lock) -> AsyncIterator[bytes]:
    """Runs beside the answer, so that a reader who goes away ends it."""
    lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with turn:
        task = asyncio.create_task(_verify(running, lines))
        try:
            while True:
                line = await lines.get()
                yield orjson.dumps(line) + b"\n"
                if "progress" not in line:
                    return
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _verify(running: Running[Any, Any], lines: "asyncio.Queue[dict[str, Any]]") -> None:
    settings, loop = running.settings, asyncio.get_running_loop()
    told = loop.time()

    async def tell(progress: Progress) -> None:
        nonlocal told
        if loop.time() - told >= TELL_EVERY:
            told = loop.time()
            lines.put_nowait({"progress": asdict(progress)})
        await asyncio.sleep(0)

    try:
        async with KafkaTopics(settings.kafka_bootstrap) as topics:
            verifiers = Verifiers(settings.kafka_bootstrap, settings.pg_dsn)
            verification = Verification(topics, PostgresLedger(running.parts.pool), tell, verifiers)
            result = await verification.run(sorted(logs_of(settings.topic_prefix)))
    except Exception as error:  # noqa: BLE001 - the answer has begun: its last line is the only place left to say so
        log.error("the verification could not be finished", exc_info=error)
        lines.put_nowait({"error": type(error).__name__})
    else:
        lines.put_nowait({"result": result.plain()})
