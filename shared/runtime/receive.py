"""One batch of records into a service: the gate, then events, case log and projections in one set-based transaction.

Only the holder of a partition's position writes gates, so they are read without a lock; case rows are touched at the
end, in one upsert fed in id order. Parking is a layer behind the gate: a parked case is accepted and stored, but not
folded.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import orjson

from shared.runtime.gate import NOTHING, Arrived, Aside, Key, Record, State, Verdict, accepted, arrived
from shared.runtime.postgres import Connection
from shared.runtime.projections import FoldFailed, Projection, project, reproject
from shared.runtime.store import MARK, load_many
from shared.schemas.base import PUBLISHERS, Recorded
from shared.schemas.catalogue import CATALOGUE
from shared.schemas.envelope import Unreadable, read
from shared.schemas.reporting import ForkAcknowledged

UNFIT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,
    asyncpg.ProgramLimitExceededError,
    TypeError,
    ValueError,
)
"""What is raised where rows do not fit their table, such as a text with a NUL: their case alone is to blame."""
Apply: TypeAlias = Callable[[Connection, Projection, Mapping[UUID, Sequence[Recorded]]], Awaitable[None]]
Witness: TypeAlias = Callable[[Connection, Sequence[Record], Verdict], Awaitable[None]]
"""Writes down every record with the gate's word on it, in the batch's own transaction."""


class Fenced(Exception):
    """The stored position is not where this instance left it: nothing was written, read the position again."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a batch covers of one partition, and the claim under which it was read.

    history_below: offsets below it were in the topic when the process started.
    last: when its last record was written, for the freshness of answers.
    """

    topic: str
    part: int
    start: int
    end: int
    epoch: int
    history_below: int = 0
    last: datetime | None = None


@dataclass(slots=True)
class Received:
    """What became of a batch, for metrics and alarms."""

    verdict: Verdict
    aside: list[Aside] = field(default_factory=list)
    parked: dict[UUID, str] = field(default_factory=dict)
    touched: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Stands:
    """What the service holds of a case before the batch."""

    gate: Sequence[int]
    parked: str | None
    forks: frozenset[tuple[int, int]]  # (part, off) of forked records nobody has acknowledged


@dataclass(slots=True)
class _Work:
    """What a batch will write."""

    log: list[tuple[object, ...]] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    withheld: list[tuple[object, ...]] = field(default_factory=list)
    raised: dict[UUID, int] = field(default_factory=dict)
    parked: dict[UUID, str] = field(default_factory=dict)
    forks: dict[UUID, set[tuple[int, int]]] = field(default_factory=dict)
    settled: list[tuple[UUID, int, int]] = field(default_factory=list)
    logs: dict[UUID, int] = field(default_factory=dict)
    fold: dict[UUID, list[Arrived]] = field(default_factory=dict)
    afresh: set[UUID] = field(default_factory=set)


_ADVANCE = """
update positions p set next = s.until, updated = now(), last = coalesce(s.last, p.last)
from unnest($1::text[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
  s (topic, part, at, until, epoch, last)
where p.topic = s.topic and p.part = s.part and p.next = s.at and p.epoch = s.epoch"""
_GATES = "select id, gate, parked, forks from cases where id = any($1::uuid[])"
STORED = """
select e.case_id, e.publisher, e.sequence, e.id, uuid_send(e.id) || sha256(e.body), l.n is not null
from (select distinct * from unnest($1::uuid[], $2::smallint[], $3::int[]) k (case_id, publisher, sequence)) k
join events e using (case_id, publisher, sequence)
left join case_log l on (l.case_id, l.publisher, l.sequence, l.id) = (e.case_id, e.publisher, e.sequence, e.id)"""
_KEPT = "select case_id, publisher, sequence, id, why, part, off, body, log from kept where case_id = any($1::uuid[])"
_RELEASE = "delete from kept where why = 'held' and (case_id, publisher, sequence) = ($1, $2, $3)"
_KEEP = "insert into kept values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing"
_SETTLE = "update kept set why = 'settled' where why = 'fork' and (case_id, part, off) = ($1, $2, $3)"
_ASIDE = "insert into aside values ($1, $2, $3, $4, $5, $6) on conflict do nothing"
_TAKE_BACK = "delete from outbox where (case_id, sequence) = ($1, $2)"
_WITHHOLD = """
insert into kept select case_id, publisher, sequence, id, 'withheld', $5, -1, -1, body from events
where (case_id, publisher, sequence) = ($1, $3, $2) and id <> $4 on conflict do nothing"""
_MOVE = """
insert into cases as c (id, log, version, own, gate, forks, parked)
select id, log, raised, own, gate::int[], forks, parked
from unnest($1::uuid[], $2::smallint[], $3::int[], $4::int[], $5::text[], $6::int[], $7::text[])
  m (id, log, raised, own, gate, forks, parked)
order by id  -- rows are locked in this order
on conflict (id) do update set version = c.version + excluded.version, own = greatest(c.own, excluded.own),
  gate = excluded.gate, forks = excluded.forks, parked = coalesce(c.parked, excluded.parked)"""
_PARK_PROJECTION = "insert into parked_projections values ($1, $2, $3) on conflict do nothing"
_UNMARK = "delete from marks where case_id = any($1::uuid[])"


class Receiver:
    """Takes batches of one service's live group. logs: topic name -> index in store.LOGS."""

    def __init__(
        self,
        publisher: str,
        logs: Mapping[str, int],
        projections: Sequence[Projection],
        witness: Witness | None = None,
    ) -> None:
        self.me = PUBLISHERS.index(publisher)
        self.logs = logs
        self.projections = projections
        self.witness = witness

    async def receive(
        self, connection: Connection, records: Sequence[Record], spans: Sequence[Span]
    ) -> Received:
        """Everything of the batch or nothing. Raises Fenced, and what asyncpg raises."""
        async with connection.transaction():
            await advance(connection, spans)
            places = [arrived(record) for record in records]
            arrivals = [place for place in places if isinstance(place, Arrived)]
            aside = [place for place in places if isinstance(place, Aside)]
            stands, state, mine = await self._present(connection, arrivals)
            verdict = accepted(state, arrivals)
            below = {(span.topic, span.part): span.history_below for span in spans}
            work = self._sort_out(verdict, stands, mine, below)
            history = self._readable(work)
            await self._store(connection, verdict, work, aside)
            if self.witness:
                await self.witness(connection, records, verdict)
            await self._project(connection, history)
            await self._move(connection, verdict, work)
            await self._fold_afresh(connection, work)
        touched = [case for case, raised in work.raised.items() if raised]
        return Received(verdict, aside, work.parked, touched)

    async def _present(
        self, connection: Connection, arrivals: Sequence[Arrived]
    ) -> tuple[dict[UUID, _Stands], State, dict[Key, bytes]]:
        """What is held of the cases concerned, the gate's state, and own events not read back yet."""
        cases = list({record.key[0] for record in arrivals})
        rows = await connection.fetch(_GATES, cases)  # unlocked: only who holds the position writes gates
        gates = {row[0]: row[1] for row in rows}
        kept = await connection.fetch(_KEPT, cases)
        asked = [
            record.key
            for record in arrivals
            if record.key[1] == self.me or record.key[2] <= gates.get(record.key[0], NOTHING)[record.key[1]]
        ]
        known, mine = await self._stored(connection, asked)
        topics = {number: topic for topic, number in self.logs.items()}
        waiting = [
            Arrived(
                (row[0], row[1], row[2]), row[3], _type_of(row[7]), topics[row[8]], row[5], row[6], row[7]
            )
            for row in kept
            if row[4] == "held"
        ]
        refused: dict[Key, set[bytes]] = {}
        forks: dict[UUID, set[tuple[int, int]]] = {}
        for row in kept:
            if row[4] in ("fork", "settled"):
                again = Arrived((row[0], row[1], row[2]), row[3], "", "", row[5], row[6], row[7])
                refused.setdefault(again.key, set()).add(again.same())
            if row[4] == "fork":
                forks.setdefault(row[0], set()).add((row[5], row[6]))
        stands = {row[0]: _Stands(row[1], row[2], frozenset(forks.get(row[0], ()))) for row in rows}
        state = State(gates, known, {key: frozenset(those) for key, those in refused.items()}, waiting)
        return stands, state, mine

    async def _stored(
        self, connection: Connection, asked: Sequence[Key]
    ) -> tuple[dict[Key, bytes], dict[Key, bytes]]:
        if not asked:
            return {}, {}
        known: dict[Key, bytes] = {}
        mine: dict[Key, bytes] = {}
        for row in await connection.fetch(STORED, *columns(asked, 3)):
            (known if row[5] else mine)[row[0], row[1], row[2]] = row[4]
        return known, mine

    def _sort_out(
        self,
        verdict: Verdict,
        stands: Mapping[UUID, _Stands],
        mine: Mapping[Key, bytes],
        below: Mapping[tuple[str, int], int],
    ) -> _Work:
        """Walks the accepted order once: what is stored, what parks its case and from where, what may be folded."""
        work = _Work()
        count = {case: sum(stand.gate) for case, stand in stands.items()}
        for record, is_accepted in verdict.order:
            case = record.key[0]
            stand = stands.get(case)
            forks = work.forks.setdefault(case, set(stand.forks) if stand else set())
            work.raised.setdefault(case, 0)
            work.logs[case] = self.logs[record.topic]
            if not is_accepted:
                forks.add((record.part, record.off))
                continue
            count[case] = count.get(case, 0) + 1
            work.log.append((case, count[case], *record.key[1:], record.id, record.part, record.off))
            self._accept(work, record, mine, below)
            if record.type == ForkAcknowledged.type:
                self._acknowledge(work, record, forks)
            if not forks and case not in work.parked and (stand is None or stand.parked is None):
                work.fold.setdefault(case, []).append(record)
        parked = work.parked.keys() | {case for case, stand in stands.items() if stand.parked is not None}
        work.afresh = {case for case in work.afresh if not work.forks[case]} - parked
        return work

    def _accept(
        self, work: _Work, record: Arrived, mine: Mapping[Key, bytes], below: Mapping[tuple[str, int], int]
    ) -> None:
        case, publisher, sequence = record.key
        own = mine.get(record.key) if publisher == self.me else None
        if own is not None and own == record.same():
            return  # read back: the same events in the same order
        command = _command_of(record.body) if publisher == self.me else None
        work.events.append((*record.key, record.id, command, record.body))
        if own is not None:
            work.parked.setdefault(case, "contradicted")
            work.withheld.append((case, sequence, self.me, record.id, self.logs[record.topic]))
            return
        work.raised[case] += 1
        if publisher == self.me and record.off >= below.get((record.topic, record.part), 0):
            work.parked.setdefault(case, "foreign hand")

    def _acknowledge(self, work: _Work, record: Arrived, forks: set[tuple[int, int]]) -> None:
        for fork in acknowledged(record.body) & forks:
            forks.discard(fork)
            work.settled.append((record.key[0], *fork))
            work.afresh.add(record.key[0])

    def _readable(self, work: _Work) -> dict[UUID, list[Recorded]]:
        """What may be folded, parsed; a case with an event unknown to this build is parked from there on."""
        history: dict[UUID, list[Recorded]] = {}
        for case, records in work.fold.items():
            for record in records:
                try:
                    recorded = read(record.body)
                except Unreadable as unreadable:
                    work.parked.setdefault(case, f"unreadable {record.type}: {unreadable}")
                    break
                history.setdefault(case, []).append(recorded)
        return {case: events for case, events in history.items() if case not in work.afresh}

    async def _store(
        self, connection: Connection, verdict: Verdict, work: _Work, aside: Sequence[Aside]
    ) -> None:
        if work.events:
            await connection.copy_records_to_table("events", records=work.events)
        if work.log:
            await connection.copy_records_to_table("case_log", records=work.log)
        if verdict.released:
            await connection.executemany(_RELEASE, [record.key for record in verdict.released])
        keep = [(record, "held") for record in verdict.held] + [(record, "fork") for record in verdict.forks]
        if keep:
            await connection.executemany(_KEEP, [self._keep(record, why) for record, why in keep])
        if work.settled:
            await connection.executemany(_SETTLE, work.settled)
        if aside:
            await connection.executemany(
                _ASIDE, [(a.topic, a.part, a.off, a.why, a.key, a.body) for a in aside]
            )
        if work.withheld:
            await connection.executemany(_TAKE_BACK, [row[:2] for row in work.withheld])
            await connection.executemany(_WITHHOLD, work.withheld)

    def _keep(self, record: Arrived, why: str) -> tuple[object, ...]:
        return (*record.key, record.id, why, self.logs[record.topic], record.part, record.off, record.body)

    async def _project(self, connection: Connection, history: Mapping[UUID, list[Recorded]]) -> None:
        if not history:
            return
        rows = await connection.fetch("select projection, case_id from parked_projections")
        parked = {(row[0], row[1]) for row in rows}
        for projection in self.projections:
            mine = {
                case: events
                for case, events in history.items()
                if (projection.name, case) not in parked and _log_of(events[0]) == projection.log
            }
            await park_failing(connection, projection, mine, project)

    async def _move(self, connection: Connection, verdict: Verdict, work: _Work) -> None:
        if not work.raised:
            return
        moved = [
            (
                case,
                work.logs[case],
                raised,
                verdict.gates[case][self.me],
                "{" + ",".join(map(str, verdict.gates[case])) + "}",
                len(work.forks[case]),
                work.parked.get(case),
            )
            for case, raised in work.raised.items()
        ]
        await connection.execute(_MOVE, *columns(moved, 7))
        marked = [case for case, raised in work.raised.items() if raised or case in work.afresh]
        if marked:
            await connection.execute(
                MARK, marked
            )  # behind the case's lock: no settling in between can take it away

    async def _fold_afresh(self, connection: Connection, work: _Work) -> None:
        """Cases whose forks were acknowledged in this batch catch up with what was accepted meanwhile."""
        if work.afresh:
            await fold_afresh(connection, self.projections, work.afresh)


def acknowledged(body: bytes) -> set[tuple[int, int]]:
    """Partition and offset of the forks that an acknowledgement names; none where it cannot be read."""
    try:
        event = read(body).event
    except Unreadable:
        return set()
    forks = event.forks if isinstance(event, ForkAcknowledged) else []
    return {(fork.partition, fork.offset) for fork in forks}


async def advance(connection: Connection, spans: Sequence[Span]) -> None:
    """Moves the positions in the caller's transaction. Raises Fenced where one is not where this instance left it."""
    claims = [(span.topic, span.part, span.start, span.end, span.epoch, span.last) for span in spans]
    if await connection.execute(_ADVANCE, *columns(claims, 6)) != f"UPDATE {len(spans)}":
        raise Fenced([(span.topic, span.part) for span in spans])


async def park_failing(
    connection: Connection, projection: Projection, cases: Mapping[UUID, Sequence[Recorded]], apply: Apply
) -> None:
    """Applies under a savepoint. A case that the projection cannot fold is parked there, applied up to the event at
    fault; one whose rows the database cannot hold is parked too. The others are applied."""
    left = [dict(cases)]
    while left:
        some = left.pop()
        try:
            async with connection.transaction():
                await apply(connection, projection, some)
        except FoldFailed as failed:
            await connection.execute(_PARK_PROJECTION, projection.name, failed.case, failed.kind)
            good = {failed.case: some[failed.case][: failed.good]} if failed.good else {}
            left.append({case: events for case, events in some.items() if case != failed.case} | good)
        except UNFIT as error:
            if len(some) == 1:
                await connection.execute(_PARK_PROJECTION, projection.name, *some, type(error).__name__)
            else:  # the database does not say which row it was
                order = sorted(some)
                halves = order[: len(order) // 2], order[len(order) // 2 :]
                left += [{case: some[case] for case in half} for half in halves]


async def fold_afresh(
    connection: Connection, projections: Sequence[Projection], cases: Collection[UUID]
) -> dict[UUID, str]:
    """Makes all rows of the cases anew from their accepted events; answers those that cannot be read, and why."""
    histories: dict[UUID, list[Recorded]] = {}
    unreadable: dict[UUID, str] = {}
    for case, loaded in (await load_many(connection, cases)).items():
        count = sum(loaded.gate)
        try:
            histories[case] = [read(event.body) for event in loaded.events[:count]]
        except Unreadable as error:
            unreadable[case] = str(error)
    for projection in projections:
        mine = {
            case: events
            for case, events in histories.items()
            if events and _log_of(events[0]) == projection.log
        }
        await park_failing(connection, projection, mine, reproject)
    if unreadable:
        park = "update cases set parked = coalesce(parked, $2) where id = $1"
        await connection.executemany(
            park, [(case, f"unreadable: {why}") for case, why in sorted(unreadable.items())]
        )
        await connection.execute(_UNMARK, list(unreadable))
    return unreadable


def columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows as columns, for unnest."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _command_of(body: bytes) -> UUID | None:
    try:
        return UUID(orjson.loads(body)["commandid"])
    except (ValueError, KeyError, TypeError):
        return None


def _type_of(body: bytes) -> str:
    try:
        said = orjson.loads(body)["type"]
    except (ValueError, KeyError, TypeError):
        return ""
    return said if isinstance(said, str) else ""


def _log_of(recorded: Recorded) -> str:
    return CATALOGUE[type(recorded.event).type].topic
