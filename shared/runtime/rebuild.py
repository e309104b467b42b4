"""A projection made anew from the log beside the live one, and put in its place without a failed request.

A shadow table is filled from the first record of the topic through a gate of its own, kept in memory for the run. For
the swap the live positions are locked, the shadow reads exactly up to them, both are compared, and the tables change
places in one short transaction.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from uuid import UUID

import asyncpg
import structlog

from shared.runtime.kafka import Partition
from shared.runtime.migrating import quoted
from shared.runtime.postgres import Connection
from shared.runtime.projections import Projection, checksum
from shared.runtime.shadow import Shadow
from shared.schemas.topics import topic_name

log = structlog.get_logger()
Progress: TypeAlias = Callable[[int, int], None]
"""records read, records to read"""

PATIENCE_FOR_OUTBOX = 10.0
NEARLY_THERE = 500
"""So few records are read under the lock of the positions: the live reader waits for a moment only."""
MOST_SWAPS = 200
MOST_LISTED = 1000
ONE_AT_A_TIME = 0x72656275

_OLD = "_before"  # of its own, because the indexes of both tables have the same names
_OUTBOX = "select count(*) from outbox"
_POSITIONS = "select part, next from positions where topic = $1 order by part"
_HOLD_READERS = f"{_POSITIONS} for update"


class NotDrained(Exception):
    """Unpublished events are all that this database has and the log lacks: nothing is rebuilt before they are out."""


class NothingRead(Exception):
    """The service has no position in this topic yet: there is nothing to rebuild."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """rows and checksum of the shadow; cases whose rows differ from the live ones; whether it took their place."""

    rows: int
    checksum_before: str
    checksum_after: str
    differences: tuple[UUID, ...]
    swapped: bool


async def rebuild(
    owner_dsn: str,
    bootstrap: str,
    prefix: str,
    publisher: str,
    projection: Projection,
    accept_differences: bool = False,
    progress: Progress = lambda _, __: None,
) -> Rebuilt:
    """Fills a shadow of the projection from the log and swaps it in if it is equal, or if differences are accepted.

    Raises NotDrained, NothingRead, and what Kafka and PostgreSQL raise; the live table stays as it is then.
    """
    schema, topic = f"rebuild_{projection.name}", topic_name(prefix, projection.log)
    filling, swapping = await asyncpg.connect(owner_dsn), await asyncpg.connect(owner_dsn)
    shadow = Shadow(filling, bootstrap, topic, publisher, projection, schema)
    try:
        await swapping.execute("select pg_advisory_lock($1)", ONE_AT_A_TIME)
        await _drained(swapping)
        await make_twin(filling, projection.name, schema)
        await shadow.open(await _live(swapping, _POSITIONS, topic))
        await _catch_up(swapping, shadow, topic, progress)
        return await _swap(swapping, shadow, accept_differences)
    finally:
        await shadow.close()
        await swapping.execute(_dropped(schema))
        await filling.close()
        await swapping.close()


async def _drained(connection: Connection) -> None:
    end = time.monotonic() + PATIENCE_FOR_OUTBOX
    while await connection.fetchval(_OUTBOX):
        if time.monotonic() > end:
            raise NotDrained("the outbox does not empty: is the relay running, does the broker answer?")
        await asyncio.sleep(0.02)


async def _live(connection: Connection, query: str, topic: str) -> dict[Partition, int]:
    rows = await connection.fetch(query, topic)
    if not rows:
        raise NothingRead(topic)
    return {(topic, row["part"]): row["next"] for row in rows}


async def _catch_up(connection: Connection, shadow: Shadow, topic: str, progress: Progress) -> None:
    """Reads until so little is missing that the live reader can wait for the rest."""
    while True:
        target = await _live(connection, _POSITIONS, topic)
        total = sum(target.values())
        if total - sum(shadow.next.values()) <= NEARLY_THERE:
            return
        await shadow.read_to(target, partial(_tell, progress, total))


def _tell(progress: Progress, total: int, done: int) -> None:
    progress(done, total)


async def _swap(connection: asyncpg.Connection, shadow: Shadow, accept_differences: bool) -> Rebuilt:
    """Tries again where a request in hand holds the live table: every new query waits behind a pending exclusive lock,
    so it is given up soon; now and then it waits long enough for autovacuum to step aside."""
    for attempt in range(1, MOST_SWAPS + 1):
        try:
            async with connection.transaction():
                patience = "1500ms" if attempt % 5 == 0 else "200ms"
                return await _compare_and_swap(connection, shadow, accept_differences, patience)
        except (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError):
            log.info(
                "the swap waits for requests in hand", attempt=attempt, projection=shadow.projection.name
            )
            await asyncio.sleep(min(1.0, 0.02 * attempt))
    raise TimeoutError(f"{shadow.projection.name} was in use all the time: nothing was changed")


async def _compare_and_swap(
    connection: Connection, shadow: Shadow, accept_differences: bool, patience: str
) -> Rebuilt:
    projection, name = shadow.projection, shadow.projection.name
    await shadow.read_to(await _live(connection, _HOLD_READERS, shadow.topic))
    await shadow.settle()
    before, after = (
        await checksum(connection, projection),
        await checksum(connection, projection, shadow.schema),
    )
    differences = await differing(connection, projection, shadow.schema) if before != after else ()
    swap = not differences or accept_differences
    if swap:
        await connection.execute(f"set local lock_timeout = '{patience}'")
        await connection.execute(_exchange(name, shadow.schema))
        await connection.execute("delete from parked_projections where projection = $1", name)
        await connection.execute(
            f"insert into parked_projections select * from {quoted(shadow.schema)}.parked_projections"
        )
    return Rebuilt(after[0], before[1], after[1], differences, swap)


def _exchange(table: str, schema: str) -> str:
    return f"""
