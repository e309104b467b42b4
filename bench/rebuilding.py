"""Rebuild: the register made anew from the first record of the log, gate included, and swapped in."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord
from pydantic import BaseModel, ConfigDict

from bench.floors import plain_consumer, read_log
from bench.measuring import Run, Section, by_turns, rates, timed
from bench.place import PREFIX, Place
from bench.receiving import SERVICE, live
from services.reporting.app import BLUEPRINT
from services.reporting.projections.register import REGISTER
from shared.runtime.kafka import logs_of
from shared.runtime.postgres import Pool
from shared.runtime.rebuild import rebuild
from shared.runtime.receive import Receiver

BATCH = 2_000
GOAL = 0.5


class Envelope(BaseModel):
    """What the floor parses: the envelope, with the payload as it comes."""

    model_config = ConfigDict(extra="ignore")
    id: UUID
    subject: UUID
    type: str
    source: str
    sequence: str
    time: datetime
    commandid: UUID
    data: dict[str, Any]


async def measure(place: Place) -> Section:
    total = len(await place.log())
    async with place.pool(SERVICE) as pool:
        await place.empty(SERVICE)
        await live(place, pool, total, Receiver(SERVICE, logs_of(PREFIX), BLUEPRINT.projections), BATCH)

        async def floor() -> Run:
            await place.empty_floor(SERVICE)
            async with plain_consumer(place) as consumer:
                return await timed(_copied(pool, read_log(consumer, total, BATCH)))

        async def ours() -> Run:
            return await timed(_rebuilt(place, total))

        first, second = await by_turns(floor, ours)
    figure = rates("rebuild of the register", "events/s", first, second, goal=GOAL)
    return Section(
        [figure],
        [
            f"{total:,} events; ours from beginning to end, comparison and swap included",
            "the floor: plain consumer, model_validate_json of the envelope, COPY into 8 columns, 2,000 a transaction",
        ],
    )


async def _rebuilt(place: Place, total: int) -> int:
    rebuilt = await rebuild(place.owner_dsn(SERVICE), place.bootstrap, PREFIX, SERVICE, REGISTER)
    if not rebuilt.swapped:
        raise AssertionError(f"the register came out otherwise: {rebuilt}")
    return total


async def _copied(pool: Pool, batches: AsyncIterator[Sequence[ConsumerRecord]]) -> int:
    count = 0
    async for batch in batches:
        said = [Envelope.model_validate_json(record.value) for record in batch]
        async with pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("floor_parsed", records=[_row(one) for one in said])
        count += len(batch)
    return count


def _row(said: Envelope) -> tuple[object, ...]:
    place = said.id, said.subject, said.type, said.source, int(said.sequence)
    return *place, said.time, said.commandid, orjson.dumps(said.data).decode()
