"""Deciding under the rules in force: what requests and owed work have in common."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.processing.domain.decisions import Command, decide
from services.processing.domain.defaults import CALENDAR, DEADLINES
from services.processing.domain.occasion import Occasion, Rules, rules_of
from services.processing.domain.owed import Owed
from shared.case import Case
from shared.runtime.commands import Office, Order, Outcome
from shared.runtime.owed import SYSTEM, Perform, Performed
from shared.runtime.published import InForce
from shared.runtime.running import Running
from shared.runtime.store import CaseStore
from shared.schemas.base import Decided
from shared.schemas.processing import CalendarPublished, DeadlinePolicyPublished


class Rulebook:
    """The deadlines and the calendar in force, as last published."""

    def __init__(self, store: CaseStore) -> None:
        self._deadlines = InForce(store, DeadlinePolicyPublished, DEADLINES.name)
        self._calendar = InForce(store, CalendarPublished, CALENDAR.name)

    async def in_force(self) -> Rules:
        """Raises NotPublished."""
        return rules_of(await self._deadlines.event(), await self._calendar.event())


class Desk:
    """Where people's commands are decided: the occasion is made here, the rest is the office's."""

    def __init__(self, office: Office[Case], rulebook: Rulebook) -> None:
        self.office, self.rulebook = office, rulebook

    async def occasion(self, actor: str, role: str, now: datetime) -> Occasion:
        return Occasion(now, actor, role, await self.rulebook.in_force())

    async def carry_out(self, order: Order, command: Command) -> Outcome:
        """The events that follow, now or when the same was asked before."""
        occasion = await self.occasion(order.actor.id, order.actor.role, order.now)

        async def decided(case: Case) -> list[Decided]:
            return decide(command, case, occasion)

        return await self.office.carry_out(
            replace(order, policy_version=occasion.rules.policy_version), decided
        )


def performing(running: Running[Case, Owed]) -> Perform[Case, Owed]:
    """Decides what is owed, in the name of the system."""
    rulebook = Rulebook(running.parts.store)

    async def perform(_: UUID, case: Case, work: Owed) -> Performed:
        rules = await rulebook.in_force()
        occasion = Occasion(running.clock(), SYSTEM.id, SYSTEM.role, rules)
        return Performed(decide(work.command, case, occasion), rules.policy_version)

    return perform
