"""The number of every case, so that whoever has the number finds the case."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.runtime.auth import Principal, visible_to
from shared.runtime.postgres import Pool
from shared.runtime.projections import Projection
from shared.schemas.base import Recorded
from shared.schemas.intake import ComplaintReceived


@dataclass(frozen=True, slots=True)
class Row:
    case_id: UUID
    case_number: str


def fold(rows: tuple[Row, ...], events: Sequence[Recorded]) -> tuple[Row, ...]:
    """A case keeps the number that it was given first."""
    if rows:
        return rows
    given = (
        Row(recorded.subject, recorded.event.case_number)
        for recorded in events
        if isinstance(recorded.event, ComplaintReceived)
    )
    first = next(given, None)
    return (first,) if first else ()


CASE_NUMBERS = Projection("case_numbers", Row, ("case_id",), fold)


async def cases_numbered(pool: Pool, principal: Principal, number: str) -> list[Row]:
    """The cases of this number that the principal may see."""
    seen, arguments = visible_to(principal, first_argument=2)
    question = (
        f"select case_id, case_number from case_numbers where case_number = $1 and {seen} order by case_id"
    )
    return [CASE_NUMBERS.read(row) for row in await pool.fetch(question, number, *arguments)]
