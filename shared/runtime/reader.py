"""A member of a consumer group whose positions stand in PostgreSQL: claimed, fenced, contiguous, never left unread.

aiokafka only logs what a rebalance listener raises and goes on reading, so a claim that fails is made again in the
background. Whatever goes wrong in a batch, the stored position decides where reading goes on.
"""

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER

from shared.runtime import kafka
from shared.runtime.kafka import READ, SESSION_TIMEOUT, Offsets, Partition, by_partition, stop_bounded
from shared.runtime.loops import Loop
from shared.runtime.positions import Place, claim, places, skip
from shared.runtime.postgres import Pool, database_is_away
from shared.runtime.receive import Fenced, Span
from shared.runtime.telemetry import LAG

log = structlog.get_logger()
Batch: TypeAlias = Mapping[Partition, Sequence[ConsumerRecord]]
LONGEST_BACK_OFF = 5.0
WAIT_FOR_DATA = 500
STALLED_AFTER = 10.0
GRACE = 3.0
"""Seconds for the batch in hand; what is not committed then is read again by whoever comes next."""
DOUBTS_BEFORE_STOP = 5
_SHRANK = "the position is {}, but the topic ends at {}: it shrank or was made anew"


class Unfinished(Exception):
    """Not now, and nobody's fault: the same records again a little later."""


