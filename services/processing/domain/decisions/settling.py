"""Looking into what a customer objected to, and saying what was found."""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from services.processing.domain.decisions.standing import LEADERS, Right, require_open, require_right
from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.schemas.base import Decided
from shared.schemas.processing import ObjectionSettled
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class SettleObjection:
    """objection is the id of the fact that raised it; finding is a code."""

    objection: UUID
    finding: str


Command: TypeAlias = SettleObjection

MAY_SETTLE = Right(anywhere=LEADERS, own=frozenset({"OWN"}))


def decide(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    require_open(case)
    require_right(MAY_SETTLE, case, occasion)
    if command.objection in case.objections.settled:
        return []
    if command.objection not in case.objections.open:
        known = ", ".join(sorted(map(str, case.objections.open))) or "none"
        raise Refused("unknown-objection", f"The case has no such objection. Open ones: {known}.")
    return [ObjectionSettled(objection=command.objection, finding=command.finding)]
