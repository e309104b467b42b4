"""Where requests meet the running service: may this person see the case, in which role do they act, what is told."""

from dataclasses import replace
from functools import cached_property
from uuid import UUID

from starlette.responses import Response

from services.processing.adapters.answers import CaseView, Done
from services.processing.application import Desk, Rulebook
from services.processing.domain.decisions import Command
from services.processing.domain.decisions.standing import Right
from services.processing.domain.next_steps import next_steps
from services.processing.domain.owed import Owed
from shared.case import Case
from shared.case.record import Record
from shared.runtime.auth import Principal, Role, visible_to
from shared.runtime.http.asking import Asked
from shared.runtime.http.freshness import HEADER, Freshness, Token, Written, render_token
from shared.runtime.http.preconditions import etag
from shared.runtime.http.refusals import NotFound
from shared.runtime.running import Running
from shared.schemas.base import Actor

ME = "processing"


class Reception:
    """Commands in, answers out, for the cases that a person may see."""

    def __init__(self, running: Running[Case, Owed]) -> None:
        self.running = running

    @cached_property
    def desk(self) -> Desk:
        return Desk(self.running.parts.office, Rulebook(self.running.parts.store))

    async def carry_out(
        self, case: UUID, command: Command, right: Right, who: Principal, asked: Asked, response: Response
    ) -> Done:
        """What the command did; a case that the person may not see is not there."""
        self.running.check()
        await self.running.seen(asked.token)
        await self._visible(case, who)
        order = asked.order(who, case, self.running.clock(), ME)
        order = replace(order, actor=Actor(who.id, acting_role(right, who), "human"))
        outcome = await self.desk.carry_out(order, command)
        response.headers["ETag"] = etag(ME, outcome.own)
        if outcome.own:
            response.headers[HEADER] = render_token([Written(ME, case, outcome.own)])
        return Done.of(outcome)

    async def show(self, case: UUID, who: Principal, token: Token, response: Response) -> CaseView:
        """The case as it stands here."""
        freshness = await self.fresh(token, response)
        await self._visible(case, who)
        loaded, state = await self.running.parts.office.look(case)
        if not isinstance(state.record, Record):
            raise NotFound
        occasion = await self.desk.occasion(who.id, "", self.running.clock())
        steps = next_steps(state, occasion, sorted(who.roles))
        response.headers["ETag"] = etag(ME, loaded.own)
        return CaseView.of(case, state.record, state, steps, freshness.members())

    async def fresh(self, token: Token, response: Response) -> Freshness:
        """How far the answer will reach, once what the token names has been waited for."""
        freshness = await self.running.freshness(await self.running.seen(token))
        response.headers.update(freshness.headers())
        return freshness

    async def _visible(self, case: UUID, who: Principal) -> None:
        seen, arguments = visible_to(who, first_argument=2)
        question = f"select 1 from case_access where case_id = $1 and {seen}"
        if not await self.running.parts.pool.fetchval(question, case, *arguments):
            raise NotFound


def acting_role(right: Right, who: Principal) -> str:
    """The role that gives the person the right: one that holds for every case before one that holds for their own."""
    everywhere = [role for role in Role if role in who.roles and role in right.anywhere]
    own = [role for role in Role if role in who.roles and role in right.own]
    return (everywhere + own)[0].value
