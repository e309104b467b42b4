"""Who may see which case here: the rows that every question about cases is joined to."""

from shared.case import access
from shared.runtime.projections import Projection

CASE_ACCESS = Projection("case_access", access.Access, ("case_id",), access.fold)
