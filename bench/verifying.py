"""Verification: the whole log compared with the ledger, record by record, and every chain computed anew."""

from collections.abc import Sequence
from hashlib import sha256

from aiokafka import AIOKafkaConsumer

from bench.corpus import Fact
from bench.floors import plain_consumer, read_log
from bench.measuring import Run, Section, by_turns, rates, timed
from bench.place import LONG_CASES, Place
from bench.receiving import SERVICE
from services.reporting.adapters.ledger import PostgresLedger, witness
from services.reporting.adapters.topics import KafkaTopics
from services.reporting.adapters.verifiers import Verifiers
from services.reporting.application.verifying import Verification
from shared.runtime.gate import Arrived, State, accepted, arrived
from shared.runtime.kafka import by_partition
from shared.runtime.postgres import Pool

GOAL = 0.5
AT_ONCE = 2_000
EVENTS_A_SECOND = 150_000
"""A log of some length: what starting the verifiers costs is the same for any."""
REACHED = "insert into positions (topic, part, next, epoch) values ($1, $2, $3, 1)"


async def measure(place: Place) -> Section:
    facts = await place.log(LONG_CASES, EVENTS_A_SECOND)
    async with place.pool(SERVICE) as pool:
        await place.empty(SERVICE)
        await _witnessed(place, pool, len(facts))
        await place.settle(SERVICE)

        async def hashed() -> Run:
            return await timed(_hashed(facts))

        async def read_and_hashed() -> Run:
            async with plain_consumer(place, LONG_CASES) as consumer:
                return await timed(_read_and_hashed(consumer, len(facts)))

        async def ours() -> Run:
            return await timed(_verified(place, pool, len(facts)))

        bare, floor, verified = await by_turns(hashed, read_and_hashed, ours)
    what = "verify the whole log"
    return Section(
        [
            rates(f"{what}, beside reading + SHA-256", "events/s", floor, verified, goal=GOAL),
            rates(f"{what}, beside SHA-256 alone", "events/s", bare, verified),
        ],
        [f"{len(facts):,} events; topic and ledger compared by a process a core, starting them included"],
    )


async def _witnessed(place: Place, pool: Pool, total: int) -> None:
    """The ledger as the service writes it, in one go."""
    async with plain_consumer(place, LONG_CASES) as consumer:
        records = [record async for batch in read_log(consumer, total, AT_ONCE) for record in batch]
    places = [arrived(record) for record in records]
    verdict = accepted(State(), [one for one in places if isinstance(one, Arrived)])
    ends = [(*place, some[-1].offset + 1) for place, some in by_partition(records).items()]
    async with pool.acquire() as connection, connection.transaction():
        await witness(connection, records, verdict)
        await connection.executemany(REACHED, ends)


async def _hashed(facts: Sequence[Fact]) -> int:
    for fact in facts:
        sha256(fact.body).digest()
    return len(facts)


async def _read_and_hashed(consumer: AIOKafkaConsumer, total: int) -> int:
    async for batch in read_log(consumer, total, AT_ONCE):
        for record in batch:
            sha256(record.value).digest()
    return total


async def _verified(place: Place, pool: Pool, total: int) -> int:
    verifiers = Verifiers(place.bootstrap, place.dsn(SERVICE))
    async with KafkaTopics(place.bootstrap) as topics:
        result = await Verification(topics, PostgresLedger(pool), checker=verifiers).run([LONG_CASES])
    if not result.holds or result.records != total:
        raise AssertionError(f"the verification did not find what was put there: {result}")
    return total
