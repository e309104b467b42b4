"""The keys that the log names as destroyed: a keyring that was restored from a backup must lose them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.runtime.postgres import Pool
from shared.runtime.projections import Projection
from shared.schemas.base import Recorded
from shared.schemas.intake import PersonalDataErased


@dataclass(frozen=True, slots=True)
class Row:
    case_id: UUID
    kids: tuple[str, ...]


def fold(rows: tuple[Row, ...], events: Sequence[Recorded]) -> tuple[Row, ...]:
    before = {kid for row in rows for kid in row.kids}
    named = {kid for one in events if isinstance(one.event, PersonalDataErased) for kid in one.event.kids}
    return (Row(events[0].subject, tuple(sorted(before | named))),) if before | named else ()


ERASED_KEYS = Projection("erased_keys", Row, ("case_id",), fold)


async def erased_kids(pool: Pool) -> list[str]:
    """Every kid that the log names as destroyed."""
    return [row[0] for row in await pool.fetch("select jsonb_array_elements_text(kids) from erased_keys")]
