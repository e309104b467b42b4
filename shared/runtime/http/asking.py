"""What a request says about its command besides the content: who, under which key, against which state, after what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Request

from shared.runtime.auth import Principal, Role
from shared.runtime.commands import Order
from shared.runtime.http.freshness import AskedToken, Token
from shared.runtime.http.idempotency import IdempotencyKey, command_id, fingerprint
from shared.runtime.http.preconditions import AskedIfMatch, IfMatch
from shared.runtime.http.problems import Problem
from shared.runtime.ids import fresh_id
from shared.runtime.telemetry import current_traceparent
from shared.schemas.base import Actor


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a command; without an Idempotency-Key every request is a command of its own."""

    key: str | None
    if_match: IfMatch | None
    token: Token
    body: bytes
    route: str

    def command(self, principal: Principal) -> UUID:
        """The id that this request and every repetition of it stand for."""
        return command_id(principal, self.route, self.key) if self.key else fresh_id()

    def order(
        self, principal: Principal, case: UUID, now: datetime, publisher: str, *, command: UUID | None = None
    ) -> Order:
        """The command's order against one case."""
        return Order(
            case=case,
            command=command or self.command(principal),
            actor=actor_of(principal),
            now=now,
            traceparent=current_traceparent(),
            fingerprint=fingerprint(self.body) if self.key else None,
            if_match=own_sequences(self.if_match, publisher),
        )


def own_sequences(if_match: IfMatch | None, publisher: str) -> frozenset[int] | None:
    """The own sequences that the caller accepts; None if it makes no condition, or accepts any state."""
    if if_match is None or not if_match.tags:
        return None
    ours = [tag.strip('"').rpartition(":") for tag in if_match.tags]
    return frozenset(int(number) for name, _, number in ours if name == publisher and number.isdigit())


def actor_of(principal: Principal) -> Actor:
    """Who acts, in the first of their roles by the order of the role table."""
    roles = [role for role in Role if role in principal.roles]
    if not roles:
        raise Problem(403, "role-missing", "The token names no role that is known here.")
    return Actor(principal.id, roles[0].value, "upstream" if roles[0] is Role.UPS else "human")


async def asked(request: Request, key: IdempotencyKey, if_match: AskedIfMatch, token: AskedToken) -> Asked:
    """The request's conditions, with the exact body that came under its key."""
    scope_route = request.scope.get("route")
    route = f"{request.method} {getattr(scope_route, 'path', request.url.path)}"
    ids = "/".join(str(value) for value in request.path_params.values())
    return Asked(key, if_match, token, await request.body(), f"{route} {ids}")


AskedCommand: TypeAlias = Annotated[Asked, Depends(asked)]
