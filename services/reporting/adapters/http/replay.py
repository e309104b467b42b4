"""The replay of a case over HTTP, for auditors and data protection officers."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from services.reporting.adapters.http.answers import fresh_answer, opened, the_case
from services.reporting.domain.flattening import Change
from services.reporting.domain.replay import (
    Instant,
    Step,
    UnknownField,
    at_instant,
    difference,
    explain,
    state,
    steps,
)
from shared.runtime.auth import Principal, Role, allow
from shared.runtime.http.freshness import AskedToken, Token
from shared.runtime.http.problems import Problem
from shared.runtime.running import Running
from shared.runtime.store import CaseStore
from shared.schemas.base import Recorded
from shared.schemas.envelope import Unreadable, read

Reader = Annotated[Principal, Depends(allow(Role.AUD, Role.DPO))]
Name = Annotated[str, Path(max_length=64, description="The complaint's id or case number.")]
At = Annotated[AwareDatetime | None, Query()]


@dataclass(frozen=True, slots=True)
class History:
    """A case's events in accepted order; unreadable says at which one this build has to stop, and why."""

    case: UUID
    events: list[Recorded]
    standing: str | None
    unreadable: str | None = None


async def history_of(store: CaseStore, case: UUID) -> History:
    """What has been read back from the log, whether or not the case is parked."""
    loaded = await store.load(case)
    standing = loaded.parked or ("forked" if loaded.forks else None)
    events: list[Recorded] = []
    for number, stored in enumerate(loaded.events[: sum(loaded.gate)], start=1):
        try:
            events.append(read(stored.body))
        except Unreadable as error:
            return History(case, events, standing, f"event {number}: {error}")
    return History(case, events, standing)


def replay_routes(running: Running[Any, Any]) -> APIRouter:
    """Replay, explanation and difference."""
    router = APIRouter(prefix="/v1/cases/{case}", tags=["replay"])

    async def told(principal: Principal, name: str, token: Token) -> tuple[History, bool]:
        fresh = await running.seen(token)
        return await history_of(running.parts.store, await the_case(running, principal, name)), fresh

    @router.get("/replay", response_model=None)
    async def replay(
        principal: Reader,
        case: Name,
        token: AskedToken,
        as_of: At = None,
        as_known_at: At = None,
        step: Annotated[bool, Query(description="Tell every event too.")] = False,
    ) -> Response:
        """The case at an instant, as it happened, as it was known, or both; without an instant as it is."""
        history, fresh = await told(principal, case, token)
        instant = Instant(as_of, as_known_at)
        counted = at_instant(history.events, instant)
        body = {
            "case": history.case,
            "as_of": as_of,
            "as_known_at": as_known_at,
            "events": len(history.events),
            "counted": len(counted),
            "parked": history.standing,
            "unreadable": history.unreadable,
            "state": state(history.events, instant),
            **({"steps": [_step(one) for one in steps(counted)]} if step else {}),
        }
        return await fresh_answer(running, fresh, body, await opened(running.parts.sealer, body))

    @router.get("/explanation/{field}", response_model=None)
    async def explanation(
        principal: Reader,
        case: Name,
        field: Annotated[str, Path(max_length=200, description="Such as course.stage.")],
        token: AskedToken,
    ) -> Response:
        """Which event gave a field its value."""
        history, fresh = await told(principal, case, token)
        try:
            found = explain(history.events, field)
        except UnknownField as unknown:
            detail = "The case has no such field; known says which it has."
            raise Problem(404, "unknown-field", detail, known=unknown.known) from None
        body = {
            "case": history.case,
            "field": found.field,
            "value": found.value,
            "before": found.before,
            "times": found.times,
            "step": _step(found.step) if found.step else None,
        }
        return await fresh_answer(running, fresh, body, await opened(running.parts.sealer, body))

    @router.get("/difference", response_model=None)
    async def between(
        principal: Reader,
        case: Name,
        token: AskedToken,
        earlier: Annotated[AwareDatetime, Query()],
        later: Annotated[AwareDatetime, Query()],
        view: Literal["known", "happened"] = "known",
    ) -> Response:
        """What is another at the later instant than at the earlier one."""
        history, fresh = await told(principal, case, token)
        one, other = (
            Instant(as_known_at=at) if view == "known" else Instant(as_of=at) for at in (earlier, later)
        )
        found = [_change(change) for change in difference(history.events, one, other)]
        body = {"case": history.case, "changes": found}
        return await fresh_answer(running, fresh, body, await opened(running.parts.sealer, body))

    return router


def _change(change: Change) -> dict[str, Any]:
    return {"field": change.field, "before": change.before, "after": change.after}


def _step(step: Step) -> dict[str, Any]:
    it = step.recorded
    return {
        "number": step.number,
        "id": it.id,
        "type": it.type,
        "event": f"{it.publisher}:{it.sequence}",
        "who": {
            "id": it.actor.id,
            "role": it.actor.role,
            "kind": it.actor.kind,
            "on_behalf_of": it.actor.on_behalf_of,
        },
        "occurred_at": it.occurred_at,
        "recorded_at": it.time,
        "known_at": step.known_at,
        "sentence": {"de": step.sentence.german, "en": step.sentence.english},
        "changes": [_change(change) for change in step.changes],
        "seen": step.seen,
        "unseen": step.unseen,
        "causation": it.causation,
        "command": it.command,
        "correlation": it.correlation,
        "policy_version": it.policy_version,
    }
