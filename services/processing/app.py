"""The composition root of handling: what the runtime needs to run this service."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from services.processing.adapters.http import routes
from services.processing.application import performing
from services.processing.domain.defaults import DEFAULTS
from services.processing.domain.owed import Owed, owed
from services.processing.projections.worklist import WORKLIST
from shared.case import Case, access, fold
from shared.case.access import Access
from shared.case.record import Record
from shared.runtime.projections import Projection
from shared.runtime.running import Blueprint
from shared.schemas.base import Event

CASE_ACCESS = Projection("case_access", Access, ("case_id",), access.fold)


def subject_of(case: Case, _: Sequence[Event]) -> UUID | None:
    """Whose data key seals what handlers write about the case: the complainant's."""
    return case.record.subject_id if isinstance(case.record, Record) else None


BLUEPRINT: Blueprint[Case, Owed] = Blueprint(
    name="processing",
    fold=fold,
    subject_of=subject_of,
    migrations=Path(__file__).with_name("migrations"),
    projections=(CASE_ACCESS, WORKLIST),
    defaults=tuple((default, default.name) for default in DEFAULTS),
    owed=owed,
    perform=performing,
    routes=routes,
)
