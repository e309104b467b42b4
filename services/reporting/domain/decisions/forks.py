"""An auditor looked into records that claim a place which another one holds: they stay refused, the case goes on."""

from dataclasses import dataclass
from typing import TypeAlias

from shared.case import Case
from shared.schemas.base import Decided
from shared.schemas.refused import Refused
from shared.schemas.reporting import ForkAcknowledged, NamedFork


@dataclass(frozen=True, slots=True)
class AcknowledgeFork:
    """forks are all that nobody has acknowledged yet; finding says in a code or a word what was found out."""

    forks: tuple[NamedFork, ...]
    finding: str


Command: TypeAlias = AcknowledgeFork


def decide(command: Command, _: Case) -> list[Decided]:
    """All forks that are open are acknowledged at once; raises Refused where there is none."""
    if not command.forks:
        sentence = "No record of this case claims a place that is taken; there is nothing to acknowledge."
        raise Refused("not-forked", sentence)
    return [ForkAcknowledged(forks=list(command.forks), finding=command.finding)]
