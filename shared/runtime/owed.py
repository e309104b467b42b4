"""What a service owes its cases: marked cases are folded again, due rows are decided against the present state.

Nothing is triggered by the arrival of a message. The rows are an index over the pure function owed(case); no lock is
held while folding or deciding, and firing twice acts once because the command id derives from what and cause.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Protocol, TypeAlias, TypeVar
from uuid import UUID, uuid5

import asyncpg
import structlog

from shared.runtime.clock import Clock
from shared.runtime.commands import CatchingUp, Decision, Office, Order
from shared.runtime.postgres import Connection, Pool, database_is_away
from shared.runtime.receive import columns
from shared.runtime.store import CaseParked, Conflict, Loaded, load_many
from shared.schemas.base import Actor, Decided
from shared.schemas.envelope import Unreadable
from shared.schemas.refused import Refused

S = TypeVar("S")
MOST_TRIES = 8
SYSTEM = Actor("system", "SYS", "system")
log = structlog.get_logger()


class Work(Protocol):
    """One entry of owed(case): what, because of which event (or its step), and when in business time."""

    @property
    def what(self) -> str: ...
    @property
    def cause(self) -> str: ...
    @property
    def due(self) -> datetime: ...


W = TypeVar("W", bound=Work)


@dataclass(frozen=True, slots=True)
class Performed:
    """What an entry's decision came to, and under which version of the rules."""

    decided: Sequence[Decided]
    policy_version: str | None = None


Perform: TypeAlias = Callable[[UUID, S, W], Awaitable[Performed]]
"""Decides one entry that is due, with whatever the service must ask or do for it first. May raise Later."""


class Later(Exception):
    """The work has begun and is not finished yet: ask again in so many seconds; no failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in {seconds} s")
        self.seconds = seconds


_MARKED = "select case_id from marks limit $1"
_LOCK = "select id, version from cases where id = any($1::uuid[]) order by id for no key update"
_SETTLE = """
with noted as (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) o (case_id, what, cause, due)),
  unmarked as (delete from marks where case_id = any($5::uuid[])),
  paid as (delete from owed o where o.case_id = any($5::uuid[])
           and not exists (select from noted n where (n.case_id, n.what, n.cause) = (o.case_id, o.what, o.cause)))
insert into owed (case_id, what, cause, due) select * from noted on conflict (case_id, what, cause)
do update set due = excluded.due, state = 'due', leased = '-infinity', tries = 0, error = null"""
_PARK = "update cases set parked = coalesce(parked, $2) where id = $1 and version = $3 returning id"
_TAKE = """
update owed o set leased = now() + interval '30 s'
from (select o.case_id, o.what, o.cause from owed o
      join cases c on c.id = o.case_id and c.parked is null and c.forks = 0
      where o.state = 'due' and o.due <= $1 and o.leased <= now()
      order by o.due limit $2 for update of o skip locked) t
where (o.case_id, o.what, o.cause) = (t.case_id, t.what, t.cause) returning o.case_id, o.what, o.cause, o.due"""
_REST = """
with still as materialized (select id from cases where id = $1 and version = $4 for no key update)
update owed o set state = 'idle' from still where (o.case_id, o.what, o.cause) = (still.id, $2, $3)"""
_FAIL = """
update owed set tries = tries + 1, error = $4, leased = now() + interval '1 s' * 2 ^ tries,
  state = case when tries + 1 < $5 then 'due' else 'stuck' end