class Reader(ConsumerRebalanceListener, ABC):  # type: ignore[misc]  # aiokafka has no types
    """Reads topics in order and hands on each batch together with the claim under which it was read.

    endless: the topics are kept for ever, so every offset must be there; else what is gone is passed over.
    """

    endless = True

    def __init__(
        self,
        bootstrap: str,
        pool: Pool,
        offsets: Offsets,
        topics: Collection[str],
        group: str,
        publisher: str,
        *,
        most_records: int = 500,
        session_timeout: float = SESSION_TIMEOUT,
    ) -> None:
        self._bootstrap, self._pool, self._offsets = bootstrap, pool, offsets
        self.topics, self.group, self.publisher = tuple(topics), group, publisher
        self._most, self._session_timeout = most_records, session_timeout
        self._broker: KafkaBroker | None = None
        self._subscriber: Any = None
        self._told: dict[TopicPartition, int] = {}
        self._turn = asyncio.Lock()
        self._held: dict[Partition, Place] = {}
        self._unproven: set[Partition] = set()
        self._doubts: dict[Partition, int] = {}
        self._failures = 0
        self._ends: dict[Partition, int] = {}
        self._advanced: dict[Partition, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped: dict[Partition, str] = {}
        self.halted: str | None = None
        self._watching = Loop("watch", self._watch, rest_least=1.0, rest_most=1.0)

    # -- what a kind of reader does with a batch

    @abstractmethod
    async def take(self, batch: Batch, spans: Sequence[Span]) -> None:
        """Writes the batch and moves the positions, in one transaction if it must act exactly once."""

    @abstractmethod
    async def set_aside(self, record: ConsumerRecord, span: Span, error: Exception) -> None:
        """Moves past one record that can never be taken, keeping it and raising the alarm."""

    async def proven(self, record: ConsumerRecord) -> bool:
        """Whether this record, the last one below the position, is the one that was read there before."""
        return True

    # -- life

    async def start(self) -> None:
        """Joins the group; returns when Kafka has let it in, however long that takes."""
        rest = 0.1
        while True:
            self._broker = self._made_broker()
            try:
                await self._broker.start()
                break
            except kafka.AWAY as error:
                log.warning("waiting for Kafka", waiting_for="Kafka", exc_info=error)
                await stop_bounded(self._broker)
                await asyncio.sleep(rest)
                rest = min(LONGEST_BACK_OFF, rest * 2)
        self._watching.start()

    async def stop(self) -> None:
        """Lets the batch in hand be committed, leaves the group and ends what runs in the background."""
        await self._watching.stop(1.0)
        if self._broker:
            await stop_bounded(self._broker, GRACE + 2)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _made_broker(self) -> KafkaBroker:
        logger = logging.getLogger("faststream")
        logger.setLevel(logging.WARNING)
        broker = KafkaBroker(
            self._bootstrap,
            client_id=self.group,
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=GRACE,
            logger=logger,
        )

        async def unparsed(raw: Any) -> KafkaMessage:
            """FastStream would read every header as UTF-8, lose the batch where one is not, and answer `reply_to`."""
            return KafkaMessage(raw, b"", consumer=FAKE_CONSUMER)

        async def records(message: KafkaMessage) -> Any:
            return message.raw_message

        settings = {name: value for name, value in READ.items() if name != "enable_auto_commit"}
        settings["session_timeout_ms"] = int(self._session_timeout * 1000)
        self._subscriber = broker.subscriber(
            *self.topics,
            group_id=self.group,
            batch=True,
            parser=unparsed,
            decoder=records,
            listener=self,
            ack_policy=AckPolicy.MANUAL,
            max_records=self._most,
            batch_timeout_ms=5,
            **settings,
        )
        self._subscriber(self._handle)
        return broker

    # -- what is known of it

    def reasons(self) -> list[str]:
        """Why the partitions that Kafka gave to this process are not all being read; none when they are."""
        unclaimed = sorted(self._assigned() - self._held.keys() - self.stopped.keys())
        now = time.monotonic()
        return [
            *([self.halted] if self.halted else []),
            *(f"{topic}/{part} is stopped: {why}" for (topic, part), why in sorted(self.stopped.items())),
            *(f"{topic}/{part} is assigned and not claimed" for topic, part in unclaimed),
            *(
                f"{topic}/{part} is {lag} records behind and does not advance"
                for (topic, part), lag in sorted(self.lag().items())
                if lag and now - self._advanced.get((topic, part), now) > STALLED_AFTER
            ),
        ]

    def positions(self) -> dict[Partition, int]:
        """The partitions that this process reads, and the next offset of each."""
        return {partition: place.next for partition, place in self._held.items()}

    def lag(self) -> dict[Partition, int]:
        """Records between position and end of each of them, by the ends of a second ago."""
        return {
            partition: max(0, self._ends.get(partition, 0) - at) for partition, at in self.positions().items()
        }

    def halt(self, why: str) -> None:
        """Reads nothing more until resume."""
        if self.halted is None:
            log.critical("reading stops", code=why, group=self.group)
        self.halted = why
        self._pause(self._held)

    def resume(self) -> None:
        if self.halted is not None:
            self.halted = None
            for partition, place in self._held.items():
                self._go_on(partition, place)

    # -- rebalance

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        async with self._turn:  # a batch in hand is committed first
            for place in _ours(revoked):
                self._held.pop(place, None)
                self._doubts.pop(place, None)
                self.stopped.pop(place, None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._wait_for_data()
        partitions = _ours(assigned)
        self._pause(partitions)
        try:
            async with self._turn:
                await self._claim(partitions)
        except Exception as error:  # noqa: BLE001 - aiokafka would swallow it and leave the partitions unread
            self._report(error, "a claim failed")
        self._regain({partition: None for partition in partitions}, 0.1)

    async def _claim(self, partitions: Collection[Partition]) -> None:
        """Takes over what is assigned and not held. The caller has the turn."""
        wanted = (self._assigned() & set(partitions)) - self._held.keys() - self.stopped.keys()
        if not wanted:
            return
        begins, ends = await self._offsets.beginnings(wanted), await self._offsets.ends(wanted)
        starts = {partition: 0 if self.endless else begins[partition] for partition in wanted}
        claimed = await claim(self._pool, starts)
        if new := {partition: ends[partition] for partition, place in claimed.items() if place.new}:
            self.claimed_new(new)
        for partition, place in claimed.items():
            await self._hold(partition, place, begins[partition], ends[partition])

    def claimed_new(self, ends: Mapping[Partition, int]) -> None:
        """These partitions were never read into this database before; ends: where they end now."""

    async def _hold(self, partition: Partition, place: Place, begin: int, end: int) -> None:
        if partition not in self._assigned():  # lost meanwhile: its owner is fenced and claims it again
            return
        if place.next < begin:
            if self.endless:
                self._stop(
                    partition, f"position {place.next}, but the topic begins at {begin}: its head was lost"
                )
                return
            log.error("records expired unread", topic=partition[0], partition=partition[1], offset=place.next)
            await skip(self._pool, partition, place, begin)
            place = Place(begin, place.epoch)
        if place.next > end:
            self._doubt(partition, _SHRANK.format(place.next, end))
            return
        self._doubts.pop(partition, None)
        self._unproven.discard(partition)
        self._held[partition] = place
        self._advanced[partition] = time.monotonic()
        if place.next > begin and self.endless:
            self._unproven.add(partition)
        self._go_on(partition, place)

    def _doubt(self, partition: Partition, why: str) -> None:
        """A broker that has just come up may not yet know its own end: only what stays so counts."""
        self._doubts[partition] = self._doubts.get(partition, 0) + 1
        if self._doubts[partition] >= DOUBTS_BEFORE_STOP:
            self._stop(partition, why)

    def _regain(self, epochs: Mapping[Partition, int | None], delay: float) -> None:
        task = asyncio.create_task(self._regaining(dict(epochs), delay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _regaining(self, epochs: dict[Partition, int | None], delay: float) -> None:
        """Until each is held, stopped or no longer ours by Kafka's word. epochs: what it was held under, if it was.

        A stored epoch that is still ours means that a commit was done whose answer was lost. Another one is somebody
        else's: the rightful owner's, or of one that claimed too late. Who still has the partition by Kafka's word one
        session timeout later claims it again, for otherwise nobody would read it until the next rebalance.
        """
        while epochs := {place: epoch for place, epoch in epochs.items() if self._lacks(place)}:
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(LONGEST_BACK_OFF, max(0.05, delay * 2))
            try:
                async with self._turn:
                    stored = await places(self._pool, epochs)
                    for partition, epoch in epochs.items():
                        place = stored.get(partition)
                        if epoch is not None and place and place.epoch == epoch and self._lacks(partition):
                            self._held[partition] = place
                            self._go_on(partition, place)
                theirs = [p for p, e in epochs.items() if e is not None and p in stored and self._lacks(p)]
                if theirs:
                    log.warning("another instance has claimed", count=len(theirs), group=self.group)
                    await asyncio.sleep(self._session_timeout)
                async with self._turn:
                    await self._claim(epochs)
                epochs = {partition: None for partition in epochs}
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody must read these partitions
                self._report(error, "a claim failed")

    def _lacks(self, partition: Partition) -> bool:
        return partition in self._assigned() - self._held.keys() - self.stopped.keys()

    # -- batches

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        async with self._turn:
            if self.halted:
                return
            batch: dict[Partition, Sequence[ConsumerRecord]] = {}
            try:
                for partition, come in by_partition(records).items():
                    if partition in self._held and (good := await self._in_order(partition, come)):
                        batch[partition] = good
                if batch:
                    await self._take_all(batch)
                    self._failures = 0
            except Exception as error:  # noqa: BLE001 - an error that got out would lose the batch
                self._let_go(error, by_partition(records))

    async def _take_all(self, batch: Batch) -> None:
        if self._failures < 3:
            await self._take(batch)
            return
        for partition, records in batch.items():
            for record in records:
                try:
                    await self._take({partition: [record]})
                except Exception as error:
                    if _harmless(error):
                        raise
                    await self._pass_over(partition, record, error)

    async def _take(self, batch: Batch) -> None:
        spans = [self._span(partition, records) for partition, records in sorted(batch.items())]
        await self.take(batch, spans)
        self._moved(spans)

    async def _pass_over(self, partition: Partition, record: ConsumerRecord, error: Exception) -> None:
        log.error(
            "a record can not be taken and is set aside",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            exc_info=error,
        )
        span = self._span(partition, [record])
        await self.set_aside(record, span, error)
        self._moved([span])

    def _span(self, partition: Partition, records: Sequence[ConsumerRecord]) -> Span:
        place = self._held[partition]
        last = records[-1]
        return Span(
            *partition,
            start=place.next,
            end=last.offset + 1,
            epoch=place.epoch,
            history_below=self.history_below(partition),
            last=kafka.written(last),
        )

    def history_below(self, partition: Partition) -> int:
        return 0

    def _moved(self, spans: Sequence[Span]) -> None:
        for span in spans:
            self._held[span.topic, span.part] = Place(span.end, span.epoch)
            self._advanced[span.topic, span.part] = time.monotonic()

    def _let_go(self, error: Exception, partitions: Collection[Partition]) -> None:
        """Holds nothing of the failed batch any more: the stored position says from where to go on."""
        lost = {
            partition: self._held.pop(partition).epoch for partition in partitions if partition in self._held
        }
        self._pause(lost)
        if isinstance(error, Fenced):
            self._regain(lost, 0.0)
            return
        if not _harmless(error):
            self._failures += 1
        self._report(error, "a batch failed and is read again")
        self._regain(
            lost, 0.5 if isinstance(error, Unfinished) else min(LONGEST_BACK_OFF, 0.1 * 2**self._failures)
        )

    async def _in_order(
        self, partition: Partition, records: Sequence[ConsumerRecord]
    ) -> Sequence[ConsumerRecord]:
        """The records from the position on, without a hole; none where reading must begin again."""
        next_one = self._held[partition].next
        if partition in self._unproven and not await self._prove(partition, records, next_one):
            return []
        fresh = [record for record in records if record.offset >= next_one]
        if not self.endless:
            return fresh
        contiguous = [record for n, record in enumerate(fresh) if record.offset == next_one + n]
        if contiguous:
            self._doubts.pop(partition, None)
        elif not fresh and records[-1].offset == next_one - 1:
            return []  # the record that proved the position came alone
        else:
            self._doubt(partition, f"expected offset {next_one}, the topic goes on at {records[0].offset}")
        if len(contiguous) < len(fresh) or not fresh:
            self._read_again(partition, next_one + len(contiguous))
        return contiguous

    async def _prove(self, partition: Partition, records: Sequence[ConsumerRecord], next_one: int) -> bool:
        """Compares the last record below the position with what is stored: a topic made anew holds another."""
        if records[0].offset != next_one - 1:
            self._doubt(
                partition, f"expected offset {next_one - 1}, the topic goes on at {records[0].offset}"
            )
            self._read_again(partition, next_one - 1)
            return False
        if not await self.proven(records[0]):
            self._held.pop(partition)
            self._stop(
                partition, f"offset {next_one - 1} holds another record than before: the topic was made anew"
            )
            return False
        self._unproven.discard(partition)
        return True

    async def _watch(self) -> int:
        before = self.positions()
        try:
            self._ends = await self._offsets.ends(before)
            await self._tell_kafka(before)
        except kafka.AWAY as error:
            self._report(error, "the ends of the topics are not known")
        for partition, place in before.items():
            end = self._ends.get(partition, place)
            LAG.labels(self.publisher, *partition).set(max(0, end - place))
            if place >= end:
                self._advanced[partition] = time.monotonic()
            if end < place and partition in self._held:
                self._doubt(partition, _SHRANK.format(place, end))
        return 0

    async def _tell_kafka(self, positions: Mapping[Partition, int]) -> None:
        """Commits to Kafka too: nothing here reads that, but lag dashboards and autoscalers do."""
        here = {TopicPartition(*p): at for p, at in positions.items() if p in self._held}
        if (consumer := self._consumer()) and here and here != self._told:
            await consumer.commit(here)
            self._told = here

    # -- the consumer beneath

    def _assigned(self) -> set[Partition]:
        consumer = self._consumer()
        return _ours(consumer.assignment()) if consumer else set()

    def _consumer(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer if self._subscriber else None

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

    def _go_on(self, partition: Partition, place: Place) -> None:
        """Reads from the position on, or from one before it where that has still to be proven."""
        self._read_again(partition, place.next - 1 if partition in self._unproven else place.next)
        consumer = self._consumer()
        if consumer and self.halted is None:
            consumer.resume(TopicPartition(*partition))

    def _read_again(self, partition: Partition, offset: int) -> None:
        consumer = self._consumer()
        try:
            if consumer and partition not in self.stopped:
                consumer.seek(TopicPartition(*partition), offset)
        except IllegalStateError:  # taken away a moment ago
            self._held.pop(partition, None)

    def _pause(self, partitions: Collection[Partition]) -> None:
        consumer = self._consumer()
        here = self._assigned() & set(partitions)
        if consumer and here:
            consumer.pause(*(TopicPartition(*partition) for partition in here))

    def _stop(self, partition: Partition, why: str) -> None:
        self._held.pop(partition, None)
        self.stopped[partition] = why
        self._pause([partition])
        log.critical("reading of a partition stops", topic=partition[0], partition=partition[1], code=why)

    def _report(self, error: Exception, what: str) -> None:
        if isinstance(error, Unfinished):
            return
        (log.warning if _harmless(error) else log.error)(what, group=self.group, exc_info=error)


def _harmless(error: Exception) -> bool:
    """Something is away, not ready or not migrated: no record is to blame."""
    blameless = KafkaError | Unfinished | Fenced | asyncpg.SyntaxOrAccessError
    return isinstance(error, blameless) or database_is_away(error)


def _ours(partitions: Collection[TopicPartition]) -> set[Partition]:
    return {(place.topic, place.partition) for place in partitions}
