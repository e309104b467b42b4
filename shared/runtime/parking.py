"""What rests until somebody has looked: parked cases, forked ones, projections of a case, records kept aside.

Release means try again: the case is folded from all its accepted events, nothing is skipped. What still does not fold
is parked anew with its reason.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import stamina

from shared.runtime.postgres import Connection, Pool
from shared.runtime.projections import Projection
from shared.runtime.receive import fold_afresh
from shared.runtime.store import LOGS, MARK
from shared.schemas.base import PUBLISHERS

NOT_STORED = "not stored"
FORKED = "forked: it goes on when an auditor has acknowledged the fork, in every service at the same place"
LACKING = "a record of it could not be stored: mend the cause, then make this database anew from the log"

_LISTED = """
select c.id as case_id, c.parked, c.forks,
  (select array_agg(p.projection order by p.projection)
   from parked_projections p where p.case_id = c.id) as projections,
  (select count(*) from kept k where k.case_id = c.id and k.why = 'held') as held
from cases c
where c.parked is not null or c.forks > 0 or c.id in (select case_id from parked_projections)
order by c.id limit $1"""
_ASIDE = "select topic, part, off, why, since from aside order by since desc, topic, part, off limit $1"
_CASE = "select id, log, version, own, gate, parked, forks from cases where id = $1"
_KEPT = """
select why, publisher, sequence, id, log, part, off, length(body) as bytes from kept
where case_id = $1 order by publisher, sequence, part, off"""
_PROJECTIONS = (
    "select projection, error, since from parked_projections where case_id = $1 order by projection"
)
# A batch in hand has seen the case parked and folds nothing of it: what it accepts would be missing for ever.
_HOLD_READERS = "select from positions order by topic, part for update"
_LOCK = "select parked, forks from cases where id = $1 for no key update"
_CLEAR = "update cases set parked = null where id = $1"
_CLEAR_PROJECTIONS = """
delete from parked_projections where case_id = $1 and projection = any($2::text[]) returning projection"""


async def listed(pool: Pool, most: int = 1000) -> list[dict[str, Any]]:
    """Every case of which something rests, with the reasons."""
    return [
        {
            "case": row["case_id"],
            "why": row["parked"] or (FORKED if row["forks"] else None),
            "forks": row["forks"],
            "projections": row["projections"] or [],
            "held": row["held"],
        }
        for row in await pool.fetch(_LISTED, most)
    ]


async def aside(pool: Pool, most: int = 1000) -> list[dict[str, Any]]:
    """Records without a readable place in any case: where they stand and why, never what they hold."""
    rows = await pool.fetch(_ASIDE, most)
    return [
        {
            "topic": r["topic"],
            "partition": r["part"],
            "offset": r["off"],
            "why": r["why"],
            "since": r["since"],
        }
        for r in rows
    ]


async def shown(pool: Pool, case: UUID) -> dict[str, Any] | None:
    """All that is known about why a case rests; None for a case that nobody knows."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        row = await connection.fetchrow(_CASE, case)
        if row is None:
            return None
        kept = await connection.fetch(_KEPT, case)
        projections = await connection.fetch(_PROJECTIONS, case)
    return {
        "case": case,
        "why": row["parked"] or (FORKED if row["forks"] else None),
        "forks": row["forks"],
        "version": row["version"],
        "accepted": dict(zip(PUBLISHERS, row["gate"], strict=True)),
        "kept": [_kept(record) for record in kept],
        "projections": [dict(projection) for projection in projections],
    }


def _kept(record: asyncpg.Record) -> dict[str, Any]:
    return {
        "why": record["why"],
        "publisher": PUBLISHERS[record["publisher"]],
        "sequence": record["sequence"],
        "id": record["id"],
        "log": LOGS[record["log"]],
        "partition": record["part"],
        "offset": record["off"],
        "bytes": record["bytes"],
    }


@stamina.retry(on=asyncpg.TransactionRollbackError, attempts=5, wait_initial=0.01, wait_max=0.2)
async def released(
    pool: Pool, projections: Sequence[Projection], case: UUID, only: str | None = None
) -> dict[str, Any]:
    """Tries the case again, or one projection of it, in one transaction under the case's lock.

    The answer says whether it is released, why not, and which of its projections are parked still.
    """
    wanted = [projection for projection in projections if only in (None, projection.name)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_HOLD_READERS)
        row = await connection.fetchrow(_LOCK, case)
        refusal = _refusal(row, only)
        if refusal:
            return {"case": case, "released": False, "why": refusal, "projections": []}
        if only is None:
            await connection.execute(_CLEAR, case)
            await connection.execute(MARK, [case])
        names = [projection.name for projection in wanted]
        await connection.execute(_CLEAR_PROJECTIONS, case, names)
        unreadable = await fold_afresh(connection, wanted, [case])
        return await _outcome(connection, case, unreadable.get(case))


def _refusal(row: asyncpg.Record | None, only: str | None) -> str | None:
    if row is None:
        return "nobody here knows this case"
    if row["forks"]:
        return FORKED
    if row["parked"] and row["parked"].startswith(NOT_STORED):
        return LACKING
    if row["parked"] and only is not None:
        return f"the whole case is parked: {row['parked']}"
    return None


async def _outcome(connection: Connection, case: UUID, unreadable: str | None) -> dict[str, Any]:
    still = [dict(row) for row in await connection.fetch(_PROJECTIONS, case)]
    return {
        "case": case,
        "released": unreadable is None and not still,
        "why": unreadable and f"unreadable: {unreadable}",
        "projections": still,
    }