alter table public.{quoted(table)} set schema {quoted(schema + _OLD)};
alter table {quoted(schema)}.{quoted(table)} set schema public"""


async def differing(connection: Connection, projection: Projection, schema: str) -> tuple[UUID, ...]:
    """The cases whose rows are not the same in both tables, at most so many as anybody would read."""
    columns, name = ", ".join(map(quoted, projection.columns)), quoted(projection.name)
    live, other = f"select {columns} from public.{name}", f"select {columns} from {quoted(schema)}.{name}"
    query = f"""
select distinct case_id from (({live} except {other}) union all ({other} except {live})) d
order by case_id limit {MOST_LISTED}"""
    return tuple(row[0] for row in await connection.fetch(query))


def _dropped(schema: str) -> str:
    return f"drop schema if exists {quoted(schema)}, {quoted(schema + _OLD)} cascade"


_CONSTRAINTS = """
select conname, pg_get_constraintdef(oid) from pg_constraint
where conrelid = ('public.' || quote_ident($1))::regclass and contype in ('p', 'u', 'c', 'x') order by conname"""
_INDEXES = """
select pg_get_indexdef(i.indexrelid) from pg_index i
where i.indrelid = ('public.' || quote_ident($1))::regclass
  and not exists (select from pg_constraint c where c.conindid = i.indexrelid)"""
_OPTIONS = "select array_to_string(reloptions, ', ') from pg_class where oid = ('public.' || quote_ident($1))::regclass"
_RIGHTS = """
select grantee, string_agg(privilege_type, ', ') from information_schema.role_table_grants
where table_schema = 'public' and table_name = $1 and grantee <> current_user group by grantee"""


async def make_twin(connection: Connection, table: str, schema: str) -> None:
    """An empty table like the live one in a schema of its own: same columns, names of indexes, settings and rights."""
    live, twin = f"public.{quoted(table)}", f"{quoted(schema)}.{quoted(table)}"
    statements = [
        _dropped(schema),
        f"create schema {quoted(schema)}; create schema {quoted(schema + _OLD)}",
        f"create table {twin} (like {live} including defaults including generated including storage)",
        f"create table {quoted(schema)}.parked_projections (like public.parked_projections including all)",
    ]
    for row in await connection.fetch(_CONSTRAINTS, table):
        statements.append(f"alter table {twin} add constraint {quoted(row[0])} {row[1]}")
    for row in await connection.fetch(_INDEXES, table):
        statements.append(
            row[0].replace(f" ON {live} ", f" ON {twin} ").replace(f" ON public.{table} ", f" ON {twin} ")
        )
    if options := await connection.fetchval(_OPTIONS, table):
        statements.append(f"alter table {twin} set ({options})")
    for row in await connection.fetch(_RIGHTS, table):
        statements.append(f"grant {row[1]} on {twin} to {quoted(row[0])}")
    async with connection.transaction():
        for statement in statements:
            await connection.execute(statement)
