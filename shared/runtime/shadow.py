"""A second reader of one topic for one projection: the same gate and the same stops as the live one, kept in memory."""

import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.runtime.gate import NOTHING, Arrived, Key, State, accepted, arrived
from shared.runtime.kafka import READ, Partition
from shared.runtime.postgres import Connection
from shared.runtime.projections import Projection, fold_cases, write
from shared.runtime.receive import STORED, acknowledged, columns, park_failing
from shared.schemas.base import Recorded
from shared.schemas.envelope import Unreadable, read
from shared.schemas.reporting import ForkAcknowledged

BATCH = 2000
MOST_SILENCE = 6
"""times five seconds"""


class Lost(Exception):
    """The topic does not hold what the live reader has read."""


class Shadow:
    """Fills the projection's table in a schema. next: how far each partition has been read."""

    def __init__(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        bootstrap: str,
        topic: str,
        publisher: str,
        projection: Projection,
        schema: str,
    ) -> None:
        self._connection, self.topic = connection, topic
        self.projection, self.schema = projection, schema
        self.next: dict[Partition, int] = {}
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **READ)
        self._statements = projection.statements(schema)
        self._gates: dict[UUID, list[int]] = {}
        self._waiting: dict[UUID, dict[Key, Arrived]] = {}
        self._refused: dict[Key, frozenset[bytes]] = {}
        self._forks: dict[UUID, set[tuple[int, int]]] = {}
        self._skipped: dict[UUID, list[Arrived]] = {}
        self._stopped: set[UUID] = set()
        self._parked: set[UUID] = set()
        self._filled: set[UUID] = set()

    async def open(self, partitions: Iterable[Partition]) -> None:
        """Begins at the first record of each partition."""
        await self._connection.execute(f'set search_path = "{self.schema}", public')
        await self._consumer.start()
        self.next = dict.fromkeys(partitions, 0)
        self._consumer.assign([TopicPartition(*place) for place in self.next])
        for place in self.next:
            self._consumer.seek(TopicPartition(*place), 0)

    async def close(self) -> None:
        await self._consumer.stop()

    async def read_to(
        self, target: Mapping[Partition, int], progress: Callable[[int], None] = lambda _: None
    ) -> None:
        """Reads and folds all records below the target. Raises Lost where the topic no longer has them."""
        silence = 0
        with _few_collections():
            while wanted := [place for place, end in target.items() if self.next.get(place, 0) < end]:
                got = await self._consumer.getmany(
                    *(TopicPartition(*place) for place in wanted), timeout_ms=5000, max_records=BATCH
                )
                silence = 0 if got else silence + 1
                if silence > MOST_SILENCE:
                    raise Lost(f"nothing more comes of {wanted[0]}, which the live reader has read further")
                await self._take(
                    {(place.topic, place.partition): records for place, records in got.items()}, target
                )
                progress(sum(self.next.values()))

    async def settle(self) -> None:
        """Rows of cases that are parked in the live reader stand still there, and so they do here."""
        table, columns_of = self.projection.name, ", ".join(self.projection.columns)
        parked = "select id from public.cases where parked is not null"
        async with self._connection.transaction():
            await self._connection.execute(f"delete from {self.schema}.{table} where case_id in ({parked})")
            await self._connection.execute(
                f"insert into {self.schema}.{table} ({columns_of}) "
                f"select {columns_of} from public.{table} where case_id in ({parked})"
            )

    async def _take(
        self, got: Mapping[Partition, Sequence[ConsumerRecord]], target: Mapping[Partition, int]
    ) -> None:
        """Whatever came of all partitions in one go: each transaction costs a wait."""
        wanted = {place: self._wanted(place, records, target[place]) for place, records in got.items()}
        places = [arrived(record) for records in wanted.values() for record in records]
        await self._fold(await self._accepted([one for one in places if isinstance(one, Arrived)]))
        for place, records in wanted.items():
            if records:
                self.next[place] = records[-1].offset + 1
            if got[place][-1].offset >= target[place]:
                self._consumer.seek(TopicPartition(*place), target[place])

    def _wanted(
        self, place: Partition, records: Sequence[ConsumerRecord], end: int
    ) -> Sequence[ConsumerRecord]:
        begin = self.next[place]
        wanted = [record for record in records if begin <= record.offset < end]
        if wanted and wanted[0].offset != begin:
            raise Lost(f"{place} goes on at {wanted[0].offset}, expected {begin}")
        return wanted

    async def _accepted(self, records: Sequence[Arrived]) -> dict[UUID, list[Arrived]]:
        """Through the gate, and what of it the live reader would have folded."""
        touched = {record.key[0] for record in records}
        again = [
            record.key
            for record in records
            if record.key[2] <= self._gates.get(record.key[0], NOTHING)[record.key[1]]
        ]
        state = State(
            {case: self._gates[case] for case in touched if case in self._gates},
            await self._known(again),
            {record.key: self._refused[record.key] for record in records if record.key in self._refused},
            list(
                chain.from_iterable(self._waiting[case].values() for case in touched if case in self._waiting)
            ),
        )
        verdict = accepted(state, records)
        self._gates.update(verdict.gates)
        for record in verdict.held:
            self._waiting.setdefault(record.key[0], {})[record.key] = record
        for record in verdict.released:
            del self._waiting[record.key[0]][record.key]
        folded: dict[UUID, list[Arrived]] = {}
        for record, is_accepted in verdict.order:
            for one in self._foldable(record, is_accepted):
                folded.setdefault(one.key[0], []).append(one)
        return folded

    def _foldable(self, record: Arrived, is_accepted: bool) -> Sequence[Arrived]:
        """Nothing behind a fork until it is acknowledged, then all of it."""
        case = record.key[0]
        if not is_accepted:
            self._forks.setdefault(case, set()).add((record.part, record.off))
            self._refused[record.key] = self._refused.get(record.key, frozenset()) | {record.same()}
            return ()
        forks = self._forks.get(case)
        if not forks:
            return (record,)
        self._skipped.setdefault(case, []).append(record)
        if record.type == ForkAcknowledged.type:
            forks -= acknowledged(record.body)
        return () if forks else self._skipped.pop(case)

    async def _known(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """What was accepted under keys that come again; the live reader has it, for it is never behind."""
        if not keys:
            return {}
        rows = await self._connection.fetch(STORED, *columns(keys, 3))
        return {(row[0], row[1], row[2]): row[4] for row in rows if row[5]}

    async def _fold(self, folded: Mapping[UUID, Sequence[Arrived]]) -> None:
        history: dict[UUID, list[Recorded]] = {}
        for case, records in folded.items():
            for record in records:
                if case in self._stopped or case in self._parked:
                    break
                try:
                    history.setdefault(case, []).append(read(record.body))
                except Unreadable:
                    self._stopped.add(case)
        history = {case: events for case, events in history.items() if events}
        if not history:
            return
        async with self._connection.transaction():
            await park_failing(self._connection, self.projection, history, self._write)
        rows = await self._connection.fetch("select case_id from parked_projections")
        self._parked = {row[0] for row in rows}

    async def _write(
        self, connection: Connection, projection: Projection, events: Mapping[UUID, Sequence[Recorded]]
    ) -> None:
        """Rows of cases that have none yet are copied, which is several times as fast."""
        present: dict[UUID, list[Any]] = {}
        if known := [case for case in events if case in self._filled]:
            for record in await connection.fetch(self._statements.load, known):
                row = projection.read(record)
                present.setdefault(row.case_id, []).append(row)
        folded = fold_cases(projection, present, events)
        new = [row for before, after in folded.values() if not before for row in after]
        if new:
            values = zip(*projection.written(new), strict=True)
            await connection.copy_records_to_table(
                projection.name, schema_name=self.schema, records=values, columns=list(projection.columns)
            )
        changed = {case: pair for case, pair in folded.items() if pair[0]}
        await write(connection, projection, changed, self._statements)
        self._filled.update(events)


@contextmanager
def _few_collections() -> Any:
    """Millions of short-lived objects: collecting them as seldom as possible takes a third off the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
