"""What operators see of a service and may do: its state, its metrics, its parked cases."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends

from shared.runtime import parking
from shared.runtime.auth import Principal, Role, allow
from shared.runtime.build import VERSION
from shared.runtime.http.refusals import NotFound
from shared.runtime.postgres import Pool
from shared.runtime.running import Running
from shared.runtime.telemetry import ASIDE, OUTBOX_DEPTH, OUTBOX_OLDEST, OWED, PARKED, STUCK

OUTBOX_ALARM = 5.0
"""Seconds: to an idempotent producer an outage of the broker is only silence, so the age is what tells of it."""
log = structlog.get_logger()

_COUNTS = """
select (select count(*) from outbox) as outbox_depth,
  coalesce((select extract(epoch from now() - min(at))::float8 from outbox), 0) as outbox_oldest_seconds,
  (select count(*) from cases where parked is not null or forks > 0)
    + (select count(*) from parked_projections) as parked,
  (select count(*) from owed where state = 'due') as owed,
  (select count(*) from owed where state = 'stuck') as stuck,
  (select count(*) from marks) as marked,
  (select count(*) from kept where why = 'held') as held,
  (select count(*) from aside) as aside"""


async def counts(pool: Pool) -> dict[str, Any]:
    """How much waits where in this service."""
    row = await pool.fetchrow(_COUNTS)
    assert row is not None
    return dict(row)


async def state(running: Running[Any, Any]) -> Mapping[str, Any]:
    """All that `redress status` shows of a service."""
    said: dict[str, Any] = {
        "service": running.settings.service,
        "version": VERSION,
        "role": running.role,
        "catching_up": not running.caught_up,
        "waiting_for": running.patience.waiting_for,
        "ready": not await running.reasons(),
    }
    if running.started:
        rows = await running.parts.pool.fetch("select topic, part, next from positions order by topic, part")
        positions = {f"{row['topic']}/{row['part']}": row["next"] for row in rows}
        lag = sum(running.reader.lag().values()) if running.reader else 0
        said |= {"positions": positions, "lag": lag, "fresh": lag == 0, **await counts(running.parts.pool)}
    return said


async def sample(running: Running[Any, Any]) -> int:
    """Sets the gauges from the database; answers 0, so that its loop rests."""
    service, now = running.settings.service, await counts(running.parts.pool)
    OUTBOX_DEPTH.labels(service).set(now["outbox_depth"])
    OUTBOX_OLDEST.labels(service).set(now["outbox_oldest_seconds"])
    ASIDE.labels(service).set(now["aside"])
    if now["outbox_oldest_seconds"] > OUTBOX_ALARM:
        log.error(
            "events wait for the broker", depth=now["outbox_depth"], oldest=now["outbox_oldest_seconds"]
        )
    PARKED.labels(service).set(now["parked"])
    OWED.labels(service).set(now["owed"])
    STUCK.labels(service).set(now["stuck"])
    return 0


def parked_routes(running: Running[Any, Any]) -> APIRouter:
    """Listing, showing and releasing what is parked in this service."""
    router = APIRouter(prefix="/v1/parked", tags=["operations"])
    may = allow(Role.OPS, Role.CM, Role.AUD)

    @router.get("")
    async def parked(_: Annotated[Principal, Depends(may)]) -> dict[str, Any]:
        """What is parked, with the reason and since when."""
        return {"items": await parking.listed(running.parts.pool)}

    @router.get("/{case}")
    async def one(case: UUID, _: Annotated[Principal, Depends(may)]) -> dict[str, Any]:
        """Why a case is parked, with the records kept aside for it."""
        found = await parking.shown(running.parts.pool, case)
        if found is None:
            raise NotFound
        return found

    @router.post("/{case}/release")
    async def release(
        case: UUID, _: Annotated[Principal, Depends(allow(Role.OPS, Role.CM))]
    ) -> dict[str, Any]:
        """Tries again: the case is folded from its accepted events; nothing is skipped."""
        return await parking.released(running.parts.pool, running.blueprint.projections, case)

    return router
