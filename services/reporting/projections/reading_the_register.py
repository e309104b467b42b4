"""Questions to the register: pages, counts and a whole extract, each of no more than its reader may see."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any
from uuid import UUID

from services.reporting.projections.register import REGISTER, Row
from shared.case.course import Stage
from shared.runtime.auth import Principal, visible_to
from shared.runtime.postgres import Connection, Pool
from shared.schemas.codes import Channel, Origin

COUNTED: Mapping[str, str] = {"month": "month", "product": "product", "channel": "channel", "state": "stage"}
"""What can be counted by, and its column."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Filters:
    """Which complaints are asked for; None asks for all. received_from and received_to are included."""

    month: str | None = None
    product: str | None = None
    channel: Channel | None = None
    state: Stage | None = None
    origin: Origin | None = None
    owner: str | None = None
    case_number: str | None = None
    source_system: str | None = None
    source_reference: str | None = None
    disputed: bool | None = None
    received_from: date | None = None
    received_to: date | None = None


_CONDITIONS = {
    "state": "stage = {}",
    "received_from": "received_on >= {}",
    "received_to": "received_on <= {}",
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many complaints have the value; None counts those that have none."""

    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts by one or more columns, of the same complaints: each list adds up to total."""

    total: int
    by: Mapping[str, list[Count]]


def _where(principal: Principal, filters: Filters) -> tuple[str, list[object]]:
    """What the principal may see of what is asked for; everything is counted behind it."""
    seen, arguments = visible_to(principal)
    conditions = [seen]
    for asked in fields(filters):
        value = getattr(filters, asked.name)
        if value is not None:
            arguments.append(value)
            condition = _CONDITIONS.get(asked.name, asked.name + " = {}")
            conditions.append(condition.format(f"${len(arguments)}"))
    return " and ".join(conditions), arguments


_SELECT = f"select {', '.join(REGISTER.columns)} from register where "


async def page(
    pool: Pool, principal: Principal, filters: Filters, after: tuple[date, UUID] | None, limit: int
) -> list[Row]:
    """The newest receipts first, from behind the one named; one more than limit, which tells that there are more."""
    where, arguments = _where(principal, filters)
    if after:
        where += f" and (received_on, case_id) < (${len(arguments) + 1}, ${len(arguments) + 2})"
        arguments += after
    order = f" order by received_on desc, case_id desc limit {limit + 1}"
    return [REGISTER.read(row) for row in await pool.fetch(_SELECT + where + order, *arguments)]


async def counts(pool: Pool, principal: Principal, filters: Filters, by: Sequence[str]) -> Counts:
    """How many complaints there are, in all and by each of the columns named in COUNTED."""
    where, arguments = _where(principal, filters)
    columns = [COUNTED[name] for name in by]
    sets = ", ".join(f"({column})" for column in [*columns, ""])
    which = f"grouping({', '.join(columns)})" if columns else "0"
    found = await pool.fetch(
        f"select {', '.join([*columns, which])}, count(*) from register where {where} group by grouping sets ({sets})",
        *arguments,
    )
    return _counted(by, [tuple(row) for row in found])


def _counted(by: Sequence[str], found: Sequence[tuple[Any, ...]]) -> Counts:
    """Rows of grouping sets: the bit of a column is 0 in the rows that count by it."""
    whole = 2 ** len(by) - 1
    total = sum(row[-1] for row in found if row[-2] == whole)
    told = {}
    for place, name in enumerate(by):
        mine = whole - 2 ** (len(by) - 1 - place)
        rows = sorted(
            (row for row in found if row[-2] == mine), key=lambda row: (row[place] is None, row[place])
        )
        told[name] = [Count(row[place], row[-1]) for row in rows]
    return Counts(total, told)


async def extract(connection: Connection, principal: Principal, filters: Filters) -> AsyncIterator[list[Row]]:
    """All rows, some hundreds at a time, as they stood when the extract began; needs a transaction."""
    where, arguments = _where(principal, filters)
    cursor = await connection.cursor(_SELECT + where + " order by received_on, case_id", *arguments)
    while rows := await cursor.fetch(AT_ONCE):
        yield [REGISTER.read(row) for row in rows]


async def case_named(pool: Pool, principal: Principal, name: str) -> UUID | None:
    """The case with this id or number, if the principal may see it; of a number that is there twice, the older."""
    seen, arguments = visible_to(principal, first_argument=2)
    if case := _id(name):
        question = f"select case_id from case_access where case_id = $1 and {seen}"
    else:
        question = (
            f"select case_id from register where case_number = $1 and {seen} order by recorded_at limit 1"
        )
    found: UUID | None = await pool.fetchval(question, case or name, *arguments)
    return found


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
