"""What acceptance answers: a function of the events that a command made, so that it is the same every time."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from services.intake.domain.decisions.receiving_again import changes
from shared.runtime.commands import Outcome
from shared.runtime.http.freshness import HEADER, Written, render_token
from shared.runtime.http.preconditions import etag
from shared.schemas.intake import ComplaintReceived

ME = "intake"


class Received(BaseModel):
    """changed names what is different from what the source said before."""

    case_id: UUID
    case_number: str
    result: Literal["new", "known", "changed"]
    changed: list[str] = []


class Done(BaseModel):
    """The types of the events that the command made; none if it was so already."""

    case_id: UUID
    events: list[str]


def received(outcome: Outcome, case_number: str) -> Received:
    """case_number is asked for where the events do not give it."""
    first = next((r.event for r in outcome.events if isinstance(r.event, ComplaintReceived)), None)
    if first is not None:
        return Received(case_id=outcome.case, case_number=first.case_number, result="new")
    named = changes(recorded.event for recorded in outcome.events)
    result: Literal["known", "changed"] = "changed" if named else "known"
    return Received(case_id=outcome.case, case_number=case_number, result=result, changed=named)


def done(outcome: Outcome) -> Done:
    return Done(case_id=outcome.case, events=[recorded.type for recorded in outcome.events])


def answer(
    body: BaseModel, outcome: Outcome, status: int = 200, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The body with the tag of the state that it shows, and a token by which others wait for it."""
    return JSONResponse(body.model_dump(mode="json"), status, {**conditions(outcome), **(headers or {})})


def conditions(outcome: Outcome) -> dict[str, Any]:
    token = render_token([Written(ME, outcome.case, outcome.own)] if outcome.own else [])
    return {"ETag": etag(ME, outcome.own), **({HEADER: token} if token else {})}
