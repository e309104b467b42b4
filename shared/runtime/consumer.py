"""The readers of a service: its one live group over the logs, and the inbox of what upstream systems post."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import structlog
from aiokafka import ConsumerRecord

from shared.runtime import kafka
from shared.runtime.commands import CatchingUp
from shared.runtime.gate import NOTHING, Arrived, arrived
from shared.runtime.kafka import SESSION_TIMEOUT, Offsets, Partition, delete_below, logs_of
from shared.runtime.loops import Loop
from shared.runtime.positions import reached
from shared.runtime.postgres import Pool
from shared.runtime.reader import Batch, Reader, Unfinished
from shared.runtime.receive import Received, Receiver, Span, advance
from shared.runtime.store import Conflict
from shared.runtime.telemetry import BATCH_SECONDS, DUPLICATES, FORKS, GAPS
from shared.schemas.topics import topic_name

log = structlog.get_logger()
FORGET_EVERY = 60.0

_COUNTS = """
select (select count(*) from cases where parked is not null or forks > 0),
  (select count(*) from kept where why = 'held')"""
_PARK = """
insert into cases as c (id, log, version, own, gate, parked) values ($1, $2, 0, 0, $3, $4)
on conflict (id) do update set parked = coalesce(c.parked, excluded.parked)"""
_ASIDE = "insert into aside (topic, part, off, why, key, body) values ($1, $2, $3, $4, $5, $6) on conflict do nothing"
_KNOWN = """
select exists (select from events where (case_id, publisher, sequence, id) = ($1, $2, $3, $4) and body = $5)
  or exists (select from kept where (case_id, publisher, sequence, id) = ($1, $2, $3, $4) and body = $5)"""
_KNOWN_ASIDE = "select exists (select from aside where (topic, part, off) = ($1, $2, $3))"
_FIRST_ASIDE = "select part, min(off) from aside where topic = $1 group by part"


class LiveReader(Reader):
    """Takes every record of the logs through the gate, with all projections in the same transaction."""

    def __init__(
        self,
        *,
        bootstrap: str,
        prefix: str,
        publisher: str,
        pool: Pool,
        receiver: Receiver,
        offsets: Offsets,
        ends: Mapping[Partition, int],
        on_batch: Callable[[Received], None] = lambda _: None,
        most_parked: int = 1000,
        most_records: int = 500,
        session_timeout: float = SESSION_TIMEOUT,
    ) -> None:
        """ends: where the topics ended at the start; own events below that the database lacks are history."""
        self._logs = logs_of(prefix)
        super().__init__(
            bootstrap,
            pool,
            offsets,
            self._logs,
            f"{prefix}.{publisher}",
            publisher,
            most_records=most_records,
            session_timeout=session_timeout,
        )
        self._receiver = receiver
        self.began_at = dict(ends)
        self._most_parked, self._on_batch = most_parked, on_batch
        self._counting = Loop("count-parked", self._count_parked, rest_least=1.0, rest_most=1.0)

    async def start(self) -> None:
        await super().start()
        self._counting.start()

    async def stop(self) -> None:
        await self._counting.stop(1.0)
        await super().stop()

    def catching_up(self) -> list[Partition]:
        """The partitions of this process that have not been read to where they ended at the start."""
        return sorted(p for p, at in self.positions().items() if at < self.began_at.get(p, 0))

    async def take(self, batch: Batch, spans: Sequence[Span]) -> None:
        began = time.monotonic()
        records = [record for span in spans for record in batch[span.topic, span.part]]
        async with self._pool.acquire(timeout=5) as connection:
            received = await self._receiver.receive(connection, records, spans)
        for topic in {span.topic for span in spans}:
            BATCH_SECONDS.labels(self.publisher, topic).observe(time.monotonic() - began)
        self._tell(received)
        self._on_batch(received)

    async def set_aside(self, record: ConsumerRecord, span: Span, error: Exception) -> None:
        place, why = arrived(record), f"not stored: {type(error).__name__}"
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            await advance(connection, [span])
            if isinstance(place, Arrived):
                await connection.execute(
                    _PARK,
                    place.key[0],
                    self._logs[record.topic],
                    NOTHING,
                    f"{why} at {span.part}:{span.start}",
                )
            where = record.topic, record.partition, record.offset
            await connection.execute(_ASIDE, *where, why, record.key, record.value)

    async def proven(self, record: ConsumerRecord) -> bool:
        place = arrived(record)
        async with self._pool.acquire(timeout=5) as connection:
            if isinstance(place, Arrived) and await connection.fetchval(
                _KNOWN, *place.key, place.id, place.body
            ):
                return True
            return bool(
                await connection.fetchval(_KNOWN_ASIDE, record.topic, record.partition, record.offset)
            )

    def _tell(self, received: Received) -> None:
        """Counts, and raises the alarm for what somebody must look at."""
        verdict = received.verdict
        for record in verdict.duplicates:
            DUPLICATES.labels(self.publisher, record.topic, record.part).inc()
        for record in verdict.forks:
            FORKS.labels(self.publisher, record.topic, record.part).inc()
            log.error("a forked record", **_where(record))
        for record in verdict.held:
            log.warning("an event is held: an earlier one of its publisher is missing", **_where(record))
        for aside in received.aside:
            where = {"topic": aside.topic, "partition": aside.part, "offset": aside.off}
            log.error("a record without a place is kept aside", what=aside.why, **where)
        for case, why in received.parked.items():
            log.error("a case is parked", case=case, what=why)

    async def _count_parked(self) -> int:
        counted = await self._pool.fetchrow(_COUNTS)
        assert counted is not None
        parked, held = counted
        GAPS.labels(self.publisher).set(held)
        if parked > self._most_parked:
            self.halt(f"{parked} cases are parked, more than {self._most_parked}: look for a common cause")
        else:
            self.resume()
        return 0


Handler: TypeAlias = Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
"""Acts on records so that the same ones again do no harm."""


class InboundReader(Reader):
    """Hands on what upstream systems post; what was handed on is then forgotten by the topic."""

    endless = False

    def __init__(
        self,
        *,
        bootstrap: str,
        prefix: str,
        publisher: str,
        pool: Pool,
        offsets: Offsets,
        handler: Handler,
        may_read: Callable[[], bool] = lambda: True,
        most_records: int = 500,
        session_timeout: float = SESSION_TIMEOUT,
    ) -> None:
        """may_read: False as long as nothing may be decided, for example while the service is catching up."""
        self._topic = topic_name(prefix, "inbound")
        super().__init__(
            bootstrap,
            pool,
            offsets,
            [self._topic],
            f"{prefix}.{publisher}.inbound",
            publisher,
            most_records=most_records,
            session_timeout=session_timeout,
        )
        self._bootstrap, self._handler, self._may_read = bootstrap, handler, may_read
        self._forgetting = Loop("forget", self._forget, rest_least=FORGET_EVERY, rest_most=FORGET_EVERY)

    async def start(self) -> None:
        await super().start()
        self._forgetting.start()

    async def stop(self) -> None:
        await self._forgetting.stop(1.0)
        await super().stop()

    async def take(self, batch: Batch, spans: Sequence[Span]) -> None:
        if not self._may_read():
            raise Unfinished
        try:
            await self._handler([record for span in spans for record in batch[span.topic, span.part]])
        except (CatchingUp, Conflict) as error:
            raise Unfinished from error
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            await advance(connection, spans)

    async def set_aside(self, record: ConsumerRecord, span: Span, error: Exception) -> None:
        """Notes the place only: the record is in clear, and stays in the topic until its time is over."""
        why = f"not taken: {type(error).__name__}"
        async with self._pool.acquire(timeout=5) as connection, connection.transaction():
            await advance(connection, [span])
            await connection.execute(_ASIDE, record.topic, record.partition, record.offset, why, None, None)

    async def forget(self) -> None:
        """Lets the broker delete what was handed on, so that personal data in clear does not lie about."""
        async with self._pool.acquire(timeout=5) as connection:
            places = await reached(connection, [self._topic])
            kept = {
                (self._topic, row[0]): row[1] for row in await connection.fetch(_FIRST_ASIDE, self._topic)
            }
        below = {place: min(at.next, kept.get(place, at.next)) for place, at in places.items()}
        if any(below.values()):
            await delete_below(self._bootstrap, below)

    async def _forget(self) -> int:
        try:
            await self.forget()
        except kafka.AWAY as error:
            log.warning("what was read could not be deleted", topic=self._topic, exc_info=error)
        return 0


def _where(record: Arrived) -> dict[str, object]:
    case, publisher, sequence = record.key
    return {
        "case": case,
        "publisher": publisher,
        "sequence": sequence,
        "topic": record.topic,
        "partition": record.part,
        "offset": record.off,
    }
