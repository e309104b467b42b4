"""Carrying out a command: what its decision is given, and one command or many at once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.intake.application.opening import Openings
from services.intake.domain.complaint import Complaint
from services.intake.domain.decisions import Command, decide
from services.intake.domain.decisions.occasion import Occasion, Opening
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.scheme import Scheme
from shared.case.record import NotReceived, Record
from shared.runtime.commands import Decide, Office, Order, Outcome
from shared.runtime.sealing import Sealer
from shared.runtime.store import CaseParked
from shared.schemas.base import Decided
from shared.schemas.refused import Refused

Answer = Outcome | Refused | CaseParked
SchemeInForce = Callable[[], Awaitable[Scheme]]
Guard = Callable[[Complaint], None]
"""Raises where the caller may not do this to this complaint."""


def nobody_minds(_: Complaint) -> None:
    """The guard of what is open to whoever may ask at all."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    office: Office[Complaint]
    sealer: Sealer
    openings: Openings
    scheme: SchemeInForce

    async def carry_out(self, order: Order, command: Command, guard: Guard = nobody_minds) -> Outcome:
        """Raises what Office.carry_out and the guard raise."""
        decision = self._decision(order, command, guard, {}, await self.scheme())
        return await self.office.carry_out(order, decision)

    async def carry_out_each(
        self, commands: Sequence[tuple[Order, Command]], guard: Guard = nobody_minds
    ) -> list[Answer]:
        """Each for itself, and what new complaints are given all at once."""
        if not commands:
            return []
        scheme = await self.scheme()
        wanted: dict[UUID, Receive] = {}
        for order, command in commands:
            if isinstance(command, Receive):
                wanted.setdefault(order.case, command)
        openings = await self.openings.of_new(wanted, commands[0][0].now) if wanted else {}
        return await self.office.carry_out_each(
            [(order, self._decision(order, command, guard, openings, scheme)) for order, command in commands]
        )

    def _decision(
        self,
        order: Order,
        command: Command,
        guard: Guard,
        openings: Mapping[UUID, Opening],
        scheme: Scheme,
    ) -> Decide[Complaint]:
        """The command's decision on whatever state its case is found in."""

        async def decided(complaint: Complaint) -> Sequence[Decided]:
            guard(complaint)
            opening, previous = openings.get(order.case), dict[str, str]()
            if isinstance(command, Receive):
                if isinstance(complaint.case.record, Record):
                    previous = await self.readable(complaint.case.record)
                elif opening is None:
                    opening = (await self.openings.of({order.case: command}, order.now))[order.case]
            occasion = Occasion(order.now, order.actor, scheme, opening, previous, complaint.told)
            return decide(command, complaint.case, occasion)

        return decided

    async def readable(self, record: Record | NotReceived) -> dict[str, str]:
        """The record's personal texts that can still be read, by the names of their fields."""
        kept = record.personal if isinstance(record, Record) else {}
        texts = await self.sealer.unseal(list(kept.values()))
        return {name: text for name, text in zip(kept, texts, strict=True) if text is not None}
