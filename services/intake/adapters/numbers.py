"""Case numbers in PostgreSQL: reserved per case, so that whoever asks again for a case gets the same one."""

from collections.abc import Collection, Mapping
from uuid import UUID

from shared.runtime.postgres import Pool

_UNHELD = "select id from unnest($1::uuid[]) u (id) where not exists (select from cases c where c.id = u.id)"
# A statement does not see what another one inserted meanwhile: the caller asks again for what is missing.
_RESERVE = """
with drawn as (select * from unnest($1::uuid[], $2::text[]) d (case_id, number)),
  made as (
    insert into number_reservations (case_id, number) select d.case_id, d.number from drawn d
    where not exists (select from case_numbers n where n.case_number = d.number and n.case_id <> d.case_id)
    order by d.case_id on conflict do nothing returning case_id, number)
select case_id, number from made
union select r.case_id, r.number from number_reservations r join drawn d on d.case_id = r.case_id"""


class PostgresNumbers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def unheld(self, cases: Collection[UUID]) -> set[UUID]:
        return {row["id"] for row in await self._pool.fetch(_UNHELD, list(cases))}

    async def reserve(self, drawn: Mapping[UUID, str]) -> Mapping[UUID, str]:
        rows = await self._pool.fetch(_RESERVE, list(drawn), list(drawn.values()))
        return {row["case_id"]: row["number"] for row in rows}
