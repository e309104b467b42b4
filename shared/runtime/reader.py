"""A member of a consumer group whose positions stand in PostgreSQL: claimed, fenced, contiguous, never left unread.

aiokafka only logs what a rebalance listener raises and goes on reading, so a claim that fails is made again in the
background. Whatever goes wrong in a batch, the stored position decides where reading goes on.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import asyncpg
import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from shared.runtime import kafka
from shared.runtime.kafka import SESSION_TIMEOUT, Offsets, Partition, by_partition
from shared.runtime.loops import Loop
from shared.runtime.member import LONGEST_BACK_OFF, Member
from shared.runtime.positions import Place, claim, places, skip
from shared.runtime.postgres import Pool, database_is_away
from shared.runtime.receive import Fenced, Span
from shared.runtime.telemetry import LAG

log = structlog.get_logger()
Batch: TypeAlias = Mapping[Partition, Sequence[ConsumerRecord]]
STALLED_AFTER = 10.0
DOUBTS_BEFORE_STOP = 5
_SHRANK = "the position is {}, but the topic ends at {}: it shrank or was made anew"


class Unfinished(Exception):
    """Not now, and nobody's fault: the same records again a little later."""


class Reader(ABC):
    """Reads topics in order and hands on each batch together with the claim under which it was read.

    endless: the topics are kept for ever, so every offset must be there; else what is gone is passed over.
    began_at: where a partition ended when this process, or the database that it reads into, began; what lies below
    is history.
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
        self._pool, self._offsets, self.publisher = pool, offsets, publisher
        self._session_timeout = session_timeout
        self._member = Member(
            bootstrap,
            tuple(topics),
            group,
            self._handle,
            self._given,
            self._taken,
            most_records=most_records,
            session_timeout=session_timeout,
        )
        self._turn = asyncio.Lock()
        self._held: dict[Partition, Place] = {}
        self._unproven: set[Partition] = set()
        self._doubts: dict[Partition, int] = {}
        self._failures = 0
        self._ends: dict[Partition, int] = {}
        self._advanced: dict[Partition, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.began_at: dict[Partition, int] = {}
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
        await self._member.join()
        self._watching.start()

    async def stop(self) -> None:
        """Lets the batch in hand be committed, leaves the group and ends what runs in the background."""
        await self._watching.stop(1.0)
        await self._member.leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what is known of it

    def reasons(self) -> list[str]:
        """Why the partitions that Kafka gave to this process are not all being read; none when they are."""
        unclaimed = sorted(self._member.assigned() - self._held.keys() - self.stopped.keys())
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
            log.critical("reading stops", code=why, group=self._member.group)
        self.halted = why
        self._member.pause(self._held)

    def resume(self) -> None:
        if self.halted is not None:
            self.halted = None
            for partition, place in self._held.items():
                self._go_on(partition, place)

    # -- rebalance

    async def _taken(self, partitions: set[Partition]) -> None:
        async with self._turn:  # a batch in hand is committed first
            for place in partitions:
                self._held.pop(place, None)
                self._doubts.pop(place, None)
                self.stopped.pop(place, None)

    async def _given(self, partitions: set[Partition]) -> None:
        self._member.pause(partitions)
        try:
            async with self._turn:
                await self._claim(partitions)
        except Exception as error:  # noqa: BLE001 - the claim is made again whatever prevented it
            self._report(error, "a claim failed")
        self._regain({partition: None for partition in partitions}, 0.1)

    async def _claim(self, partitions: Collection[Partition]) -> None:
        """Takes over what is assigned and not held. The caller has the turn."""
        wanted = (self._member.assigned() & set(partitions)) - self._held.keys() - self.stopped.keys()
        if not wanted:
            return
        begins, ends = await self._offsets.beginnings(wanted), await self._offsets.ends(wanted)
        starts = {partition: 0 if self.endless else begins[partition] for partition in wanted}
        claimed = await claim(self._pool, starts)
        self.began_at |= {partition: ends[partition] for partition, place in claimed.items() if place.new}
        for partition, place in claimed.items():
            await self._hold(partition, place, begins[partition], ends[partition])

    async def _hold(self, partition: Partition, place: Place, begin: int, end: int) -> None:
        if (
            partition not in self._member.assigned()
        ):  # lost meanwhile: its owner is fenced and claims it again
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
                    log.warning("another instance has claimed", count=len(theirs), group=self._member.group)
                    await asyncio.sleep(self._session_timeout)
                async with self._turn:
                    await self._claim(epochs)
                epochs = {partition: None for partition in epochs}
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody must read these partitions
                self._report(error, "a claim failed")

    def _lacks(self, partition: Partition) -> bool:
        return partition in self._member.assigned() - self._held.keys() - self.stopped.keys()

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
            history_below=self.began_at.get(partition, 0),
            last=kafka.written(last),
        )

    def _moved(self, spans: Sequence[Span]) -> None:
        for span in spans:
            self._held[span.topic, span.part] = Place(span.end, span.epoch)
            self._advanced[span.topic, span.part] = time.monotonic()

    def _let_go(self, error: Exception, partitions: Collection[Partition]) -> None:
        """Holds nothing of the failed batch any more: the stored position says from where to go on."""
        lost = {
            partition: self._held.pop(partition).epoch for partition in partitions if partition in self._held
        }
        self._member.pause(lost)
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
            await self._member.tell({place: at for place, at in before.items() if place in self._held})
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

    # -- going on and stopping

    def _go_on(self, partition: Partition, place: Place) -> None:
        """Reads from the position on, or from one before it where that has still to be proven."""
        self._read_again(partition, place.next - 1 if partition in self._unproven else place.next)
        if self.halted is None and partition in self._held:
            self._member.resume(partition)

    def _read_again(self, partition: Partition, offset: int) -> None:
        if partition not in self.stopped and not self._member.read_from(partition, offset):
            self._held.pop(partition, None)

    def _stop(self, partition: Partition, why: str) -> None:
        self._held.pop(partition, None)
        self.stopped[partition] = why
        self._member.pause([partition])
        log.critical("reading of a partition stops", topic=partition[0], partition=partition[1], code=why)

    def _report(self, error: Exception, what: str) -> None:
        if isinstance(error, Unfinished):
            return
        (log.warning if _harmless(error) else log.error)(what, group=self._member.group, exc_info=error)


def _harmless(error: Exception) -> bool:
    """Something is away, not ready or not migrated: no record is to blame."""
    blameless = KafkaError | Unfinished | Fenced | asyncpg.SyntaxOrAccessError
    return isinstance(error, blameless) or database_is_away(error)
