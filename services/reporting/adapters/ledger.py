"""The ledger: every record of the log as it came, with the gate's word on it, and a hash chain through each case.

It opens no record, so that nothing can park it, and it only ever adds rows.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from services.reporting.application.checking import Stretch
from services.reporting.application.judging import words
from services.reporting.domain.chain import following, genesis
from services.reporting.domain.framing import packed
from services.reporting.domain.records import Entry, Link, Word
from shared.runtime.gate import Record, Verdict
from shared.runtime.postgres import Connection, Pool
from shared.runtime.receive import columns

INSERT_ONLY = ("ledger", "chain")

_ENDS = """
select k.topic, k.case_id, c.n, c.hash
from unnest($1::text[], $2::uuid[]) k (topic, case_id),
lateral (select n, hash from chain where (topic, case_id) = (k.topic, k.case_id) order by n desc limit 1) c"""
_ROWS = """
select off, key, headers, verdict, body from ledger where topic = $1 and part = $2 and off >= $3 and off < $4
order by off"""
_LINKS = """
select off, case_id, n, hash from chain where topic = $1 and part = $2 and off >= $3 and off < $4
order by off, n"""
_DIGEST = """
with l as (select off, key, headers, convert_to(verdict, 'UTF8') as word, body from ledger
           where topic = $1 and part = $2 and off >= $3 and off < $4),
  c as (select off, n, convert_to(case_id::text, 'UTF8') as name, hash from chain
        where topic = $1 and part = $2 and off >= $3 and off < $4)
select sha256(coalesce(string_agg(coalesce(
    int8send(off)
    || coalesce(int4send(length(key)) || key, int4send(-1))
    || int4send(length(headers)) || headers || int4send(length(word)) || word
    || coalesce(int4send(32) || sha256(body), int4send(-1))
    || coalesce(int4send(n) || int4send(length(name)) || name || int4send(length(hash)) || hash, int4send(-1)),
    int8send(off)  -- a link without its record, which must not pass for nothing
  ), ''::bytea order by off, n), ''::bytea))
from l full join c using (off)"""
"""domain.digest, computed where the rows are: pg_catalog's functions over the very bytes that are stored."""
_OUTSIDE = "from ledger where topic = $1 and part = $2 and (off < $3 or (off >= $4 and off < $5))"
_STRANGERS = "from ledger where topic = $1 and part <> all($2::smallint[])"
_COLUMNS = "select off, key, headers, verdict, body"
_LEDGER = ["topic", "part", "off", "key", "headers", "verdict", "body", "stamped"]
_WHERE_FREE = f"""
insert into ledger ({", ".join(_LEDGER)}) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing"""
_CHAIN = ["topic", "case_id", "n", "part", "off", "hash"]


async def witness(connection: Connection, records: Sequence[Record], verdict: Verdict) -> None:
    """Writes down a batch in the receiver's transaction, and chains what was accepted in it."""
    said = words(verdict)
    rows = [
        (
            record.topic,
            record.partition,
            record.offset,
            record.key,
            packed(record.headers),
            said.get((record.topic, record.partition, record.offset), Word.ASIDE),
            record.value,
            stamp(record),
        )
        for record in records
    ]
    try:
        async with connection.transaction():
            await connection.copy_records_to_table("ledger", records=rows, columns=_LEDGER)
    except (
        asyncpg.UniqueViolationError
    ):  # a foreign hand was here first: it is for the verification to say so
        await connection.executemany(_WHERE_FREE, rows)
    if verdict.accepted:
        links = await _links(connection, verdict)
        await connection.copy_records_to_table("chain", records=links, columns=_CHAIN)


async def _links(connection: Connection, verdict: Verdict) -> list[tuple[object, ...]]:
    cases = list({(record.topic, record.key[0]) for record in verdict.accepted})
    ends: dict[tuple[str, UUID], tuple[int, bytes]] = {
        (row[0], row[1]): (row[2], row[3]) for row in await connection.fetch(_ENDS, *columns(cases, 2))
    }
    links: list[tuple[object, ...]] = []
    for record in verdict.accepted:
        case = record.topic, record.key[0]
        n, before = ends.get(case) or (0, genesis(record.topic, str(record.key[0]).encode()))
        ends[case] = n + 1, following(before, record.body)
        links.append((*case, n + 1, record.part, record.off, ends[case][1]))
    return links


_EVENTS = """
select c.n, c.part, c.off, c.hash, l.headers, l.body, l.stamped from chain c join ledger l using (topic, part, off)
where c.topic = $1 and c.case_id = $2 and c.n > $3 order by c.n limit $4"""


async def events_of(pool: Pool, topic: str, case: UUID, after: int, most: int) -> Sequence[asyncpg.Record]:
    """A case's accepted events from behind the after-th: number, place, hash, headers, exact bytes, when published."""
    return await pool.fetch(_EVENTS, topic, case, after, most)


def stamp(record: Record) -> datetime | None:
    """When the record was published, if the client says so: in milliseconds since 1970."""
    milliseconds = getattr(record, "timestamp", None)
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


class PostgresLedger:
    """Implements LedgerBook."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def top(self, topic: str, part: int) -> int:
        last: int | None = await self._pool.fetchval(
            "select max(off) from ledger where topic = $1 and part = $2", topic, part
        )
        return 0 if last is None else last + 1

    async def reached(self) -> Mapping[tuple[str, int], int]:
        rows = await self._pool.fetch("select topic, part, next from positions")
        return {(row["topic"], row["part"]): row["next"] for row in rows}

    async def digest(self, topic: str, part: int, low: int, high: int) -> bytes:
        found: bytes = await self._pool.fetchval(_DIGEST, topic, part, low, high)
        return found

    async def window(self, topic: str, part: int, low: int, high: int) -> tuple[list[Entry], list[Link]]:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_ROWS, topic, part, low, high)
            links = await connection.fetch(_LINKS, topic, part, low, high)
        return [Entry(*row) for row in rows], [Link(row[0], str(row[1]).encode(), *row[2:]) for row in links]

    async def outside(self, stretch: Stretch, top: int, most: int) -> tuple[int, list[Entry]]:
        place = stretch.topic, stretch.part, stretch.start, stretch.end, top
        total: int = await self._pool.fetchval(f"select count(*) {_OUTSIDE}", *place)
        rows = await self._pool.fetch(f"{_COLUMNS} {_OUTSIDE} order by off limit {most}", *place)
        return total, [Entry(*row) for row in rows]

    async def strangers(
        self, topic: str, parts: Sequence[int], most: int
    ) -> tuple[int, list[tuple[int, Entry]]]:
        total: int = await self._pool.fetchval(f"select count(*) {_STRANGERS}", topic, parts)
        found = f"{_COLUMNS}, part {_STRANGERS} order by part, off limit {most}"
        rows = await self._pool.fetch(found, topic, parts)
        return total, [(row["part"], Entry(*row[:5])) for row in rows]
