"""The floors: the same bytes through the same clients, without a gate, a decision or a fold."""

from collections.abc import Awaitable, Iterator, Sequence
from itertools import repeat

from shared.runtime.ids import fresh_id
from shared.runtime.postgres import Pool

INSERT = "insert into floor values ($1, $2)"


def inserts(pool: Pool, body: bytes) -> Iterator[Awaitable[object]]:
    """Single rows, each committed by itself."""
    return (pool.execute(INSERT, fresh_id(), body) for _ in repeat(None))


async def copies(pool: Pool, bodies: Sequence[bytes], size: int) -> int:
    """COPY under a primary key, so many a transaction."""
    for start in range(0, len(bodies), size):
        rows = [(fresh_id(), body) for body in bodies[start : start + size]]
        async with pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("floor", records=rows)
    return len(bodies)
