"""A member of a consumer group: FastStream's subscriber and aiokafka's consumer beneath it, and nothing of positions.

Nowhere else in the runtime is FastStream known.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER

from shared.runtime import kafka
from shared.runtime.kafka import READ, Partition, stop_bounded

log = structlog.get_logger()
LONGEST_BACK_OFF = 5.0
WAIT_FOR_DATA = 500
GRACE = 3.0
"""Seconds for the batch in hand; what is not committed then is read again by whoever comes next."""


Told: TypeAlias = Callable[[set[Partition]], Awaitable[None]]


class Member:
    """Joins the group, hands raw batches to handle and tells which partitions it is given and which are taken away.

    given must not raise: aiokafka would only log it and read on.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        group: str,
        handle: Callable[[Sequence[ConsumerRecord]], Awaitable[None]],
        given: Told,
        taken: Told,
        *,
        most_records: int,
        session_timeout: float,
    ) -> None:
        self._bootstrap, self._topics, self.group = bootstrap, topics, group
        self._handle, self._given, self._taken = handle, given, taken
        self._most, self._session_timeout = most_records, session_timeout
        self._broker: KafkaBroker | None = None
        self._subscriber: Any = None
        self._told: dict[Partition, int] = {}

    async def join(self) -> None:
        """Returns when Kafka has let it in, however long that takes."""
        rest = 0.1
        while True:
            self._broker = self._made_broker()
            self._subscribe(self._broker)
            try:
                await self._broker.start()
                return
            except kafka.AWAY as error:
                log.warning("waiting for Kafka", waiting_for="Kafka", exc_info=error)
                await stop_bounded(self._broker)
                await asyncio.sleep(rest)
                rest = min(LONGEST_BACK_OFF, rest * 2)

    async def leave(self) -> None:
        """Waits for the batch in hand, and not for a broker that is away."""
        if self._broker:
            await stop_bounded(self._broker, GRACE + 2)

    def assigned(self) -> set[Partition]:
        """What Kafka gives to this member at the moment."""
        consumer = self._consumer()
        return _ours(consumer.assignment()) if consumer else set()

    def pause(self, partitions: Collection[Partition]) -> None:
        """Takes nothing of these partitions until resume."""
        consumer, here = self._consumer(), self.assigned() & set(partitions)
        if consumer and here:
            consumer.pause(*(TopicPartition(*partition) for partition in here))

    def resume(self, partition: Partition) -> None:
        if consumer := self._consumer():
            consumer.resume(TopicPartition(*partition))

    def read_from(self, partition: Partition, offset: int) -> bool:
        """Whether the partition is still this member's; if so, its next record is the one at the offset."""
        consumer = self._consumer()
        try:
            if consumer:
                consumer.seek(TopicPartition(*partition), offset)
        except IllegalStateError:  # taken away a moment ago
            return False
        return consumer is not None

    async def tell(self, positions: Mapping[Partition, int]) -> None:
        """Commits to Kafka too: nothing here reads that, but lag dashboards and autoscalers do."""
        if (consumer := self._consumer()) and positions and positions != self._told:
            await consumer.commit({TopicPartition(*partition): at for partition, at in positions.items()})
            self._told = dict(positions)

    async def _has(self, partitions: set[Partition]) -> None:
        self._wait_for_data()
        await self._given(partitions)

    def _wait_for_data(self) -> None:
        """FastStream passes one value as the time to wait for data and as the time to sleep when there was none; kept
        apart, both latency and idle work are low."""
        consumer = self._consumer()
        if consumer is None or "getmany" in vars(consumer):
            return
        fetch = consumer.getmany

        async def getmany(*_: Any, max_records: int | None = None, **__: Any) -> Any:
            return await fetch(timeout_ms=WAIT_FOR_DATA, max_records=max_records)

        consumer.getmany = getmany

    def _consumer(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer if self._subscriber else None

    def _made_broker(self) -> KafkaBroker:
        logger = logging.getLogger("faststream")
        logger.setLevel(logging.ERROR)
        return KafkaBroker(
            self._bootstrap,
            client_id=self.group,
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=GRACE,
            logger=logger,
        )

    def _subscribe(self, broker: KafkaBroker) -> None:
        async def unparsed(raw: Any) -> KafkaMessage:
            """FastStream would read every header as UTF-8, lose the batch where one is not, and answer `reply_to`."""
            return KafkaMessage(raw, b"", consumer=FAKE_CONSUMER)

        async def records(message: KafkaMessage) -> Any:
            return message.raw_message

        settings = {name: value for name, value in READ.items() if name != "enable_auto_commit"}
        settings["session_timeout_ms"] = int(self._session_timeout * 1000)
        self._subscriber = broker.subscriber(
            *self._topics,
            group_id=self.group,
            batch=True,
            parser=unparsed,
            decoder=records,
            listener=_Listener(self._has, self._taken),
            ack_policy=AckPolicy.MANUAL,
            max_records=self._most,
            batch_timeout_ms=5,
            **settings,
        )
        self._subscriber(self._handle)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, given: Told, taken: Told) -> None:
        self._given, self._taken = given, taken

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._given(_ours(assigned))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._taken(_ours(revoked))


def _ours(partitions: Collection[TopicPartition]) -> set[Partition]:
    return {(place.topic, place.partition) for place in partitions}
