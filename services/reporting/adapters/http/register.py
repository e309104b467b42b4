"""The register over HTTP: pages, a CSV extract of everything asked for, and counts."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, astuple
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import Response, StreamingResponse

from services.reporting.adapters.http.answers import fresh_answer
from services.reporting.projections import reading_the_register as reading
from services.reporting.projections.reading_the_register import COUNTED, Filters
from services.reporting.projections.register import REGISTER, Row
from shared.runtime.auth import Principal, Role, allow
from shared.runtime.http.freshness import AskedToken
from shared.runtime.http.pages import AskedPage, Cursor, page_of
from shared.runtime.postgres import Pool
from shared.runtime.running import Running

CURSOR: Cursor[tuple[date, UUID]] = Cursor(tuple[date, UUID])
_NAME = f"({'|'.join(COUNTED)})"
BY = f"^{_NAME}(,{_NAME})*$"
EXTRACTS_AT_ONCE = 2
"""Each holds a session for as long as its reader takes."""
READERS = allow(
    Role.CON, Role.INT, Role.OWN, Role.LEAD, Role.CM, Role.EXE, Role.QM, Role.CTL, Role.AUD, Role.DPO
)
Reader = Annotated[Principal, Depends(READERS)]
Asked = Annotated[Filters, Depends()]
Format = Annotated[Literal["json", "csv"] | None, Query(alias="format", description="As Accept says it.")]


def register_routes(running: Running[Any, Any]) -> APIRouter:
    """/v1/register and its counts."""
    router = APIRouter(prefix="/v1/register", tags=["register"])
    turn = asyncio.Semaphore(EXTRACTS_AT_ONCE)

    @router.get("", response_model=None, responses={200: {"content": {"text/csv": {}}}})
    async def register(
        principal: Reader,
        asked: Asked,
        page: AskedPage,
        token: AskedToken,
        form: Format = None,
        accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        """Complaints, newest receipt first; as CSV all of them at once."""
        after = CURSOR.parse(page.cursor) if page.cursor else None
        fresh = await running.seen(token)
        pool = running.parts.pool
        if form == "csv" or (form is None and "text/csv" in (accept or "")):
            freshness = await running.freshness()
            headers = {**freshness.headers(), "Content-Disposition": 'attachment; filename="register.csv"'}
            lines = _lines(pool, turn, principal, asked)
            return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
        rows = await reading.page(pool, principal, asked, after, page.limit)
        found = page_of(rows, page.limit, _cursor_of)
        body = {"items": [asdict(row) for row in found.items], "next": found.next}
        return await fresh_answer(running, fresh, body)

    @router.get("/counts", response_model=None)
    async def counts(
        principal: Reader,
        asked: Asked,
        token: AskedToken,
        by: Annotated[str, Query(pattern=BY, description="What to count by, comma between.")] = "month",
    ) -> Response:
        """How many complaints, in all and by each of the columns; every list adds up to the same total."""
        names = list(dict.fromkeys(by.split(",")))
        fresh = await running.seen(token)
        found = await reading.counts(running.parts.pool, principal, asked, names)
        told = {
            name: {"total": found.total, "rows": [asdict(count) for count in rows]}
            for name, rows in found.by.items()
        }
        return await fresh_answer(running, fresh, {"total": found.total, "by": told})

    return router


def _cursor_of(row: Row) -> str:
    assert row.received_on is not None  # nobody sees a case before it was received
    return CURSOR.render((row.received_on, row.case_id))


async def _lines(
    pool: Pool, turn: asyncio.Semaphore, principal: Principal, asked: Filters
) -> AsyncIterator[bytes]:
    async with turn, pool.acquire() as connection, connection.transaction(readonly=True):
        yield _csv([list(REGISTER.columns)])
        async for rows in reading.extract(connection, principal, asked):
            yield _csv([[cell(value) for value in astuple(row)] for row in rows])


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def cell(value: object) -> str:
    """A value as a cell; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):
        return "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return value.isoformat() if isinstance(value, date) else str(value)
