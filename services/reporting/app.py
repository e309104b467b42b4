"""Reporting, put together: what it witnesses, what it projects, what it answers. It owes no case anything."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from services.reporting.adapters.http import routes
from services.reporting.adapters.ledger import INSERT_ONLY, witness
from services.reporting.projections.register import REGISTER
from shared.case import Case, access, fold
from shared.runtime.projections import Projection
from shared.runtime.running import Blueprint
from shared.schemas.base import Event

CASE_ACCESS = Projection("case_access", access.Access, ("case_id",), access.fold)


def nobody(_: Case, __: Sequence[Event]) -> UUID | None:
    """Reporting's events hold no personal data, so nobody's key is needed for them."""
    return None


BLUEPRINT: Blueprint[Case, Any] = Blueprint(
    name="reporting",
    fold=fold,
    subject_of=nobody,
    migrations=Path(__file__).with_name("migrations"),
    projections=(CASE_ACCESS, REGISTER),
    insert_only=INSERT_ONLY,
    witness=witness,
    routes=routes,
)
