"""Records that claim a place in a case that is taken: what they are, and an auditor's word on them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.reporting.adapters.http.answers import answered, fresh_answer, the_case
from services.reporting.adapters.http.replay import Name
from services.reporting.domain.decisions.forks import AcknowledgeFork, decide
from shared.case import Case
from shared.runtime.auth import Principal, Role, allow
from shared.runtime.http.asking import AskedCommand
from shared.runtime.http.freshness import AskedToken, Written, render_token
from shared.runtime.http.preconditions import etag
from shared.runtime.postgres import Pool
from shared.runtime.running import Running
from shared.schemas.base import PUBLISHERS, Decided
from shared.schemas.reporting import NamedFork

Auditor = Annotated[Principal, Depends(allow(Role.AUD))]
_FORKS = """
select k.publisher, k.sequence, k.id, k.part, k.off, k.why = 'settled' as settled,
  (select l.id from case_log l where (l.case_id, l.publisher, l.sequence) = (k.case_id, k.publisher, k.sequence))
    as accepted
from kept k where k.case_id = $1 and k.why in ('fork', 'settled') order by k.part, k.off"""


class Acknowledgement(BaseModel):
    """The auditor's finding: a code, because the log is no place for names."""

    model_config = ConfigDict(extra="forbid")
    finding: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,63}$", examples=["stray-producer"])]


def fork_routes(running: Running[Any, Any]) -> APIRouter:
    """Listing and acknowledging."""
    router = APIRouter(prefix="/v1/cases/{case}/forks", tags=["forks"])

    @router.get("", response_model=None)
    async def forks(principal: Auditor, case: Name, token: AskedToken) -> Response:
        """Every record with a doubled sequence, the acknowledged ones too."""
        fresh = await running.seen(token)
        which = await the_case(running, principal, case)
        rows = await running.parts.pool.fetch(_FORKS, which)
        items = [_plain(*row) for row in rows]
        return await fresh_answer(running, fresh, {"case": which, "items": items})

    @router.post("/acknowledgement", response_model=None, status_code=200)
    async def acknowledge(
        principal: Auditor, case: Name, said: Acknowledgement, asked: AskedCommand
    ) -> Response:
        """They stay refused, and the case goes on in every service."""
        running.check()
        which = await the_case(running, principal, case)
        order = asked.order(principal, which, running.clock(), "reporting")

        async def on_the_open_ones(state: Case) -> Sequence[Decided]:
            open_ones = await open_forks(running.parts.pool, which)
            return decide(AcknowledgeFork(open_ones, said.finding), state)

        outcome = await running.parts.office.carry_out(replace(order, past_forks=True), on_the_open_ones)
        written = [Written(it.publisher, it.subject, it.sequence) for it in outcome.events]
        body = {
            "case": which,
            "events": [{"id": it.id, "type": it.type, "sequence": it.sequence} for it in outcome.events],
            "token": render_token(written),
        }
        return answered(body, {"ETag": etag("reporting", outcome.own)})

    return router


async def open_forks(pool: Pool, case: UUID) -> tuple[NamedFork, ...]:
    """Those that nobody has acknowledged."""
    rows = await pool.fetch(_FORKS, case)
    return tuple(
        NamedFork(
            publisher=PUBLISHERS[row["publisher"]],
            sequence=row["sequence"],
            id=row["id"],
            partition=row["part"],
            offset=row["off"],
        )
        for row in rows
        if not row["settled"]
    )


def _plain(
    publisher: int, sequence: int, fork: UUID, part: int, off: int, settled: bool, accepted: UUID | None
) -> dict[str, Any]:
    return {
        "event": f"{PUBLISHERS[publisher]}:{sequence}",
        "id": fork,
        "accepted_id": accepted,
        "partition": part,
        "offset": off,
        "acknowledged": settled,
    }
