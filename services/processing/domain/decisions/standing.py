"""What every decision about a case asks first: is there one, is it ours, is it open, and is it this person's to do."""

from dataclasses import dataclass

from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.case.ownership import owner_of
from shared.case.record import Record
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class Right:
    """The roles that may do something in any case, and those that may do it in their own (domain, annex C)."""

    anywhere: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()

    @property
    def roles(self) -> frozenset[str]:
        return self.anywhere | self.own


LEADERS = frozenset({"LEAD", "CM"})
SYSTEM = "SYS"


def require_right(right: Right, case: Case, occasion: Occasion) -> None:
    mine = owner_of(case.ownership) == occasion.actor
    if occasion.role in right.anywhere or (occasion.role in right.own and mine):
        return
    if occasion.role in right.own:
        others = f", or one of {', '.join(sorted(right.anywhere))}" if right.anywhere else ""
        raise Refused("not-yours", f"Only the owner of the case does this{others}: ask to be assigned.")
    raise Refused("role-missing", f"This needs one of the roles {', '.join(sorted(right.roles))}.")


def received(case: Case) -> Record:
    """The complaint itself."""
    if isinstance(case.record, Record):
        return case.record
    raise Refused("unknown-case", "No complaint has been received under this id.")


def require_ours(case: Case) -> Record:
    record = received(case)
    if not case.provenance.ours:
        raise Refused("history", "The case is kept as its source left it: adopt it first.")
    return record


def require_open(case: Case) -> Record:
    record = require_ours(case)
    if not case.course.open:
        raise Refused("closed", "The case is closed: reopen it first.")
    return record
