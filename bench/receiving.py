"""Receive: batches of the log into a service's own tables, from memory and from Kafka."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter, process_time

from aiokafka import ConsumerRecord

from bench.corpus import records, traffic
from bench.floors import copy_log, copy_records
from bench.measuring import Figure, Run, Section, by_turns, rates, timed
from bench.place import CASES, PARTITIONS, PREFIX, Place
from services.reporting.app import BLUEPRINT
from shared.runtime.consumer import LiveReader
from shared.runtime.kafka import Offsets, by_partition, logs_of, written
from shared.runtime.postgres import Pool
from shared.runtime.projections import Projection
from shared.runtime.receive import Received, Receiver, Span

SERVICE = BLUEPRINT.name
SIZES = (500, 2_000)
KINDS: Mapping[str, Sequence[Projection]] = {
    "marks": (),
    "marks + 2 projections": tuple(BLUEPRINT.projections),
}
FROM_MEMORY = 15_000
CLAIM = "insert into positions (topic, part, next, epoch) select $1, part, 0, 1 from generate_series(0, $2 - 1) part"


async def measure(place: Place) -> Section:
    figures: list[Figure] = []
    for size in SIZES:
        figures += await _from_memory(place, size)
    for size in SIZES:
        figures += await _from_kafka(place, size)
    return Section(
        figures,
        [
            "gate, events, case log, marks; then with reporting's register and case_access. "
            "Some 400 cases of 10 events are mixed",
            "the floor copies the same rows of `events` and moves the positions in the same transaction",
        ],
    )


async def _from_memory(place: Place, size: int) -> list[Figure]:
    come = records(traffic(max(size, place.many(FROM_MEMORY) // size * size)), CASES, PARTITIONS)
    batches = [come[start : start + size] for start in range(0, len(come), size)]
    async with place.pool(SERVICE) as pool:

        async def floor() -> Run:
            await _begin(place, pool)
            return await timed(copy_records(pool, batches))

        first, *others = await by_turns(
            floor, *(_receiving(place, pool, batches, kind) for kind in KINDS.values())
        )
    return [
        rates(f"receive {size:,} from memory, {name}", "events/s", first, runs)
        for name, runs in zip(KINDS, others, strict=True)
    ]


def _receiving(
    place: Place, pool: Pool, batches: Sequence[Sequence[ConsumerRecord]], projections: Sequence[Projection]
) -> Callable[[], Awaitable[Run]]:
    receiver = Receiver(SERVICE, logs_of(PREFIX), projections)

    async def receive_all() -> int:
        for batch in batches:
            there = by_partition(batch)
            spans = [
                Span(topic, part, some[0].offset, some[-1].offset + 1, 1, last=written(some[-1]))
                for (topic, part), some in sorted(there.items())
            ]
            async with pool.acquire() as connection:
                await receiver.receive(connection, batch, spans)
        return sum(map(len, batches))

    async def once() -> Run:
        await _begin(place, pool)
        return await timed(receive_all())

    return once


async def _begin(place: Place, pool: Pool) -> None:
    """Empty tables and every position at the beginning, claimed."""
    await place.empty(SERVICE)
    await pool.execute(CLAIM, CASES, PARTITIONS)


async def _from_kafka(place: Place, size: int) -> list[Figure]:
    total = len(await place.log())
    async with place.pool(SERVICE) as pool:

        async def floor() -> Run:
            await _begin(place, pool)
            return await copy_log(place, pool, total, size)

        first, *others = await by_turns(
            floor, *(_reading(place, pool, total, size, kind) for kind in KINDS.values())
        )
    return [
        rates(f"receive {size:,} from Kafka, {name}", "events/s", first, runs)
        for name, runs in zip(KINDS, others, strict=True)
    ]


def _reading(
    place: Place, pool: Pool, total: int, size: int, projections: Sequence[Projection]
) -> Callable[[], Awaitable[Run]]:
    async def once() -> Run:
        await place.empty(SERVICE)
        return await live(place, pool, total, Receiver(SERVICE, logs_of(PREFIX), projections), size)

    return once


async def live(place: Place, pool: Pool, total: int, receiver: Receiver, size: int) -> Run:
    """The service's own reader from its first batch to its last; joining the group does not count."""
    ends, done = [(0, perf_counter(), process_time())], asyncio.Event()

    def note(received: Received) -> None:
        read = ends[-1][0] + len(received.verdict.accepted)
        ends.append((read, perf_counter(), process_time()))
        if read >= total:
            done.set()

    offsets = Offsets(place.bootstrap)
    reader = LiveReader(
        bootstrap=place.bootstrap,
        prefix=PREFIX,
        publisher=SERVICE,
        pool=pool,
        receiver=receiver,
        offsets=offsets,
        ends={},
        on_batch=note,
        most_records=size,
    )
    await reader.start()
    try:
        async with asyncio.timeout(120):
            await done.wait()
    finally:
        await reader.stop()
        await offsets.close()
    (before, began, cpu), (read, ended, spent) = ends[1], ends[-1]
    return Run(read - before, ended - began, spent - cpu)
