"""What upstream systems post: handed on at least once, forgotten by the topic afterwards, never blocking the rest."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from shared.runtime.consumer import InboundReader
from shared.runtime.ids import fresh_id
from shared.runtime.kafka import WRITE, Offsets, delete_below
from shared.runtime.postgres import Pool
from shared.runtime.store import Conflict
from tests.conftest import make_topics
from tests.integration.runtime.live import rows
from tests.waiting import until


class Inbox:
    """Keeps what it is handed; refuses as a test wants it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.fails: dict[bytes, Exception] = {}
        self.may_read = True

    async def take(self, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            if error := self.fails.get(record.value):
                raise error
        self.got += [record.value for record in records]


@pytest.fixture
async def topics(bootstrap: str) -> str:
    return await make_topics(bootstrap, f"inbox-{fresh_id()}")


@asynccontextmanager
async def reading(bootstrap: str, pool: Pool, topics: str, inbox: Inbox) -> AsyncIterator[InboundReader]:
    offsets = Offsets(bootstrap)
    reader = InboundReader(
        bootstrap=bootstrap,
        prefix=topics,
        publisher="intake",
        pool=pool,
        offsets=offsets,
        handler=inbox.take,
        may_read=lambda: inbox.may_read,
        session_timeout=6.0,
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()
        await offsets.close()


async def post(bootstrap: str, topics: str, *values: bytes, partition: int = 0) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **WRITE)
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(f"{topics}.inbound", value, partition=partition)
    finally:
        await producer.stop()


async def test_what_is_posted_is_handed_on_and_then_forgotten(
    bootstrap: str, pool: Pool, topics: str
) -> None:
    inbox = Inbox()
    async with reading(bootstrap, pool, topics, inbox) as reader:
        await post(bootstrap, topics, b"one", b"two")
        await until(lambda: inbox.got == [b"one", b"two"])
        topic = f"{topics}.inbound"
        await until(lambda: reader.positions().get((topic, 0)) == 2)
        await reader.forget()
        offsets = Offsets(bootstrap)
        assert await offsets.beginnings([(topic, 0)]) == {(topic, 0): 2}
        await offsets.close()
    async with reading(bootstrap, pool, topics, inbox):
        await post(bootstrap, topics, b"three")
        await until(lambda: inbox.got == [b"one", b"two", b"three"])


async def test_a_new_reader_begins_with_the_first_record_that_is_still_there(
    bootstrap: str, pool: Pool, topics: str
) -> None:
    await post(bootstrap, topics, b"expired", b"there")
    await delete_below(bootstrap, {(f"{topics}.inbound", 0): 1})
    inbox = Inbox()
    async with reading(bootstrap, pool, topics, inbox) as reader:
        await until(lambda: inbox.got == [b"there"])
        assert not reader.stopped


async def test_records_that_expired_unread_are_passed_over(bootstrap: str, pool: Pool, topics: str) -> None:
    inbox = Inbox()
    await post(bootstrap, topics, b"read")
    async with reading(bootstrap, pool, topics, inbox):
        await until(lambda: inbox.got == [b"read"])
    await post(bootstrap, topics, b"expired", b"there")
    await delete_below(bootstrap, {(f"{topics}.inbound", 0): 2})
    async with reading(bootstrap, pool, topics, inbox) as reader:
        await until(lambda: inbox.got == [b"read", b"there"])
        assert not reader.stopped


async def test_nothing_is_handed_on_while_the_service_may_not_decide(
    bootstrap: str, pool: Pool, topics: str
) -> None:
    inbox = Inbox()
    inbox.may_read = False
    await post(bootstrap, topics, b"early")
    async with reading(bootstrap, pool, topics, inbox) as reader:
        await until(lambda: any("not claimed" in reason for reason in reader.reasons()))
        assert inbox.got == []
        inbox.may_read = True
        await until(lambda: inbox.got == [b"early"])


async def test_a_race_that_was_lost_is_run_again(bootstrap: str, pool: Pool, topics: str) -> None:
    inbox = Inbox()
    inbox.fails[b"one"] = Conflict()
    await post(bootstrap, topics, b"one")
    async with reading(bootstrap, pool, topics, inbox) as reader:
        await until(lambda: any("not claimed" in reason for reason in reader.reasons()))
        inbox.fails.clear()
        await until(lambda: inbox.got == [b"one"])


async def test_a_record_that_cannot_be_handled_is_set_aside_without_its_text_and_stays_in_the_topic(
    bootstrap: str, pool: Pool, topics: str
) -> None:
    inbox = Inbox()
    inbox.fails[b"bad"] = ZeroDivisionError()
    async with reading(bootstrap, pool, topics, inbox) as reader:
        await post(bootstrap, topics, b"good", b"bad", b"better")
        await until(lambda: inbox.got[-1:] == [b"better"])
        topic = f"{topics}.inbound"
        aside = await rows(pool, "select off, why, key, body from aside where topic = $1", topic)
        assert aside == [(1, "not taken: ZeroDivisionError", None, None)]
        await until(lambda: reader.positions().get((topic, 0)) == 3)
        await reader.forget()
        offsets = Offsets(bootstrap)
        assert await offsets.beginnings([(topic, 0)]) == {(topic, 0): 1}
        await offsets.close()
