"""Erasing a complainant everywhere: in every case that the keyring knows of the person."""

from typing import Annotated, Literal
from uuid import UUID, uuid5

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from services.intake.adapters.desk import Desk
from services.intake.adapters.http import permissions
from services.intake.adapters.http.answers import ME
from services.intake.adapters.http.cases import ErasureBody
from services.intake.application.acceptance import Answer
from services.intake.domain.complaint import Complaint
from shared.runtime.auth import Principal, allow
from shared.runtime.commands import Outcome
from shared.runtime.http.asking import AskedCommand
from shared.runtime.http.refusals import NotFound


class ErasedCase(BaseModel):
    """known: it was ordered before."""

    case_id: UUID
    result: Literal["ordered", "known", "refused"]


class ErasedSubject(BaseModel):
    subject_id: UUID
    cases: list[ErasedCase]


def router(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/subjects", tags=["subjects"])
    may_erase = allow(*permissions.ERASE)

    @router.post("/{subject}/erasure", status_code=202)
    async def erase(
        subject: UUID,
        body: ErasureBody,
        asked: AskedCommand,
        principal: Annotated[Principal, Depends(may_erase)],
    ) -> ErasedSubject:
        """Orders the erasure case by case; each is done about a minute later."""
        await desk.ready_for(asked)
        cases = sorted(await desk.running.parts.keyring.cases_of(subject))
        if not cases:
            raise NotFound
        bulk, now = asked.command(principal), desk.running.clock()
        orders = [
            (asked.order(principal, case, now, ME, command=uuid5(bulk, str(case))), body.command())
            for case in cases
        ]

        def of_entity(complaint: Complaint) -> None:
            permissions.must_be_of_entity(principal, complaint)

        answers = await desk.acceptance.carry_out_each(orders, of_entity)
        told = [_told(case, answer) for case, answer in zip(cases, answers, strict=True)]
        return ErasedSubject(subject_id=subject, cases=told)

    return router


def _told(case: UUID, answer: Answer) -> ErasedCase:
    if not isinstance(answer, Outcome):
        return ErasedCase(case_id=case, result="refused")
    return ErasedCase(case_id=case, result="ordered" if answer.new else "known")
