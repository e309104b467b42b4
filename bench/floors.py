"""The floors: the same bytes through the same clients, without a gate, a decision or a fold."""

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import repeat
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from bench.measuring import Run, timed
from bench.place import CASES, PARTITIONS, Place
from shared.runtime.ids import fresh_id
from shared.runtime.kafka import READ, by_partition
from shared.runtime.postgres import Pool
from shared.runtime.receive import Span, advance

INSERT = "insert into floor values ($1, $2)"


def inserts(pool: Pool, body: bytes) -> Iterator[Awaitable[object]]:
    """Single rows, each committed by itself."""
    return (pool.execute(INSERT, fresh_id(), body) for _ in repeat(None))


async def copies(pool: Pool, bodies: Sequence[bytes], size: int) -> int:
    """COPY under a primary key, so many a transaction."""
    for start in range(0, len(bodies), size):
        rows = [(fresh_id(), body) for body in bodies[start : start + size]]
        async with pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("floor", records=rows)
    return len(bodies)


async def copy_records(pool: Pool, batches: Sequence[Sequence[ConsumerRecord]]) -> int:
    """The records as rows like those of `events`, with the positions moved in the same transaction."""
    for batch in batches:
        await _copy_batch(pool, batch)
    return sum(map(len, batches))


async def _copy_batch(pool: Pool, batch: Sequence[ConsumerRecord]) -> None:
    spans = [
        Span(topic, part, some[0].offset, some[-1].offset + 1, 1)
        for (topic, part), some in sorted(by_partition(batch).items())
    ]
    rows = [_row(record) for record in batch]
    async with pool.acquire() as connection, connection.transaction():
        await advance(connection, spans)
        await connection.copy_records_to_table("floor_events", records=rows)


def _row(record: ConsumerRecord) -> tuple[object, ...]:
    said = dict(record.headers)
    place = UUID(record.key.decode()), 0, int(said["ce_sequence"]), UUID(said["ce_id"].decode())
    return *place, None, record.value


async def copy_log(place: Place, pool: Pool, total: int, size: int) -> Run:
    """The same from Kafka, read by a plain consumer, from its first batch to its last."""
    async with plain_consumer(place) as consumer:
        batches = read_log(consumer, total, size)
        await _copy_batch(pool, await anext(batches))
        return await timed(_copy_all(pool, batches))


async def _copy_all(pool: Pool, batches: AsyncIterator[Sequence[ConsumerRecord]]) -> int:
    count = 0
    async for batch in batches:
        await _copy_batch(pool, batch)
        count += len(batch)
    return count


@asynccontextmanager
async def plain_consumer(place: Place, topic: str = CASES) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, at the beginning of the topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=place.bootstrap, **READ)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, part) for part in range(PARTITIONS)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        yield consumer
    finally:
        await consumer.stop()


async def read_log(
    consumer: AIOKafkaConsumer, total: int, size: int
) -> AsyncIterator[Sequence[ConsumerRecord]]:
    """Everything on the topic, at most so many records at a time."""
    read = 0
    while read < total:
        got = await consumer.getmany(timeout_ms=500, max_records=size)
        batch = [record for records in got.values() for record in records]
        read += len(batch)
        if batch:
            yield batch
