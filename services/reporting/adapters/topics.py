"""The topics of the log, read by a plain consumer without a group: nobody's position moves."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from services.reporting.application.checking import Stretch
from shared.runtime.kafka import READ, stop_bounded

AT_ONCE = 1000
SILENCE = 30.0
"""Seconds without a record after which reading is given up."""
FETCH = {
    "max_partition_fetch_bytes": 8 * 1024 * 1024,
    "fetch_max_wait_ms": 10,  # a question at the end of one partition keeps the next one's waiting so long
}


class KafkaTopics:
    """Implements TopicLog, within `async with`."""

    def __init__(self, bootstrap: str, at_once: int = AT_ONCE) -> None:
        self._bootstrap, self._at_once = bootstrap, at_once

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, **{**READ, **FETCH})
        await self._consumer.start()
        await asyncio.sleep(0)  # aiokafka cannot stop a consumer whose tasks have not had a turn yet
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_bounded(self._consumer)

    async def take(self, topics: Collection[str]) -> list[TopicPartition]:
        """Makes the partitions of the topics readable."""
        partitions = await self._partitions(topics)
        if self._consumer.assignment() != set(partitions):
            # Once for all, and paused: aiokafka may never end stopping while an assignment is being exchanged.
            self._consumer.assign(partitions)
            self._consumer.pause(*partitions)
        return partitions

    async def stretches(self, topics: Sequence[str]) -> list[Stretch]:
        partitions = await self.take(topics)
        starts = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        return [Stretch(place.topic, place.partition, starts[place], ends[place]) for place in partitions]

    async def read(self, stretch: Stretch) -> AsyncIterator[Sequence[ConsumerRecord]]:
        partition = TopicPartition(stretch.topic, stretch.part)
        self._consumer.seek(partition, stretch.start)
        self._consumer.resume(partition)
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while await self._consumer.position(partition) < stretch.end:
            got = await self._consumer.getmany(partition, timeout_ms=500, max_records=self._at_once)
            records = [record for record in got.get(partition, ()) if record.offset < stretch.end]
            if records:
                heard = loop.time()
                yield records
            elif loop.time() - heard > SILENCE:
                raise TimeoutError(f"{stretch.topic} {stretch.part} is silent below offset {stretch.end}")
        self._consumer.pause(partition)

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            described = await admin.describe_topics(list(topics))
        finally:
            await admin.close()
        return sorted(
            TopicPartition(topic["topic"], part["partition"])
            for topic in described
            for part in topic["partitions"]
        )
