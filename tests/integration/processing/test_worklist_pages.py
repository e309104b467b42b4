"""The worklist in PostgreSQL: what is due first stands first, page by page, and nobody sees what is not theirs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.processing.projections.worklist import WORKLIST, Filters, Row, page
from shared.case.course import Stage
from shared.runtime.auth import Principal, Role
from shared.runtime.postgres import Pool

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
LEAD = Principal("lea", frozenset({Role.LEAD}))


def row(n: int, **more: object) -> Row:
    plain = Row(
        UUID(int=n), f"2026-{n}", None, ours=True, stage=Stage.IN_PROGRESS, owner="eva", unit="claims"
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def days(n: int) -> datetime:
    return NOW + timedelta(days=n)


ROWS = [
    row(1, next_due=days(3)),
    row(2, next_due=days(-2)),
    row(3, next_due=None),
    row(4, next_due=days(1), owner="max", unit="cards"),
    row(5, stage=Stage.CLOSED),
    row(6, ours=False, next_due=days(-9)),
    row(7, next_due=days(-1), stage=Stage.ASSIGNED),
    row(8, next_due=days(-1)),
]


@pytest.fixture(scope="module", autouse=True)
async def _filled(pool: Pool) -> None:
    await pool.execute(WORKLIST.statements().save, *WORKLIST.written(ROWS))
    await pool.executemany(
        "insert into case_access (case_id, entity, unit, restricted, people) values ($1, 'default', $2, $3, '[]')",
        [(each.case_id, each.unit, each.case_id == UUID(int=8)) for each in ROWS],
    )


async def numbers(pool: Pool, filters: Filters | None = None, who: Principal = LEAD) -> list[int]:
    return [each.case_id.int for each in await page(pool, who, filters or Filters(), NOW, None, 50)]


async def test_what_is_overdue_stands_first_and_what_has_no_due_moment_last(pool: Pool) -> None:
    assert await numbers(pool) == [2, 7, 4, 1, 3]


async def test_a_row_comes_back_as_it_was_written(pool: Pool) -> None:
    assert (await page(pool, LEAD, Filters(), NOW, None, 1))[0] == ROWS[1]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(owner="max"), [4]),
        (Filters(unit="claims"), [2, 7, 1, 3]),
        (Filters(stage=Stage.ASSIGNED), [7]),
        (Filters(stage=Stage.CLOSED), [5]),
        (Filters(overdue=True), [2, 7]),
        (Filters(overdue=False), [4, 1, 3]),
        (Filters(owner="eva", unit="claims", overdue=True, stage=Stage.IN_PROGRESS), [2]),
    ],
)
async def test_it_is_narrowed_by_owner_unit_stage_and_what_is_overdue(
    pool: Pool, filters: Filters, found: list[int]
) -> None:
    assert await numbers(pool, filters) == found


@pytest.mark.parametrize(
    ("who", "found"),
    [
        (Principal("cm", frozenset({Role.CM})), [2, 7, 8, 4, 1, 3]),
        (Principal("lea", frozenset({Role.LEAD}), units=frozenset({"cards"})), [4]),
        (Principal("ops", frozenset({Role.OPS})), []),
        (Principal("cm", frozenset({Role.CM}), entity="other"), []),
    ],
)
async def test_everybody_sees_the_cases_that_they_may_see(
    pool: Pool, who: Principal, found: list[int]
) -> None:
    assert await numbers(pool, who=who) == found


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_page_by_page_each_case_comes_once(pool: Pool, limit: int) -> None:
    seen: list[int] = []
    after: tuple[datetime | None, UUID] | None = None
    while True:
        rows = await page(pool, LEAD, Filters(), NOW, after, limit)
        seen += [each.case_id.int for each in rows[:limit]]
        if len(rows) <= limit:
            break
        last = rows[limit - 1]
        after = (last.next_due, last.case_id)
    assert seen == [2, 7, 4, 1, 3]


async def test_the_table_has_the_columns_of_the_row(pool: Pool) -> None:
    found = await pool.fetch(
        "select column_name, data_type from information_schema.columns where table_name = 'worklist'"
    )
    types = {"timestamp with time zone": "timestamptz"}
    columns = {each["column_name"]: types.get(each["data_type"], each["data_type"]) for each in found}
    assert columns == dict(WORKLIST.columns)
