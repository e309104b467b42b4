"""POST /v1/imports: rows of a source's file, each answered for itself."""

import base64
import hmac
from collections import Counter
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.intake.adapters.desk import Desk
from services.intake.adapters.http import permissions
from services.intake.adapters.http.answers import received
from services.intake.adapters.inbound import ordered
from services.intake.adapters.rejecting import Rejected
from services.intake.adapters.upstream import Message, Refusal, read_row, written
from services.intake.application.acceptance import Answer
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.refusal import FieldRefused
from shared.runtime.auth import Principal, allow
from shared.runtime.commands import Outcome
from shared.runtime.http.asking import AskedCommand, actor_of
from shared.runtime.ids import derived_id
from shared.runtime.store import CaseParked
from shared.schemas.codes import Origin
from shared.schemas.refused import Refused

MOST_ROWS = 500


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class UnreadableRow(_Body):
    """A row that the importer could not even write as JSON; raw is base64."""

    field: Annotated[str, Field(max_length=200)]
    reason: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    raw: Annotated[str, Field(max_length=700_000)]


class ImportRow(_Body):
    """complaint is the body of POST /v1/complaints with source_system and source_reference."""

    line: Annotated[int, Field(ge=0, le=2**31 - 1)]
    complaint: Any = None
    unreadable: UnreadableRow | None = None


class ImportBody(_Body):
    origin: Origin = Origin.HISTORY
    rows: Annotated[list[ImportRow], Field(max_length=MOST_ROWS)]


class RowAnswer(BaseModel):
    """changed names what is different from before; field and reason say why a row was refused."""

    line: int
    result: Literal["new", "known", "changed", "refused"]
    case_id: UUID | None = None
    changed: list[str] = []
    field: str | None = None
    reason: str | None = None


class ImportAnswer(BaseModel):
    new: int
    known: int
    changed: int
    refused: int
    rows: list[RowAnswer]


def router(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/v1/imports", tags=["imports"])
    may_import = allow(*permissions.IMPORT)

    @router.post("", response_model_exclude_none=True)
    async def import_rows(
        body: ImportBody, asked: AskedCommand, principal: Annotated[Principal, Depends(may_import)]
    ) -> ImportAnswer:
        """Takes up to 500 rows; the same rows again are known. What is refused goes to complaints.rejected."""
        await desk.ready_for(asked)
        answers = await _import(desk, body, principal)
        counts = Counter(answer.result for answer in answers)
        return ImportAnswer(
            new=counts["new"],
            known=counts["known"],
            changed=counts["changed"],
            refused=counts["refused"],
            rows=answers,
        )

    return router


async def _import(desk: Desk, body: ImportBody, principal: Principal) -> list[RowAnswer]:
    read = [_read(desk, row, body.origin, principal) for row in body.rows]
    key, now, actor = await desk.content_key(), desk.running.clock(), actor_of(principal)
    orders = [ordered(message, key, now, actor) for message in read if isinstance(message, Message)]
    done = iter(await desk.acceptance.carry_out_each(orders))
    answers = [
        _refused(row, what.field, what.reason) if isinstance(what, Refusal) else _told(row, next(done))
        for row, what in zip(body.rows, read, strict=True)
    ]
    pairs = zip(body.rows, answers, strict=True)
    await desk.rejections.reject(
        [_rejected(row, answer, principal, key) for row, answer in pairs if answer.result == "refused"]
    )
    return answers


def _read(desk: Desk, row: ImportRow, origin: Origin, principal: Principal) -> Message | Refusal:
    if row.unreadable is not None:
        return Refusal(row.unreadable.reason, row.unreadable.field, b"", row.line)
    read = read_row(row.complaint, row.line, origin, desk.defaults(principal.entity))
    match read:
        case Message(command=Receive(entity=entity)) if entity != principal.entity:
            return Refusal("not-yours", "entity", b"", row.line)
    return read


def _told(row: ImportRow, answer: Answer) -> RowAnswer:
    match answer:
        case Outcome(new=False):
            return RowAnswer(line=row.line, result="known", case_id=answer.case)
        case Outcome():
            said = received(answer, "")
            return RowAnswer(line=row.line, result=said.result, case_id=answer.case, changed=said.changed)
        case FieldRefused():
            return _refused(row, answer.field, answer.code)
        case Refused():
            return _refused(row, "complaint", answer.code)
        case CaseParked():
            return _refused(row, "complaint", "case-parked")


def _refused(row: ImportRow, field: str, reason: str) -> RowAnswer:
    return RowAnswer(line=row.line, result="refused", field=field, reason=reason)


def _rejected(row: ImportRow, answer: RowAnswer, principal: Principal, key: bytes) -> Rejected:
    """Named by its content: the same bad row of a later import is the same notice."""
    raw = written(row.complaint) if row.unreadable is None else _decoded(row.unreadable.raw)
    digest = hmac.digest(key, raw, "sha256").hex()
    notice = derived_id("rejected", principal.entity, digest)
    return Rejected(notice, "import", answer.reason or "", answer.field or "", raw, line=row.line)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()
