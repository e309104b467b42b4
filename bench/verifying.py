"""Verification: the whole log compared with the ledger, record by record, and every chain computed anew."""

from collections.abc import Sequence
from hashlib import sha256

from aiokafka import AIOKafkaConsumer

from bench.corpus import Fact
from bench.floors import plain_consumer, read_log
from bench.measuring import Run, Section, by_turns, rates, timed
from bench.place import PREFIX, Place
from bench.receiving import SERVICE, live
from services.reporting.adapters.ledger import PostgresLedger, witness
from services.reporting.adapters.topics import KafkaTopics
from services.reporting.application.verifying import Verification
from shared.runtime.kafka import logs_of
from shared.runtime.receive import Receiver

GOAL = 0.5
AT_ONCE = 1_000


async def measure(place: Place) -> Section:
    facts = await place.log()
    async with place.pool(SERVICE) as pool:
        await place.empty(SERVICE)
        await live(place, pool, len(facts), Receiver(SERVICE, logs_of(PREFIX), (), witness), AT_ONCE)
        await place.settle(SERVICE)

        async def hashed() -> Run:
            return await timed(_hashed(facts))

        async def read_and_hashed() -> Run:
            async with plain_consumer(place) as consumer:
                return await timed(_read_and_hashed(consumer, len(facts)))

        async def ours() -> Run:
            return await timed(_verified(place, PostgresLedger(pool), len(facts)))

        bare, floor, verified = await by_turns(hashed, read_and_hashed, ours)
    what = "verify the whole log"
    return Section(
        [
            rates(f"{what}, beside reading + SHA-256", "events/s", floor, verified, goal=GOAL),
            rates(f"{what}, beside SHA-256 alone", "events/s", bare, verified),
        ],
        ["topic and ledger are read, compared byte by byte, judged by the gate, and every chain is hashed"],
    )


async def _hashed(facts: Sequence[Fact]) -> int:
    for fact in facts:
        sha256(fact.body).digest()
    return len(facts)


async def _read_and_hashed(consumer: AIOKafkaConsumer, total: int) -> int:
    async for batch in read_log(consumer, total, AT_ONCE):
        for record in batch:
            sha256(record.value).digest()
    return total


async def _verified(place: Place, ledger: PostgresLedger, total: int) -> int:
    async with KafkaTopics(place.bootstrap) as topics:
        result = await Verification(topics, ledger).run([place.topic])
    if not result.holds or result.records != total:
        raise AssertionError(f"the verification did not find what was put there: {result}")
    return total
