"""The API of handling: commands on a case, the case as it stands, the worklist."""

from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from services.processing.adapters.answers import CaseView, Done, WorklistPage
from services.processing.adapters.bodies import Assignment, Closing, Declining, Reopening, Settlement, Unit
from services.processing.adapters.reception import Reception
from services.processing.domain.decisions.adopting import MAY_ADOPT, Adopt
from services.processing.domain.decisions.assigning import MAY_ASSIGN, MAY_TAKE, StartHandling
from services.processing.domain.decisions.closing import MAY_CLOSE, MAY_REOPEN
from services.processing.domain.decisions.settling import MAY_SETTLE, SettleObjection
from services.processing.domain.decisions.standing import Right
from services.processing.domain.owed import Owed
from services.processing.projections import worklist
from services.processing.projections.worklist import Filters, Row
from shared.case import Case
from shared.case.course import Stage
from shared.runtime.auth import Allow, Principal, Role, allow
from shared.runtime.http.asking import AskedCommand
from shared.runtime.http.freshness import AskedToken
from shared.runtime.http.pages import AskedPage, Cursor, page_of
from shared.runtime.running import Running

READERS = allow(
    Role.CON, Role.INT, Role.OWN, Role.LEAD, Role.CM, Role.EXE, Role.QM, Role.CTL, Role.AUD, Role.DPO
)


def _by(right: Right) -> Allow:
    return allow(*(Role(code) for code in right.roles))


Reader: TypeAlias = Annotated[Principal, Depends(READERS)]
Assigner: TypeAlias = Annotated[Principal, Depends(_by(MAY_ASSIGN))]
Taker: TypeAlias = Annotated[Principal, Depends(_by(MAY_TAKE))]
Adopter: TypeAlias = Annotated[Principal, Depends(_by(MAY_ADOPT))]
Settler: TypeAlias = Annotated[Principal, Depends(_by(MAY_SETTLE))]
Closer: TypeAlias = Annotated[Principal, Depends(_by(MAY_CLOSE))]
Reopener: TypeAlias = Annotated[Principal, Depends(_by(MAY_REOPEN))]

CURSOR: Cursor[tuple[datetime | None, UUID]] = Cursor(tuple[datetime | None, UUID])


def routes(running: Running[Case, Owed]) -> list[APIRouter]:
    """All routes of the service."""
    reception = Reception(running)
    return [taking(reception), ending(reception), reading(reception)]


def taking(reception: Reception) -> APIRouter:
    """Who answers for a case."""
    router = APIRouter(prefix="/v1/cases/{case}", tags=["handling"])

    @router.post("/assignment", summary="Name the person who answers for the case")
    async def assign(
        case: UUID, body: Assignment, who: Assigner, asked: AskedCommand, response: Response
    ) -> Done:
        return await reception.carry_out(case, body.command(), MAY_ASSIGN, who, asked, response)

    @router.post("/declining", summary="Do not take the case that one was named for")
    async def decline(
        case: UUID, body: Declining, who: Taker, asked: AskedCommand, response: Response
    ) -> Done:
        return await reception.carry_out(case, body.command(), MAY_TAKE, who, asked, response)

    @router.post("/start", summary="Start handling the case that one was named for")
    async def start(case: UUID, who: Taker, asked: AskedCommand, response: Response) -> Done:
        return await reception.carry_out(case, StartHandling(), MAY_TAKE, who, asked, response)

    @router.post("/adoption", summary="Take a case of history into one's own hands")
    async def adopt(case: UUID, who: Adopter, asked: AskedCommand, response: Response) -> Done:
        return await reception.carry_out(case, Adopt(), MAY_ADOPT, who, asked, response)

    return router


def ending(reception: Reception) -> APIRouter:
    """How a case comes to rest and wakes again."""
    router = APIRouter(prefix="/v1/cases/{case}", tags=["handling"])

    @router.post("/objections/{fact}/settlement", summary="Say what was found about an objection")
    async def settle(
        case: UUID, fact: UUID, body: Settlement, who: Settler, asked: AskedCommand, response: Response
    ) -> Done:
        command = SettleObjection(fact, body.finding)
        return await reception.carry_out(case, command, MAY_SETTLE, who, asked, response)

    @router.post("/closing", summary="Bring the case to rest")
    async def close(case: UUID, body: Closing, who: Closer, asked: AskedCommand, response: Response) -> Done:
        return await reception.carry_out(case, body.command(), MAY_CLOSE, who, asked, response)

    @router.post("/reopening", summary="Wake a closed case")
    async def reopen(
        case: UUID, body: Reopening, who: Reopener, asked: AskedCommand, response: Response
    ) -> Done:
        return await reception.carry_out(case, body.command(), MAY_REOPEN, who, asked, response)

    return router


def asked_filters(
    owner: Annotated[str | None, Query(max_length=255)] = None,
    unit: Unit | None = None,
    stage: Stage | None = None,
    overdue: Annotated[bool | None, Query(description="Only those whose next due moment is over.")] = None,
) -> Filters:
    """Without a stage the closed cases are left out."""
    return Filters(owner, unit, stage, overdue)


def reading(reception: Reception) -> APIRouter:
    """One case, and the list of those that wait for somebody."""
    router = APIRouter(prefix="/v1", tags=["reading"])

    @router.get("/cases/{case}", summary="A case as it stands")
    async def show(case: UUID, who: Reader, token: AskedToken, response: Response) -> CaseView:
        return await reception.show(case, who, token, response)

    @router.get("/worklist", summary="Open cases by what is due next, overdue ones first")
    async def cases(
        filters: Annotated[Filters, Depends(asked_filters)],
        asked: AskedPage,
        who: Reader,
        token: AskedToken,
        response: Response,
    ) -> WorklistPage:
        after = CURSOR.parse(asked.cursor) if asked.cursor else None
        freshness = await reception.fresh(token, response)
        running = reception.running
        rows = await worklist.page(running.parts.pool, who, filters, running.clock(), after, asked.limit)
        page = page_of(rows, asked.limit, _cursor_of)
        return WorklistPage(page.items, page.next, freshness.members())

    return router


def _cursor_of(row: Row) -> str:
    return CURSOR.render((row.next_due, row.case_id))
