"""Taking a case of history into our own hands: from then on its deadlines run here. A closed one is open again."""

from dataclasses import dataclass
from typing import TypeAlias

from services.processing.domain.decisions.standing import LEADERS, Right, received, require_right
from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.case.ownership import owner_of
from shared.schemas.base import Decided
from shared.schemas.codes import Origin
from shared.schemas.processing import CaseAdopted
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class Adopt:
    """Whoever adopts a case owns it."""


Command: TypeAlias = Adopt

MAY_ADOPT = Right(anywhere=LEADERS | {"OWN"})


def decide(_: Command, case: Case, occasion: Occasion) -> list[Decided]:
    received(case)
    require_right(MAY_ADOPT, case, occasion)
    if case.provenance.origin is not Origin.HISTORY:
        raise Refused("not-history", "The case is ours already: ask to be assigned.")
    if case.provenance.adopted_at is None:
        return [CaseAdopted(owner=occasion.actor)]
    if owner_of(case.ownership) == occasion.actor:
        return []
    raise Refused("already-adopted", "Somebody else has adopted the case: ask to be assigned.")
