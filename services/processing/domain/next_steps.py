"""What the person who looks at a case could do with it now: the commands that would not be refused nor empty."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from services.processing.domain.decisions import Command, decide
from services.processing.domain.decisions.adopting import Adopt
from services.processing.domain.decisions.assigning import Assign, Decline, StartHandling
from services.processing.domain.decisions.closing import Close, Reopen
from services.processing.domain.decisions.settling import SettleObjection
from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.schemas.codes import ClosingReason, DecliningReason, ReopeningReason
from shared.schemas.refused import Refused

SOMEBODY_ELSE = ""
"""No owner has this name, so naming it is a change for every case."""


def next_steps(case: Case, occasion: Occasion, roles: Collection[str]) -> list[str]:
    """Names of steps that one of the roles opens, each once, in the order of handling."""
    occasions = [replace(occasion, role=role) for role in roles]
    open_to_them = (
        name for name, command in _samples(case) if any(_would_act(command, case, each) for each in occasions)
    )
    return list(dict.fromkeys(open_to_them))


def _samples(case: Case) -> Iterator[tuple[str, Command]]:
    yield "adoption", Adopt()
    yield "assignment", Assign(SOMEBODY_ELSE)
    yield "declining", Decline(DecliningReason.OTHER)
    yield "start", StartHandling()
    for objection in case.objections.open:
        yield "settlement", SettleObjection(objection, "")
    yield "closing", Close(ClosingReason.RESOLVED)
    yield "reopening", Reopen(ReopeningReason.CUSTOMER)


def _would_act(command: Command, case: Case, occasion: Occasion) -> bool:
    try:
        return bool(decide(command, case, occasion))
    except Refused:
        return False
