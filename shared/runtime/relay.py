"""From the outbox to the topics: at least once, never out of order, by one leader per service.

What was stored is published byte for byte. Rows are deleted in the transaction that ends when the broker has
acknowledged them, on the very connection that holds the leadership: who has lost that can delete nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaProducer

from shared.runtime.kafka import start_producer, stop_bounded
from shared.runtime.loops import Loop
from shared.runtime.postgres import Connection, Pool
from shared.runtime.store import LOGS
from shared.schemas.base import PUBLISHERS
from shared.schemas.envelope import Header, headers
from shared.schemas.topics import topic_name

log = structlog.get_logger()
LONGEST_ON_KAFKA = 5.0
"""Seconds for which a transaction may wait for the broker: an open one keeps vacuum from its work."""
STOPPING = 3.0
LEADERSHIP = 0x72656C61
ASK_FOR_LEADERSHIP = 0.5
# A leader that vanished, froze or was cut off is forgotten by the server within 15 s, and its lock is free.
VANISHING = {
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "idle_in_transaction_session_timeout": "10000",
    "idle_session_timeout": "14000",
    "transaction_timeout": "14000",  # a client frozen between preparing and executing counts as idle in neither way
}

_LEAD = "select pg_try_advisory_lock($1)"
_ANY = "select id from outbox order by id limit 1"  # by the index: a scan would wade through what was deleted
_TAKE = """
with taken as (
  delete from outbox where id in (select id from outbox order by id limit $1)
  returning id, topic, case_id, sequence, body)
select t.topic, t.case_id, t.sequence, e.id, coalesce(t.body, e.body) as body
from taken t left join events e on (e.case_id, e.publisher, e.sequence) = (t.case_id, $2, t.sequence)
order by t.id"""
_BACKLOG = "select count(*), coalesce(extract(epoch from now() - min(at)), 0)::float8 from outbox"
_SWEEP = """
with below as (
  delete from sent s using positions p
  where s.log = $1 and p.topic = $2 and p.part = s.part and s.off < p.next returning s.*)
insert into outbox (topic, case_id, sequence)
select $3, b.case_id, b.sequence from below b join cases c on c.id = b.case_id
where c.gate[$4 + 1] < b.sequence
  and not exists (select from kept k
                  where (k.case_id, k.publisher, k.sequence, k.id) = (b.case_id, $4, b.sequence, b.id))
  and not exists (select from aside a where (a.topic, a.part, a.off) = ($2, b.part, b.off))
order by b.part, b.off returning case_id, sequence"""


class NoSuchEvent(Exception):
    """The outbox names an event that the database lacks: somebody has deleted what may not be deleted."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many events no broker has acknowledged yet, and for how many seconds the oldest has been waiting."""

    depth: int
    oldest: float


class Relay:
    """Publishes as long as it leads; otherwise it waits until the leader is gone."""

    def __init__(
        self,
        dsn: str,
        bootstrap: str,
        prefix: str,
        publisher: str,
        *,
        most_records: int = 500,
        longest: float = LONGEST_ON_KAFKA,
    ) -> None:
        self._dsn, self._bootstrap, self._prefix, self._publisher = dsn, bootstrap, prefix, publisher
        self._me = PUBLISHERS.index(publisher)
        self._most, self._longest = most_records, longest
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._producer: AIOKafkaProducer | None = None
        self._left_behind: set[asyncio.Task[None]] = set()
        self._loop = Loop(f"relay-{publisher}", self.step, rest_least=0.005, rest_most=0.05)
        self.leads = False

    async def start(self) -> None:
        self._loop.start()

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._loop.wake()

    async def stop(self) -> None:
        """Lets the batch in hand be acknowledged, then gives up the leadership."""
        await self._loop.stop(STOPPING)
        self._throw_away()
        if self._left_behind:
            await asyncio.wait(self._left_behind, timeout=1.0)
        for task in self._left_behind:
            task.cancel()

    async def step(self) -> int:
        """Publishes one batch and answers how many records it held. After any failure everything is made anew."""
        try:
            connection = await self._leading()
            if connection is None or not await connection.fetchval(_ANY):
                return 0
            if self._producer is None:
                self._producer = await start_producer(self._bootstrap)
            return await self._publish(connection, self._producer)
        except BaseException:
            self._throw_away()
            raise

    async def _leading(self) -> "asyncpg.Connection[asyncpg.Record] | None":
        """The connection that holds the leadership; None while another process leads."""
        if self._connection is None:
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=5,
                command_timeout=10,
                server_settings={"application_name": f"redress-relay-{self._publisher}", **VANISHING},
            )
        if not self.leads:
            self.leads = await self._connection.fetchval(_LEAD, LEADERSHIP)
            if not self.leads:
                await asyncio.sleep(ASK_FOR_LEADERSHIP)
                return None
            log.info("this process publishes", publisher=self._publisher)
        return self._connection

    async def _publish(
        self, connection: "asyncpg.Connection[asyncpg.Record]", producer: AIOKafkaProducer
    ) -> int:
        async with connection.transaction():
            rows = await connection.fetch(_TAKE, self._most, self._me)
            async with asyncio.timeout(self._longest):
                acks = [await producer.send(**self._record(row)) for row in rows]
                places = await asyncio.gather(*acks)
            notes = [
                (
                    LOGS.index(row["topic"]),
                    place.partition,
                    place.offset,
                    row["case_id"],
                    row["sequence"],
                    row["id"],
                )
                for row, place in zip(rows, places, strict=True)
                if row["sequence"]
            ]
            await connection.copy_records_to_table("sent", records=notes)
        return len(rows)

    def _record(self, row: asyncpg.Record) -> dict[str, Any]:
        if row["body"] is None:
            raise NoSuchEvent(f"{row['case_id']}:{row['sequence']}")
        return {
            "topic": topic_name(self._prefix, row["topic"]),
            "key": str(row["case_id"]).encode(),
            "value": row["body"],
            "headers": record_headers(row["body"], self._publisher, row["sequence"]),
        }

    def _throw_away(self) -> None:
        """A producer that failed once may reorder what it still holds; a connection that failed may not lead."""
        connection, self._connection, self.leads = self._connection, None, False
        if connection is not None:
            connection.terminate()
        producer, self._producer = self._producer, None
        if producer is not None:
            stopping = asyncio.create_task(stop_bounded(producer))
            self._left_behind.add(stopping)
            stopping.add_done_callback(self._left_behind.discard)


def record_headers(body: bytes, publisher: str, sequence: int) -> Sequence[Header]:
    """The headers of a body that this service made."""
    said = orjson.loads(body)
    return headers(said["type"], UUID(said["id"]), publisher, sequence, said.get("traceparent"))


async def backlog(pool: Pool) -> Backlog:
    """What the broker has not acknowledged yet; its age is what shows an outage, for a producer only falls silent."""
    row = await pool.fetchrow(_BACKLOG)
    assert row is not None
    return Backlog(*row)


async def sweep(connection: Connection | Pool, prefix: str, publisher: str) -> int:
    """Forgets the acknowledged places that the reader has passed, and enqueues again what it did not find there.

    The answer is how many were enqueued again. It must be 0: the topic has lost what the broker had acknowledged.
    """
    me, lost = PUBLISHERS.index(publisher), 0
    for number, suffix in enumerate(LOGS):
        rows = await connection.fetch(_SWEEP, number, topic_name(prefix, suffix), suffix, me)
        for row in rows:
            where = {"case": row["case_id"], "sequence": row["sequence"], "topic": suffix}
            log.critical("the topic has lost an acknowledged event: it is published again", **where)
        lost += len(rows)
    return lost
