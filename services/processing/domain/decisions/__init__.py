"""Every command of the service, and the one door through which it is decided."""

from typing import TypeAlias

from services.processing.domain.decisions import adopting, assigning, closing, minding_clocks, settling
from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.schemas.base import Decided

Command: TypeAlias = (
    assigning.Command | adopting.Command | minding_clocks.Command | settling.Command | closing.Command
)


def decide(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    """The events that follow, none if nothing is left to do; raises Refused."""
    match command:
        case assigning.Assign() | assigning.Decline() | assigning.StartHandling():
            return assigning.decide(command, case, occasion)
        case adopting.Adopt():
            return adopting.decide(command, case, occasion)
        case minding_clocks.StartClock() | minding_clocks.Remind() | minding_clocks.Escalate():
            return minding_clocks.decide(command, case, occasion)
        case settling.SettleObjection():
            return settling.decide(command, case, occasion)
        case closing.Close() | closing.CloseBySource() | closing.Reopen():
            return closing.decide(command, case, occasion)
