"""Who may do what to a complaint (domain, annex C), as far as acceptance goes."""

from uuid import UUID

from services.intake.domain.complaint import Complaint
from shared.case.ownership import owner_of
from shared.case.record import NotReceived, Record
from shared.runtime.auth import Principal, Role, visible_to
from shared.runtime.http.problems import Problem
from shared.runtime.http.refusals import NotFound
from shared.runtime.postgres import Pool

RECEIVE = (Role.CON, Role.INT, Role.OWN, Role.LEAD, Role.CM, Role.UPS)
IMPORT = (Role.UPS, Role.INT, Role.CM)
TELL = (Role.UPS, Role.INT, Role.CM)
CLASSIFY = (Role.CON, Role.INT, Role.OWN, Role.LEAD, Role.CM, Role.QM, Role.CTL)
ERASE = (Role.DPO,)
READ = (
    Role.CON, Role.INT, Role.OWN, Role.LEAD, Role.CM, Role.EXE, Role.APR, Role.AUD, Role.DPO, Role.QM, Role.CTL,
)  # fmt: skip
READ_PERSONAL = frozenset(READ) - {Role.QM, Role.CTL}
"""Figures are made without names and texts."""
ANY_CASE = frozenset({Role.INT, Role.LEAD, Role.CM, Role.QM, Role.CTL})


async def must_see(pool: Pool, principal: Principal, case: UUID) -> None:
    """Raises NotFound for a case that the principal may not know of."""
    seen, arguments = visible_to(principal, "access.case_id", first_argument=2)
    question = f"select 1 from case_access access where access.case_id = $1 and {seen}"
    if not await pool.fetchval(question, case, *arguments):
        raise NotFound


def must_be_of_entity(principal: Principal, complaint: Complaint) -> None:
    """For who acts on any case of an entity, restricted ones too, without reading it."""
    match complaint.case.record:
        case Record(entity=entity) if entity == principal.entity:
            return
        case Record() | NotReceived():
            raise NotFound


def must_be_own(principal: Principal, complaint: Complaint) -> None:
    """Contact employees and owners act on their own cases only."""
    record = complaint.case.record
    receiver = record.receiver if isinstance(record, Record) else None
    if principal.roles & ANY_CASE or principal.id in (receiver, owner_of(complaint.case.ownership)):
        return
    raise Problem(403, "not-yours", "Only who received the complaint or answers for it may do this.")