where (case_id, what, cause) = ($1, $2, $3) returning state"""
_WAIT = """
update owed set leased = now() + interval '1 s' * $4 where (case_id, what, cause) = ($1, $2, $3)"""


@dataclass(frozen=True, slots=True)
class Owing(Generic[S, W]):
    """How one service owes: the pure list, and how an entry of it is performed."""

    office: Office[S]
    owed: Callable[[S], Iterable[W]]
    perform: Perform[S, W]


async def refold(pool: Pool, owing: Owing[S, W], most: int = 200) -> int:
    """Settles marked cases and answers how many. One that moves on meanwhile keeps its mark; one that does not fold
    is parked."""
    async with pool.acquire() as connection:
        marked = [row["case_id"] for row in await connection.fetch(_MARKED, most)]
        if not marked:
            return 0
        loaded = await load_many(connection, marked)
        folded: dict[UUID, tuple[int, Sequence[W]]] = {}
        for case, it in loaded.items():
            try:
                folded[case] = it.version, list(owing.owed(owing.office.state(it)))
            except CaseParked:
                folded[case] = it.version, []
            except Exception as error:  # noqa: BLE001 - whatever a fold raises concerns this case alone
                await _park(connection, it, error)
        return await settle(connection, folded) if folded else 0


async def _park(connection: Connection, it: Loaded, error: Exception) -> None:
    why = f"unreadable: {error}" if isinstance(error, Unreadable) else f"fold failed: {type(error).__name__}"
    async with connection.transaction():
        if await connection.fetchval(_PARK, it.case, why, it.version):
            await connection.execute("delete from marks where case_id = $1", it.case)
            log.error("a case does not fold and is parked", case=it.case, error=type(error).__name__)


async def settle(connection: Connection, folded: dict[UUID, tuple[int, Sequence[W]]]) -> int:
    """Writes what is owed at a version where the case still has it; the others keep their mark and are folded again."""
    async with connection.transaction():
        rows = await connection.fetch(_LOCK, list(folded))
        good = [row["id"] for row in rows if row["version"] == folded[row["id"]][0]]
        owing = [(case, work.what, work.cause, work.due) for case in good for work in folded[case][1]]
        await connection.execute(_SETTLE, *columns(owing, 4), good)
    return len(good)


async def pay(pool: Pool, owing: Owing[S, W], clock: Clock, most: int = 100) -> int:
    """Takes what is due by a lease and acts on it; answers how many rows were taken."""
    rows = await pool.fetch(_TAKE, clock(), most)
    for row in sorted(rows, key=lambda row: row["due"]):
        await _pay_one(pool, owing, clock, row)
    return len(rows)


async def _pay_one(pool: Pool, owing: Owing[S, W], clock: Clock, row: asyncpg.Record) -> None:
    place = row["case_id"], row["what"], row["cause"]
    try:
        version = await _act(owing, clock, *place)
        if version is not None:
            await pool.execute(_REST, *place, version)
    except Later as later:
        await pool.execute(_WAIT, *place, later.seconds)
    except (Conflict, CaseParked, CatchingUp):
        await pool.execute(_WAIT, *place, 0)
    except Exception as error:  # noqa: BLE001 - one row's failure must not keep the others waiting
        if database_is_away(error):
            raise
        state = await pool.fetchval(_FAIL, *place, type(error).__name__, MOST_TRIES)
        note = log.error if state == "stuck" else log.warning
        note("owed work failed", case=place[0], what=place[1], cause=place[2], exc_info=error)


async def _act(owing: Owing[S, W], clock: Clock, case: UUID, what: str, cause: str) -> int | None:
    """None when events were made; the version at which there was nothing to do, else."""
    office = owing.office
    office.check()
    loaded, state = await office.look(case)
    now = clock()
    order = Order(case, uuid5(case, f"{what}/{cause}"), SYSTEM, now, causation=cause)
    still = [
        work for work in owing.owed(state) if (work.what, work.cause) == (what, cause) and work.due <= now
    ]
    if not still or loaded.answer(order.command):
        return loaded.version
    try:
        performed = await owing.perform(case, state, still[0])
    except Refused:
        return loaded.version
    if not performed.decided:
        return loaded.version
    order = replace(order, policy_version=performed.policy_version)
    (change,) = await office.changes([Decision(order, loaded, state, performed.decided)])
    await office.store.append(order.command, change)
    office.appended()
    return None
