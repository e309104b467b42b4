"""Kafka as this runtime uses it: the settings of every client in one place, and what a topic holds at the moment."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError

from shared.runtime.store import LOGS
from shared.schemas.topics import topic_name

Partition: TypeAlias = tuple[str, int]
"""topic, number"""

T = TypeVar("T")

SESSION_TIMEOUT = 10.0
"""Seconds after which the broker takes a silent reader's partitions away."""
AWAY = (KafkaError, OSError, TimeoutError)

READ: Mapping[str, Any] = {
    "auto_offset_reset": "earliest",  # never trusted: every position comes from PostgreSQL
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "session_timeout_ms": int(SESSION_TIMEOUT * 1000),
    "heartbeat_interval_ms": 3000,
    "rebalance_timeout_ms": 60_000,  # a batch in hand is committed before a partition is given away
    "max_partition_fetch_bytes": 1024 * 1024,
    # While a batch takes longer than aiokafka waits for it, the next fetch leaves its partition out, and new records
    # of that are seen only when this fetch has ended: at 500 ms, its default, that is what a busy moment costs.
    "fetch_max_wait_ms": 100,
}
WRITE: Mapping[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,  # one batch in flight per partition, retried in order
    "linger_ms": 0,
    "max_batch_size": 512 * 1024,
    "request_timeout_ms": 10_000,
}


def logs_of(prefix: str) -> dict[str, int]:
    """Topic -> index in LOGS, of the topics whose records pass the gate."""
    return {topic_name(prefix, suffix): number for number, suffix in enumerate(LOGS)}


async def start_producer(bootstrap: str, within: float = 5.0) -> AIOKafkaProducer:
    """A producer whose broker has answered. Raises what is in AWAY."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **WRITE)
    try:
        async with asyncio.timeout(within):
            await producer.start()
    except BaseException:
        await stop_bounded(producer)
        raise
    return producer


class Client(Protocol):
    """Whatever holds connections to the broker."""

    async def stop(self) -> None: ...


async def stop_bounded(client: Client, within: float = 5.0) -> None:
    """Stops a client; one whose broker is away would never end stopping, and is left behind."""
    try:
        async with asyncio.timeout(within):
            await client.stop()
    except AWAY:
        return


class Offsets:
    """Asks the broker from where to where partitions reach. One connection, made anew after a failure."""

    def __init__(self, bootstrap: str, patience: float = 5.0) -> None:
        self._bootstrap, self._patience = bootstrap, patience
        self._client: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def partitions(self, topics: Collection[str]) -> list[Partition]:
        """All partitions of the topics. Raises what is in AWAY; KafkaError also for a topic that is not there."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        try:
            async with asyncio.timeout(self._patience):
                await admin.start()
                described = await admin.describe_topics(sorted(topics))
        finally:
            await admin.close()
        for topic in described:
            if topic["error_code"] or not topic["partitions"]:
                raise KafkaError(f"there is no topic {topic['topic']}")
        return sorted(
            (topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]
        )

    async def ends(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The offset that the next record of each partition will get."""
        return await self._ask(lambda client: _plain(client.end_offsets(_theirs(partitions))))

    async def beginnings(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The first offset that is still there."""
        return await self._ask(lambda client: _plain(client.beginning_offsets(_theirs(partitions))))

    async def close(self) -> None:
        async with self._turn:
            await self._drop()

    async def _ask(self, question: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    if self._client is None:
                        self._client = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, **READ)
                        await self._client.start()
                    return await question(self._client)
            except BaseException:
                await self._drop()
                raise

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await stop_bounded(client)


async def delete_below(bootstrap: str, positions: Mapping[Partition, int]) -> None:
    """Asks the broker to forget the records below these offsets."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        below = {TopicPartition(*place): RecordsToDelete(offset) for place, offset in positions.items()}
        await admin.delete_records(below)
    finally:
        await admin.close()


def written(record: ConsumerRecord) -> datetime:
    """When the record was written."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def by_partition(records: Sequence[ConsumerRecord]) -> dict[Partition, list[ConsumerRecord]]:
    """Records as they came, apart by partition."""
    found: dict[Partition, list[ConsumerRecord]] = {}
    for record in records:
        found.setdefault((record.topic, record.partition), []).append(record)
    return found


def _theirs(partitions: Collection[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in partitions]


async def _plain(asked: Any) -> dict[Partition, int]:
    return {(place.topic, place.partition): offset for place, offset in (await asked).items()}
