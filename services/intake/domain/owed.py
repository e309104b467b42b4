"""What intake owes a case in its present state."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.intake.domain.decisions import Command
from services.intake.domain.decisions.erasing import ConfirmErasure
from shared.case import Case


@dataclass(frozen=True, slots=True)
class Owed:
    """Work with a cause: the id of the event that gave rise to it. The command lacks what performing it finds out."""

    what: str
    cause: str
    due: datetime
    command: Command


def owed(case: Case) -> Iterator[Owed]:
    """An ordered erasure is owed at once: destroy the keys, and confirm when no process remembers them."""
    for order_id, order in case.privacy.ordered.items():
        yield Owed("erasure", str(order_id), order.at, ConfirmErasure(order_id))
