"""What a new complaint is given before it is decided: a number that no other case has, and whose data it holds."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.intake.domain.decisions.occasion import Opening
from services.intake.domain.decisions.receiving import Receive, civil_date
from services.intake.domain.identity import RANDOM_BYTES, case_number
from shared.runtime.keyring import Keyring

Random = Callable[[int], bytes]


class Numbers(Protocol):
    """Where numbers are reserved; a case that has one keeps it."""

    async def unheld(self, cases: Collection[UUID]) -> set[UUID]:
        """Those of the cases that the service holds nothing of."""
        ...

    async def reserve(self, drawn: Mapping[UUID, str]) -> Mapping[UUID, str]:
        """The numbers that the cases have now; one is missing whose number another case has: draw again."""
        ...


@dataclass(frozen=True, slots=True)
class Openings:
    numbers: Numbers
    keyring: Keyring
    random: Random

    async def of_new(self, wanted: Mapping[UUID, Receive], now: datetime) -> dict[UUID, Opening]:
        """What those of the complaints are given that are new here."""
        new = await self.numbers.unheld(wanted)
        return await self.of({case: wanted[case] for case in new}, now) if new else {}

    async def of(self, wanted: Mapping[UUID, Receive], now: datetime) -> dict[UUID, Opening]:
        years = {case: civil_date(now, command.time_zone).year for case, command in wanted.items()}
        matches = {case: match_text(command) for case, command in wanted.items()}
        numbers, subjects = await asyncio.gather(self._numbered(years), self.keyring.subjects_for(matches))
        return {case: Opening(numbers[case], subjects[case]) for case in wanted}

    async def _numbered(self, years: Mapping[UUID, int]) -> dict[UUID, str]:
        numbered: dict[UUID, str] = {}
        while left := years.keys() - numbered.keys():
            drawn = {case: case_number(years[case], self.random(RANDOM_BYTES)) for case in left}
            numbered |= await self.numbers.reserve(drawn)
        return numbered


def match_text(command: Receive) -> str | None:
    """What tells that two complaints are one person's: the customer number, else an address, else a telephone."""
    if command.customer_number:
        return f"customer-number:{command.customer_number.strip().casefold()}"
    if command.email:
        return f"e-mail:{command.email.strip().casefold()}"
    digits = "".join(character for character in command.phone or "" if character.isdigit())
    return f"phone:{digits}" if digits else None
