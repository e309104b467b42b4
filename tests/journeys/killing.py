"""Complaints that are posted while processes are killed, and what must hold afterwards."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import asyncpg
import httpx
import orjson
from confluent_kafka import Consumer, TopicPartition

from redress.issuer.tokens import issue_token
from redress.stack import Stack
from shared.runtime.auth import Role
from tests.waiting import until

WRITERS = 12
PATIENCE = 120.0
AHEAD = 0.03
"""The share that may be acknowledged while what was killed comes back."""
RECEIVED = "intake.complaint-received.v1"


@dataclass
class Posting:
    """A client that posts so many complaints and never gives one up: what is not acknowledged is asked again."""

    stack: Stack
    wanted: int
    run: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    ceiling: float = 1.0
    """The share at which the writers wait: a machine that posts faster than it restarts must not be done too early."""

    @property
    def share(self) -> float:
        return len(self.acknowledged) / self.wanted

    async def post_all(self) -> None:
        """Posts everything with a few writers at once; every writer repeats one complaint until it is acknowledged."""
        left = iter(range(self.wanted))
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            await asyncio.gather(*(self._write(client, left) for _ in range(WRITERS)))

    async def _write(self, client: httpx.AsyncClient, numbers: Iterable[int]) -> None:
        for number in numbers:
            key = f"{self.run}-{number}"
            await until(lambda: self.share < self.ceiling, PATIENCE)
            while (case := await self._post(client, key, number)) is None:
                self.repeated += 1
                await asyncio.sleep(0.05)
            self.acknowledged[key] = case

    async def _post(self, client: httpx.AsyncClient, key: str, number: int) -> str | None:
        headers = {"Authorization": f"Bearer {self._token()}", "Idempotency-Key": key}
        body = {
            "channel": "web-form",
            "language": "en" if number % 2 else "de",
            "product": f"product-{number % 7}",
            "category": ["goods", "defect"],
            "severity": 2,
            "narrative": f"complaint {key}",
            "email": f"{key}@example.org",
            "unit": "customer-care",
        }
        url = self.stack.env["INTAKE_URL"] + "/v1/complaints"
        try:
            answer = await client.post(url, json=body, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code >= 500 or answer.status_code == 409:
            return None
        assert answer.status_code == 201, answer.text
        case: str = answer.json()["case_id"]
        return case

    def _token(self) -> str:
        layout = self.stack.layout
        return issue_token(layout.issuer_key, self.stack.env["OIDC_ISSUER"], [Role.INT], "poster")


@dataclass(frozen=True, slots=True)
class Blow:
    """One kill: which process, and at which share of acknowledged complaints."""

    part: str
    at: float


def plan(seed: int, parts: Iterable[str], times: int = 1) -> list[Blow]:
    """Every process so often, in any order, between a tenth and nine tenths of the way."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
    victims = [part for part in parts for _ in range(times)]
    chance.shuffle(victims)
    step = 0.75 / len(victims)
    return [Blow(part, 0.12 + step * (n + chance.random() * 0.8)) for n, part in enumerate(victims)]


async def strike(stack: Stack, posting: Posting, blow: Blow) -> float:
    """Kills when it is time and starts again at once; answers the share that was acknowledged then.

    PostgreSQL is killed while a reader that has just been killed joins its group again: inside a rebalance.
    """
    posting.ceiling = blow.at + AHEAD
    await until(lambda: posting.share >= blow.at, PATIENCE)
    share = posting.share
    if blow.part == "postgres":
        await asyncio.to_thread(stack.kill, "reporting")
        starting = asyncio.create_task(asyncio.to_thread(stack.start, "reporting"))
        await asyncio.to_thread(_joins, stack)
        await asyncio.to_thread(stack.kill, "postgres")
        await asyncio.to_thread(stack.start, "postgres")
        await starting
    else:
        await asyncio.to_thread(stack.kill, blow.part)
        await asyncio.to_thread(stack.start, blow.part)
    return share


