"""Cases put straight into a service's tables, as if it had read them from the log."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from bench.corpus import Fact
from shared.runtime.postgres import Connection, Pool
from shared.runtime.store import Loaded
from shared.schemas.base import PUBLISHERS

AT_ONCE = 2_000


async def seed(pool: Pool, cases: Iterable[Sequence[Fact]], service: str) -> dict[UUID, Loaded]:
    """Writes whole cases, all of them read back, and answers them as they stand, without their events."""
    me, stands, some = PUBLISHERS.index(service), {}, list[Sequence[Fact]]()
    async with pool.acquire() as connection, connection.transaction():
        for history in cases:
            stands[history[0].case] = _stands(history, me)
            some.append(history)
            if len(some) == AT_ONCE:
                await _copy(connection, some, stands)
                some = []
        if some:
            await _copy(connection, some, stands)
    return stands


def _stands(history: Sequence[Fact], me: int) -> Loaded:
    gate = tuple(sum(fact.publisher == p for fact in history) for p in range(len(PUBLISHERS)))
    return Loaded(history[0].case, len(history), gate[me], gate)


async def _copy(connection: Connection, cases: Sequence[Sequence[Fact]], stands: dict[UUID, Loaded]) -> None:
    here = [stands[history[0].case] for history in cases]
    await connection.copy_records_to_table(
        "cases", records=[(one.case, 0, one.version, one.own, one.gate, 0, None) for one in here]
    )
    await connection.copy_records_to_table(
        "events", records=[fact.stored for history in cases for fact in history]
    )
    log = [
        (fact.case, n, fact.publisher, fact.sequence, fact.id, 0, n)
        for history in cases
        for n, fact in enumerate(history, 1)
    ]
    await connection.copy_records_to_table("case_log", records=log)
