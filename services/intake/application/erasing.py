"""Making a complainant's data unreadable: destroy the keys, wait until no process remembers them, then say so."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from services.intake.application.acceptance import SchemeInForce
from services.intake.domain.complaint import Complaint
from services.intake.domain.decisions import decide
from services.intake.domain.decisions.erasing import ConfirmErasure
from services.intake.domain.decisions.occasion import Occasion
from services.intake.domain.owed import Owed
from shared.case.record import Record
from shared.runtime.clock import Clock
from shared.runtime.keyring import Keyring
from shared.runtime.keyring.port import subject_of_case
from shared.runtime.owed import SYSTEM, Later, Performed
from shared.runtime.sealing import KEYS_KEPT

MARGIN = timedelta(seconds=1)
"""The moment of destruction is told by another machine's clock."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """business gives the time of events; real that of destroyed keys, which no steered clock shortens."""

    keyring: Keyring
    scheme: SchemeInForce
    business: Clock
    real: Clock
    remembered: timedelta = KEYS_KEPT + MARGIN

    async def perform(self, case: UUID, complaint: Complaint, work: Owed) -> Performed:
        """What Perform asks for. Destroying again is harmless and answers the first moment."""
        match work.command:
            case ConfirmErasure(order_id) as command:
                groups = complaint.case.privacy.ordered[order_id].groups
            case _:
                raise TypeError(f"nothing else is owed here: {work.what}")
        record = complaint.case.record
        subject = record.subject_id if isinstance(record, Record) else subject_of_case(case)
        destroyed = await self.keyring.destroy(subject, [case], [group.value for group in groups])
        left = destroyed.at + self.remembered - self.real()
        if left > timedelta(0):
            raise Later(left.total_seconds())
        confirmed = replace(command, kids=tuple(sorted(destroyed.kids)))
        occasion = Occasion(self.business(), SYSTEM, await self.scheme())
        return Performed(decide(confirmed, complaint.case, occasion))