def _joins(stack: Stack) -> None:
    """Returns when the broker's log tells of a rebalance that began just now."""
    log = stack.layout.logs / "kafka.log"
    seen = log.stat().st_size
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with log.open("rb") as file:
            file.seek(seen)
            if b"rebalance" in file.read():
                return
        time.sleep(0.01)
    raise AssertionError("the killed reader did not join its group again")


def read_all(bootstrap: str, topic: str) -> list[tuple[int, int, bytes, bytes, dict[str, bytes]]]:
    """Everything on a topic as a foreign client reads it: partition, offset, key, value, headers."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "plain-reader", "enable.auto.commit": False}
    )
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        ends = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), 10)[1] for n in partitions}
        consumer.assign([TopicPartition(topic, n, 0) for n in partitions])
        found: list[tuple[int, int, bytes, bytes, dict[str, bytes]]] = []
        left = {n: end for n, end in ends.items() if end}
        while left:
            for message in consumer.consume(2000, 5):
                assert message.error() is None, message.error()
                headers = dict(message.headers() or [])
                found.append((message.partition(), message.offset(), message.key(), message.value(), headers))
                if message.offset() + 1 >= left.get(message.partition(), 1 << 62):
                    del left[message.partition()]
        return found
    finally:
        consumer.close()


def received_on(records: Iterable[tuple[int, int, bytes, bytes, dict[str, bytes]]]) -> set[str]:
    """The cases that a topic says were received."""
    return {key.decode() for _, _, key, _, headers in records if headers["ce_type"].decode() == RECEIVED}


def disorder(records: Iterable[tuple[int, int, bytes, bytes, dict[str, bytes]]]) -> list[str]:
    """Cases whose events do not follow each other gaplessly per publisher; repetitions of what was there count not."""
    last: dict[tuple[bytes, bytes], int] = {}
    wrong: list[str] = []
    for partition, offset, key, value, headers in sorted(records, key=lambda record: record[:2]):
        place = key, headers["ce_source"]
        sequence = int(headers["ce_sequence"])
        assert orjson.loads(value)["sequence"] == headers["ce_sequence"].decode()
        if sequence > last.get(place, 0) + 1:
            wrong.append(f"{key.decode()} {headers['ce_source'].decode()}:{sequence} at {partition}:{offset}")
        last[place] = max(sequence, last.get(place, 0))
    return wrong


async def received_in(dsn: str) -> set[str]:
    """The cases of which a service holds an accepted ComplaintReceived."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "select distinct l.case_id from case_log l join cases c on c.id = l.case_id and c.log = 0 "
            "where l.publisher = 0 and l.sequence = 1"
        )
        return {str(row[0]) for row in rows}
    finally:
        await connection.close()


async def settled(dsn: str, ends: dict[int, int], topic: str) -> str:
    """Empty when a service has read everything and holds nothing back; else what is open."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("select part, next from positions where topic = $1", topic)
        at: dict[int, int] = {row["part"]: row["next"] for row in rows}
        behind = {part: end - at.get(part, 0) for part, end in ends.items() if at.get(part, 0) < end}
        outbox = await connection.fetchval("select count(*) from outbox")
        held = await connection.fetchval("select count(*) from kept where why = 'held'")
        marks = await connection.fetchval("select count(*) from marks")
        parked = await connection.fetchval("select count(*) from cases where parked is not null or forks > 0")
        open_ones = {"behind": behind, "outbox": outbox, "held": held, "marks": marks, "parked": parked}
        return ", ".join(f"{name}: {value}" for name, value in open_ones.items() if value)
    finally:
        await connection.close()


def ends_of(bootstrap: str, topic: str) -> dict[int, int]:
    """Where the partitions of a topic end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "plain-reader"})
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        return {n: consumer.get_watermark_offsets(TopicPartition(topic, n), 10)[1] for n in partitions}
    finally:
        consumer.close()
