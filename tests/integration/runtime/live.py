"""A service at the level of the runtime: its reader, its relay and its store, on the real servers."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from shared.runtime.consumer import LiveReader
from shared.runtime.kafka import READ, WRITE, Offsets, Partition, logs_of
from shared.runtime.positions import reached
from shared.runtime.postgres import Pool, connect_pool
from shared.runtime.projections import Projection
from shared.runtime.receive import Received, Receiver
from shared.runtime.relay import Relay
from tests.integration.runtime.world import NOTES, TALLY, Sent, World, published
from tests.waiting import until

PATIENCE = 60.0


@dataclass
class Service:
    """One process of a service. dsn_of_reader and broker_of_relay lead through a proxy where a test needs faults."""

    bootstrap: str
    dsn: str
    prefix: str
    publisher: str = "processing"
    projections: Sequence[Projection] = (NOTES, TALLY)
    dsn_of_reader: str | None = None
    broker_of_relay: str | None = None
    most_parked: int = 1000
    batches: list[Received] = field(default_factory=list)

    async def open(self) -> "Service":
        """Notes the ends of the topics, as a process does when it starts."""
        self.pool = await connect_pool(self.dsn, most=8, least=0)
        self.reading = await connect_pool(self.dsn_of_reader or self.dsn, most=4, least=0)
        self.offsets = Offsets(self.bootstrap)
        self.logs = logs_of(self.prefix)
        self.partitions: list[Partition] = await self.offsets.partitions(self.logs)
        self.reader = LiveReader(
            bootstrap=self.bootstrap,
            prefix=self.prefix,
            publisher=self.publisher,
            pool=self.reading,
            receiver=Receiver(self.publisher, self.logs, self.projections),
            offsets=self.offsets,
            ends=await self.offsets.ends(self.partitions),
            on_batch=self.batches.append,
            most_parked=self.most_parked,
            session_timeout=6.0,
        )
        broker = self.broker_of_relay or self.bootstrap
        self.relay = Relay(self.dsn, broker, self.prefix, self.publisher, longest=1.0)
        self.world = World(self.pool, self.publisher, self.projections, self.prefix)
        return self

    async def close(self) -> None:
        await self.relay.stop()
        await self.reader.stop()
        await self.offsets.close()
        self.pool.terminate()
        self.reading.terminate()

    async def at_the_ends(self) -> bool:
        """Whether all that the topics hold now has been read."""
        ends = await self.offsets.ends(self.partitions)
        at = await reached(self.pool, list(self.logs))
        return all(at[place].next == end if place in at else end == 0 for place, end in ends.items())

    async def drained(self) -> bool:
        return not await self.pool.fetchval("select count(*) from outbox")

    async def quiet(self) -> None:
        """Until everything is published and read back."""

        async def so() -> bool:
            return await self.drained() and await self.at_the_ends()

        await until(so, PATIENCE)

    def duplicates(self) -> int:
        return sum(len(received.verdict.duplicates) for received in self.batches)


@asynccontextmanager
async def running(service: Service, *, reads: bool = True, publishes: bool = True) -> AsyncIterator[Service]:
    """A service from its start to its end."""
    await service.open()
    try:
        if reads:
            await service.reader.start()
        if publishes:
            await service.relay.start()
        yield service
    finally:
        await service.close()


async def post(bootstrap: str, prefix: str, *bodies: bytes | Sent, topic: str = "cases") -> list[Sent]:
    """Puts events on the topic, as another service's relay does, and tells where each one lies."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **WRITE)
    try:
        await producer.start()
        places = []
        for body in bodies:
            key, value, said = (
                (body.key, body.value, body.headers) if isinstance(body, Sent) else published(body)
            )
            ack = await producer.send(f"{prefix}.{topic}", value, key=key, headers=list(said))
            places.append((ack, key, value, said))
        return [
            Sent((at := await ack).topic, at.partition, at.offset, key, value, said)
            for ack, key, value, said in places
        ]
    finally:
        await producer.stop()


async def on_the_topic(bootstrap: str, topic: str, partitions: int = 3) -> list[ConsumerRecord]:
    """Every record of a topic, partition after partition, as a plain reader finds it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **READ)
    try:
        await consumer.start()
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        found: list[ConsumerRecord] = []
        for place in places:
            while await consumer.position(place) < ends[place]:
                for records in (await consumer.getmany(place, timeout_ms=500)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


def sequences(records: Collection[ConsumerRecord], case: UUID) -> list[int]:
    """The sequences of a case in the order of the topic."""
    return [int(orjson.loads(r.value)["sequence"]) for r in records if r.key == str(case).encode()]


async def rows(pool: Pool, query: str, *arguments: object) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await pool.fetch(query, *arguments)]
