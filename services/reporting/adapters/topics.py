"""The topics of the log, read by a plain consumer without a group: nobody's position moves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from services.reporting.application.verifying import Stretch
from shared.runtime.kafka import READ, Offsets, stop_bounded

AT_ONCE = 1000
SILENCE = 30.0
"""Seconds without a record after which reading is given up."""
FETCH = {"max_partition_fetch_bytes": 8 * 1024 * 1024, "fetch_max_bytes": 8 * 1024 * 1024}


class KafkaTopics:
    """Implements TopicLog."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def stretches(self, topics: Sequence[str]) -> list[Stretch]:
        offsets = Offsets(self._bootstrap)
        try:
            places = await offsets.partitions(topics)
            starts, ends = await offsets.beginnings(places), await offsets.ends(places)
        finally:
            await offsets.close()
        return [Stretch(topic, part, starts[topic, part], ends[topic, part]) for topic, part in places]

    @asynccontextmanager
    async def read(self, stretch: Stretch) -> AsyncIterator[AsyncIterator[Sequence[ConsumerRecord]]]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, **{**READ, **FETCH})
        await consumer.start()
        try:
            yield _batches(consumer, stretch)
        finally:
            await stop_bounded(consumer)


async def _batches(consumer: AIOKafkaConsumer, stretch: Stretch) -> AsyncIterator[Sequence[ConsumerRecord]]:
    partition = TopicPartition(stretch.topic, stretch.part)
    consumer.assign([partition])
    consumer.seek(partition, stretch.start)
    loop = asyncio.get_running_loop()
    heard = loop.time()
    while await consumer.position(partition) < stretch.end:
        got = await consumer.getmany(partition, timeout_ms=500, max_records=AT_ONCE)
        records = [record for record in got.get(partition, ()) if record.offset < stretch.end]
        if records:
            heard = loop.time()
            yield records
        elif loop.time() - heard > SILENCE:
            raise TimeoutError(f"{stretch.topic} {stretch.part} is silent below offset {stretch.end}")
