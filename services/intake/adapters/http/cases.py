"""What is done to one complaint: classifying it, telling what happened to it elsewhere, ordering its erasure."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.intake.adapters.desk import Desk
from services.intake.adapters.http import permissions
from services.intake.adapters.http.answers import ME, Done, answer, done
from services.intake.adapters.wire import Degree, FactBody, Short
from services.intake.application.acceptance import Guard, nobody_minds
from services.intake.domain.complaint import Complaint
from services.intake.domain.decisions import Command
from services.intake.domain.decisions.classifying import Classify
from services.intake.domain.decisions.erasing import OrderErasure
from services.intake.domain.decisions.telling import RecordFact
from shared.runtime.auth import Principal, Role, allow
from shared.runtime.http.asking import Asked, AskedCommand
from shared.schemas.codes import ErasureBasis
from shared.schemas.privacy import DataGroup


class ClassifyBody(BaseModel):
    """category is the path of codes from the root of the scheme in force."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    category: Annotated[list[Short], Field(min_length=1, max_length=8)]
    severity: Degree | None = None


class ErasureBody(BaseModel):
    """Without groups everything of the complainant is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    basis: ErasureBasis = ErasureBasis.REQUEST
    groups: Annotated[list[DataGroup], Field(min_length=1)] = list(DataGroup)

    def command(self) -> OrderErasure:
        return OrderErasure(self.basis, frozenset(self.groups))


def router(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/cases", tags=["cases"])
    may_classify, may_tell, may_erase = (
        allow(*roles) for roles in (permissions.CLASSIFY, permissions.TELL, permissions.ERASE)
    )

    @router.post("/{case}/classification", response_model=Done)
    async def classify(
        case: UUID,
        body: ClassifyBody,
        asked: AskedCommand,
        principal: Annotated[Principal, Depends(may_classify)],
    ) -> JSONResponse:
        """Gives the complaint its category under the scheme in force; the urgency follows."""
        await desk.ready_for(asked)
        await permissions.must_see(desk.running.parts.pool, principal, case)

        def own(complaint: Complaint) -> None:
            permissions.must_be_own(principal, complaint)

        return await _carry_out(
            desk, asked, principal, case, Classify(tuple(body.category), body.severity), own
        )

    @router.post("/{case}/facts", response_model=Done)
    async def tell(
        case: UUID, body: FactBody, asked: AskedCommand, principal: Annotated[Principal, Depends(may_tell)]
    ) -> JSONResponse:
        """Records what an upstream system says happened to the complaint."""
        await desk.ready_for(asked)
        guard: Guard = nobody_minds
        if principal.roles & {Role.INT, Role.CM}:
            await permissions.must_see(desk.running.parts.pool, principal, case)
        else:
            # Upstream systems tell without reading: they see no case.
            def guard(complaint: Complaint) -> None:
                permissions.must_be_of_entity(principal, complaint)

        return await _carry_out(desk, asked, principal, case, RecordFact(principal.id, body.fact()), guard)

    @router.post("/{case}/erasure", status_code=202, response_model=Done)
    async def erase(
        case: UUID,
        body: ErasureBody,
        asked: AskedCommand,
        principal: Annotated[Principal, Depends(may_erase)],
    ) -> JSONResponse:
        """Orders that the complainant's data in this case become unreadable; it is done about a minute later."""
        await desk.ready_for(asked)

        def of_entity(complaint: Complaint) -> None:
            permissions.must_be_of_entity(principal, complaint)

        return await _carry_out(desk, asked, principal, case, body.command(), of_entity, 202)

    return router


async def _carry_out(
    desk: Desk,
    asked: Asked,
    principal: Principal,
    case: UUID,
    command: Command,
    guard: Guard,
    status: int = 200,
) -> JSONResponse:
    order = asked.order(principal, case, desk.running.clock(), ME)
    outcome = await desk.acceptance.carry_out(order, command, guard)
    return answer(done(outcome), outcome, status)
