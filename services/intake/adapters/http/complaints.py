"""POST and GET /v1/complaints: a complaint is received at once with its number, and read by whoever may."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from services.intake.adapters.desk import Desk
from services.intake.adapters.http import permissions, views
from services.intake.adapters.http.answers import ME, Received, answer, received
from services.intake.adapters.wire import SourcedBody, receive_command
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.identity import (
    complaint_of_command,
    complaint_of_reference,
    content_command,
    read_case_number,
)
from services.intake.projections.case_numbers import cases_numbered
from shared.case.record import Record
from shared.runtime.auth import Principal, allow
from shared.runtime.commands import KeyReused, Outcome
from shared.runtime.http.asking import Asked, AskedCommand
from shared.runtime.http.freshness import AskedToken
from shared.runtime.http.idempotency import fingerprint
from shared.runtime.http.preconditions import etag
from shared.runtime.http.problems import Problem
from shared.runtime.http.refusals import NotFound
from shared.schemas.codes import Origin

MISTYPED = "This is no case number: a character is wrong."


def router(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/complaints", tags=["complaints"])
    may_receive, may_read = allow(*permissions.RECEIVE), allow(*permissions.READ)

    @router.post("", status_code=201, response_model=Received, responses={200: {"model": Received}})
    async def receive(
        body: SourcedBody, asked: AskedCommand, principal: Annotated[Principal, Depends(may_receive)]
    ) -> JSONResponse:
        """Accepts a complaint. Sent again it is known; with other content under its reference it is changed."""
        await desk.ready_for(asked)
        outcome, number = await _receive(desk, body, asked, principal)
        said = received(outcome, number)
        location = {"Location": f"/v1/complaints/{outcome.case}"}
        return answer(said, outcome, 201 if said.result == "new" else 200, location)

    @router.get("")
    async def find(
        case_number: Annotated[
            str, Query(max_length=40, description="As it was told, such as 2026-K7Q2M9XD-4.")
        ],
        token: AskedToken,
        principal: Annotated[Principal, Depends(may_read)],
    ) -> dict[str, Any]:
        """The complaint of a case number."""
        number = read_case_number(case_number)
        if number is None:
            fields = [{"field": "query.case_number", "reason": MISTYPED}]
            raise Problem(422, "mistyped", MISTYPED, fields=fields)
        fresh = await desk.running.seen(token)
        found = await cases_numbered(desk.running.parts.pool, principal, number)
        items = [{"case_id": str(row.case_id), "case_number": row.case_number} for row in found]
        return {"items": items, "freshness": (await desk.running.freshness(fresh)).members()}

    @router.get("/{complaint}")
    async def read(
        complaint: UUID, token: AskedToken, principal: Annotated[Principal, Depends(may_read)]
    ) -> JSONResponse:
        """The record as it stands; personal texts are unsealed for this answer and kept nowhere."""
        fresh = await desk.running.seen(token)
        await permissions.must_see(desk.running.parts.pool, principal, complaint)
        loaded, state = await desk.running.parts.office.look(complaint)
        if not isinstance(state.case.record, Record):
            raise NotFound
        texts: dict[str, str] | None = None
        if principal.roles & permissions.READ_PERSONAL:
            texts = await desk.acceptance.readable(state.case.record)
        freshness = await desk.running.freshness(fresh)
        body = views.complaint(complaint, state.case.record, state.case, texts)
        headers = {"ETag": etag(ME, loaded.own), **freshness.headers()}
        return JSONResponse({**body, "freshness": freshness.members()}, headers=headers)

    return router


async def _receive(desk: Desk, body: SourcedBody, asked: Asked, principal: Principal) -> tuple[Outcome, str]:
    """What became of it, and the number of a case that was there before."""
    if body.entity not in (None, principal.entity):
        raise FieldRefused("entity", "not-yours", "This is not the entity that you act for.")
    source = None
    if body.source_system is not None and body.source_reference is not None:
        source = body.source_system, body.source_reference
    command = receive_command(body, Origin.LIVE, desk.defaults(principal.entity), source)
    command_id = await _command_id(desk, command, source, asked, principal)
    case = complaint_of_reference(*source) if source else complaint_of_command(command_id)
    order = asked.order(principal, case, desk.running.clock(), ME, command=command_id)
    outcome = await desk.acceptance.carry_out(order, command)
    _, state = await desk.running.parts.office.look(case) if not outcome.events else (None, None)
    stands = state.case.record if state else None
    return outcome, stands.case_number if isinstance(stands, Record) else ""


async def _command_id(
    desk: Desk, command: Receive, source: tuple[str, str] | None, asked: Asked, principal: Principal
) -> UUID:
    """By the caller's key, else by the content that a source sent."""
    if source is None:
        return asked.command(principal)
    if asked.key is None:
        return content_command(*source, command, await desk.content_key())
    command_id = asked.command(principal)
    # The case is found by its reference: under a key that was used for another one nobody would look there.
    known = await desk.running.parts.store.fingerprint(command_id)
    if known is not None and known != fingerprint(asked.body):
        raise KeyReused
    return command_id
