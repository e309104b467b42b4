"""How far a service has read each partition: kept in its own database, moved in the transaction that writes.

Whoever claims a partition raises its epoch, so that whoever had it before can move nothing any more.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.runtime.kafka import Partition
from shared.runtime.postgres import Connection, Pool
from shared.runtime.receive import columns


@dataclass(frozen=True, slots=True)
class Place:
    """The next offset to be read, and the claim under which it may be moved; new: nobody had read here before."""

    next: int
    epoch: int
    new: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """A position as anybody may see it; last is when the last record below it was written."""

    next: int
    last: datetime | None


_CLAIM = """
insert into positions (topic, part, next, epoch)
select topic, part, start, 1 from unnest($1::text[], $2::smallint[], $3::bigint[]) p (topic, part, start)
order by topic, part
on conflict (topic, part) do update set epoch = positions.epoch + 1
returning topic, part, next, epoch, xmax = 0 as new"""
_PLACES = """
select topic, part, next, epoch from positions
where (topic, part) in (select * from unnest($1::text[], $2::smallint[]))"""
_REACHED = "select topic, part, next, last from positions where topic = any($1::text[])"
_SKIP = "update positions set next = $3 where (topic, part) = ($1, $2) and next < $3 and epoch = $4"


async def claim(pool: Pool, starts: Mapping[Partition, int]) -> dict[Partition, Place]:
    """Takes the partitions over; one that was never read begins at the offset given."""
    asked = [(*partition, start) for partition, start in sorted(starts.items())]
    async with pool.acquire(timeout=5) as connection:
        rows = await connection.fetch(_CLAIM, *columns(asked, 3), timeout=10)
    return {(row["topic"], row["part"]): Place(row["next"], row["epoch"], row["new"]) for row in rows}


async def places(pool: Pool, partitions: Collection[Partition]) -> dict[Partition, Place]:
    """The positions as they are stored, whoever has claimed them last."""
    async with pool.acquire(timeout=5) as connection:
        rows = await connection.fetch(_PLACES, *columns(list(partitions), 2), timeout=10)
    return {(row["topic"], row["part"]): Place(row["next"], row["epoch"]) for row in rows}


async def reached(connection: Connection | Pool, topics: Collection[str]) -> dict[Partition, Reached]:
    """Every position of the topics that anybody ever claimed."""
    rows = await connection.fetch(_REACHED, list(topics))
    return {(row["topic"], row["part"]): Reached(row["next"], row["last"]) for row in rows}


async def skip(pool: Pool, partition: Partition, place: Place, to: int) -> None:
    """Moves a claimed position over records that are gone for ever."""
    await pool.execute(_SKIP, *partition, to, place.epoch)
