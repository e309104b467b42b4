"""Naming the one person who answers for the case, and that person's yes or no."""

from dataclasses import dataclass
from typing import TypeAlias

from services.processing.domain.decisions.standing import LEADERS, Right, require_open, require_right
from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.case.ownership import Assigned, Handling, Nobody
from shared.schemas.base import Decided
from shared.schemas.codes import DecliningReason
from shared.schemas.privacy import Clear
from shared.schemas.processing import AssignmentDeclined, ComplaintAssigned, HandlingStarted
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class Assign:
    """Without a unit the case stays in the one it is in."""

    owner: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Decline:
    reason: DecliningReason
    remark: Clear | None = None


@dataclass(frozen=True, slots=True)
class StartHandling:
    pass


Command: TypeAlias = Assign | Decline | StartHandling

MAY_ASSIGN = Right(anywhere=LEADERS | {"INT"}, own=frozenset({"OWN"}))
MAY_TAKE = Right(own=LEADERS | {"OWN"})


def decide(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    record = require_open(case)
    match command:
        case Assign():
            require_right(MAY_ASSIGN, case, occasion)
            if record.classification is None:
                raise Refused("not-classified", "Classify the complaint first: its owner follows from that.")
            return _assign(command, case)
        case Decline():
            require_right(MAY_TAKE, case, occasion)
            return _decline(command, case, occasion)
        case StartHandling():
            require_right(MAY_TAKE, case, occasion)
            return _start(case)


def _assign(command: Assign, case: Case) -> list[Decided]:
    match case.ownership:
        case Assigned(owner, unit) | Handling(owner, unit) if owner == command.owner and command.unit in (
            None,
            unit,
        ):
            return []
    return [ComplaintAssigned(owner=command.owner, unit=command.unit)]


def _decline(command: Decline, case: Case, occasion: Occasion) -> list[Decided]:
    match case.ownership:
        case Assigned(owner, _, declined) if declined < occasion.most_declines:
            return [AssignmentDeclined(owner=owner, reason=command.reason, remark=command.remark)]
        case Assigned(_, _, declined):
            raise Refused(
                "declined-too-often",
                f"The case was declined {declined} times: start, or ask a team lead to hand it over.",
            )
        case Nobody() | Handling():
            raise Refused("already-started", "Handling has begun: hand the case over instead.")


def _start(case: Case) -> list[Decided]:
    match case.ownership:
        case Assigned(owner):
            return [HandlingStarted(owner=owner)]
        case Nobody() | Handling():
            return []
