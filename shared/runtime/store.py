"""The cases of a service: load in accepted order, append if nothing has come in between.

The version of a case is the number of events held. Equal versions mean the same events in the same order, so the same
fold: append compares and raises it, the receiver raises it for foreign events, and reading an own event back changes
nothing. Lock order everywhere: positions, cases in id order, marks, owed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg
import stamina

from shared.runtime.gate import NOTHING
from shared.runtime.postgres import Connection, Pool
from shared.schemas.base import PUBLISHERS
from shared.schemas.envelope import Draft

LOGS = ("cases", "management")
"""Topics whose records pass the gate; the index is stored."""


class Conflict(Exception):
    """The case moved on since it was loaded: load, decide and append again."""


class CaseParked(Exception):
    """Nothing is decided about this case until an operator releases it or an auditor acknowledges its fork."""

    def __init__(self, case: UUID, why: str) -> None:
        super().__init__(f"case {case} is parked: {why}")
        self.case, self.why = case, why


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it is kept: its place, its id, the command that it spends (own events), its exact bytes."""

    publisher: int
    sequence: int
    id: UUID
    command: UUID | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """A case as it stood in one snapshot: events in accepted order, then own ones still on their way."""

    case: UUID
    version: int = 0
    own: int = 0
    gate: tuple[int, ...] = NOTHING
    forks: int = 0
    parked: str | None = None
    events: tuple[Stored, ...] = ()

    def seen(self, me: int) -> str:
        """What a decision on this state knows of the others, as its events will say."""
        return " ".join(f"{PUBLISHERS[p]}:{last}" for p, last in enumerate(self.gate) if last and p != me)

    def answer(self, command: UUID) -> tuple[Stored, ...]:
        """The events that spent this command, if any."""
        return tuple(event for event in self.events if event.command == command)


@dataclass(frozen=True, slots=True)
class Change:
    """What one command adds to one case. past_forks: the command acknowledges the forks that park the case."""

    loaded: Loaded
    drafts: Sequence[Draft]
    log: str = "cases"
    fingerprint: bytes | None = None
    past_forks: bool = False


class CaseStore(Protocol):
    """The port: PostgresCaseStore in service, MemoryCaseStore in tests; one contract suite holds for both."""

    @property
    def publisher(self) -> str:
        """Whose own events this store appends."""
        ...

    async def load(self, case: UUID) -> Loaded:
        """The case in one snapshot; an unknown one has version 0."""
        ...

    async def load_many(self, cases: Collection[UUID]) -> Mapping[UUID, Loaded]:
        """The cases that are known; the others are missing from the answer."""
        ...

    async def append(self, command: UUID, *changes: Change) -> list[tuple[Stored, ...]]:
        """Together: all changes or none. Raises Conflict, CaseParked, TooLarge."""
        ...

    async def append_each(self, changes: Mapping[UUID, tuple[UUID, Change]]) -> set[UUID]:
        """Each for itself: case -> (command, change). Answers the winners; the others are to be decided singly."""
        ...

    async def fingerprint(self, command: UUID) -> bytes | None:
        """What was asked under this command id, while it is known."""
        ...


_LOAD = """
select c.id as case_id, c.version, c.own, c.gate, c.forks, c.parked, e.publisher, e.sequence, e.id, e.command, e.body
from cases c join events e on e.case_id = c.id
  left join case_log l on (l.case_id, l.publisher, l.sequence, l.id) = (e.case_id, e.publisher, e.sequence, e.id)
where {which} and (l.n is not null or e.sequence > c.gate[e.publisher + 1])  -- not one that the log contradicts
order by c.id, l.n, e.sequence"""  # nulls last: own events that have not been read back follow
_LOAD_ONE, _LOAD_MANY = _LOAD.format(which="c.id = $1"), _LOAD.format(which="c.id = any($1::uuid[])")
_APPEND = "select append_case($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
_LOCK = "select from cases where id = any($1::uuid[]) order by id for no key update"
_MANY = "from unnest($1::uuid[], $2::smallint[], $3::int[], $4::int[]) m (id, log, expected, n)"
_OPEN_MANY = f"""
insert into cases (id, log, version, own, gate)
select id, log, n, n, array_fill(0, array[{len(PUBLISHERS)}]) {_MANY} where expected = 0 order by id
on conflict do nothing returning id"""
_MOVE_MANY = f"""
update cases c set version = version + n, own = own + n {_MANY}
where c.id = m.id and version = expected and parked is null and forks = 0 returning c.id"""
_REMEMBER = "insert into fingerprints (command, body) values ($1, $2) on conflict do nothing"
_again = stamina.retry(on=asyncpg.TransactionRollbackError, attempts=4, wait_initial=0.01, wait_max=0.2)
"""Only after a first failure: to stand by for one costs an append a twentieth of its time."""
MARK = "insert into marks select * from unnest($1::uuid[]) id order by id on conflict do nothing"


class PostgresCaseStore:
    """The case store of one service in its own database."""

    def __init__(self, pool: Pool, publisher: str) -> None:
        self.pool, self.publisher, self.me = pool, publisher, PUBLISHERS.index(publisher)

    async def load(self, case: UUID) -> Loaded:
        return _loaded(await self.pool.fetch(_LOAD_ONE, case)).get(case, Loaded(case))

    async def load_many(self, cases: Collection[UUID]) -> Mapping[UUID, Loaded]:
        async with self.pool.acquire() as connection:
            return await load_many(connection, cases)

    async def fingerprint(self, command: UUID) -> bytes | None:
        body: bytes | None = await self.pool.fetchval(
            "select body from fingerprints where command = $1", command
        )
        return body

    async def append(self, command: UUID, *changes: Change) -> list[tuple[Stored, ...]]:
        try:
            return await self._append(command, *changes)
        except asyncpg.TransactionRollbackError:
            return await _again(self._append)(command, *changes)

    async def _append(self, command: UUID, *changes: Change) -> list[tuple[Stored, ...]]:
        numbered = [stored(change, command, self.me) for change in changes]
        if len(changes) == 1:
            await self._append_one(self.pool, command, changes[0], numbered[0])
            return numbered
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, [change.loaded.case for change in changes])
            for change, events in sorted(
                zip(changes, numbered, strict=True), key=lambda pair: pair[0].loaded.case
            ):
                await self._append_one(connection, command, change, events)
        return numbered

    async def _append_one(
        self, on: Pool | Connection, command: UUID, change: Change, events: Sequence[Stored]
    ) -> None:
        case, log = change.loaded.case, change.log
        columns = [e.sequence for e in events], [e.id for e in events], [e.body for e in events]
        place = case, LOGS.index(log), log, change.loaded.version, len(PUBLISHERS), self.me, command
        refusal = await on.fetchval(_APPEND, *place, *columns, change.fingerprint, change.past_forks)
        if refusal == "conflict":
            raise Conflict(case)
        if refusal:
            raise CaseParked(case, refusal)

    @stamina.retry(on=asyncpg.TransactionRollbackError, attempts=5, wait_initial=0.01, wait_max=0.2)
    async def append_each(self, changes: Mapping[UUID, tuple[UUID, Change]]) -> set[UUID]:
        if not changes:
            return set()
        asked = [
            (case, LOGS.index(change.log), change.loaded.version, len(change.drafts))
            for case, (_, change) in changes.items()
        ]
        columns = [list(column) for column in zip(*asked, strict=True)]
        async with self.pool.acquire() as connection, connection.transaction():
            if old := [case for case, _, version, _ in asked if version]:
                await connection.execute(_LOCK, old)
            rows = await connection.fetch(_OPEN_MANY, *columns)
            rows += await connection.fetch(_MOVE_MANY, *columns) if old else []
            won = {row["id"] for row in rows}
            await self._write_each(connection, {case: changes[case] for case in changes if case in won})
        return won

    async def _write_each(self, connection: Connection, won: Mapping[UUID, tuple[UUID, Change]]) -> None:
        events, outbox = [], []
        for case, (command, change) in won.items():
            for event in stored(change, command, self.me):
                events.append((case, event.publisher, event.sequence, event.id, event.command, event.body))
                outbox.append((change.log, case, event.sequence))
        await connection.copy_records_to_table("events", records=events)
        await connection.copy_records_to_table(
            "outbox", records=outbox, columns=["topic", "case_id", "sequence"]
        )
        await connection.execute(MARK, list(won))
        prints = [(command, change.fingerprint) for command, change in won.values() if change.fingerprint]
        if prints:
            await connection.executemany(_REMEMBER, prints)


def stored(change: Change, command: UUID, me: int) -> tuple[Stored, ...]:
    """The drafts with their places: bytes made once, here."""
    seen = change.loaded.seen(me)
    numbered = enumerate(change.drafts, change.loaded.own + 1)
    return tuple(Stored(me, n, draft.id, command, draft.body(n, seen)) for n, draft in numbered)


async def load_many(connection: Connection, cases: Collection[UUID]) -> Mapping[UUID, Loaded]:
    """As CaseStore.load_many, on a connection in hand."""
    return _loaded(await connection.fetch(_LOAD_MANY, list(cases)))


def _loaded(rows: Sequence[asyncpg.Record]) -> dict[UUID, Loaded]:
    found: dict[UUID, tuple[asyncpg.Record, list[Stored]]] = {}
    for row in rows:
        _, events = found.setdefault(row["case_id"], (row, []))
        events.append(Stored(row["publisher"], row["sequence"], row["id"], row["command"], row["body"]))
    return {
        case: Loaded(
            case, row["version"], row["own"], tuple(row["gate"]), row["forks"], row["parked"], tuple(events)
        )
        for case, (row, events) in found.items()
    }
