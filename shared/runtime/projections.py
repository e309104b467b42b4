"""Read models: one table each, folded case by case, loaded and written set-based.

A projection is one module of a service: its row, its pure fold, its queries. The runtime keeps the table: it loads the
present rows of the cases that a batch touches, folds, and writes what changed, in the batch's own transaction.
"""

import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import asyncpg
import orjson

from shared.runtime.postgres import Connection
from shared.schemas.base import Recorded

Row: TypeAlias = Any
"""A frozen dataclass whose first field is case_id; its fields are the table's business columns."""
Rows: TypeAlias = tuple[Row, ...]
Fold: TypeAlias = Callable[[Rows, Sequence[Recorded]], Rows]

_SQL_TYPES: Mapping[type, str] = {
    UUID: "uuid",
    str: "text",
    bool: "boolean",
    int: "bigint",
    datetime: "timestamptz",
    date: "date",
    Decimal: "numeric",
}


@dataclass(frozen=True)
class Projection:
    """name is the table's; key its primary key, beginning with case_id; fold takes one case's rows and new events."""

    name: str
    row: type[Any]
    key: tuple[str, ...]
    fold: Fold
    log: str = "cases"

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """Column -> SQL type, from the row's annotations; tuples, sets and mappings of plain values are jsonb."""
        hints = get_type_hints(self.row)
        return {column.name: _sql_type(hints[column.name]) for column in fields(self.row)}

    @cached_property
    def _decoders(self) -> Mapping[int, Callable[[Any], Any]]:
        """By their places the columns that PostgreSQL holds otherwise than the row does: few of many."""
        hints = [get_type_hints(self.row)[column.name] for column in fields(self.row)]
        return {place: _decoder(hint) for place, hint in enumerate(hints) if _kind(hint) not in _SQL_TYPES}

    def statements(self, schema: str = "public") -> "Statements":
        """The projection's SQL on the table in a schema."""
        table, names = f"{schema}.{self.name}", list(self.columns)
        casts = ", ".join(f"${n}::{sql}[]" for n, sql in enumerate(self.columns.values(), 1))
        keys = ", ".join(self.key)
        rest = [name for name in names if name not in self.key]
        update = ", ".join(f"{name} = excluded.{name}" for name in rest)
        key_casts = ", ".join(f"${n}::{self.columns[name]}[]" for n, name in enumerate(self.key, 1))
        return Statements(
            load=f"select {', '.join(names)} from {table} where case_id = any($1::uuid[])",
            save=f"insert into {table} ({', '.join(names)}) select * from unnest({casts}) on conflict ({keys}) "
            + (f"do update set {update}" if rest else "do nothing"),
            drop=f"delete from {table} where ({keys}) in (select * from unnest({key_casts}))",
            clear=f"delete from {table} where case_id = any($1::uuid[])",
            checksum=f"select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text "
            f"from (select {', '.join(names)} from {table}) t",
        )

    def read(self, record: asyncpg.Record) -> Row:
        """A row as its dataclass."""
        values = list(record)
        for place, decode in self._decoders.items():
            values[place] = decode(values[place])
        return self.row(*values)

    def written(self, rows: Sequence[Row]) -> list[list[Any]]:
        """Rows as columns for unnest."""
        columns = [[getattr(row, name) for row in rows] for name in self.columns]
        for place in self._decoders:
            columns[place] = [_plain(value) for value in columns[place]]
        return columns


@dataclass(frozen=True, slots=True)
class Statements:
    load: str
    save: str
    drop: str
    clear: str
    checksum: str


def _sql_type(hint: Any) -> str:
    kind = _kind(hint)
    if issubclass(kind, Enum):
        return "text"
    return _SQL_TYPES.get(kind, "jsonb")


def _kind(hint: Any) -> type:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (inner for inner in get_args(hint) if inner is not type(None))
    origin = get_origin(hint) or hint
    if not isinstance(origin, type):
        raise TypeError(f"a column of type {hint} is not supported")
    return origin


def _decoder(hint: Any) -> Callable[[Any], Any]:
    kind = _kind(hint)
    if issubclass(kind, Enum):
        return lambda value: None if value is None else kind(value)
    build: Callable[[Any], Any] = kind
    return lambda value: None if value is None else build(orjson.loads(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset | set):
        return orjson.dumps(sorted(value)).decode()
    if isinstance(value, tuple | list | dict):
        return orjson.dumps(value).decode()
    return value


async def project(
    connection: Connection,
    projection: Projection,
    events: Mapping[UUID, Sequence[Recorded]],
    schema: str = "public",
) -> None:
    """Folds each case's new events into its rows and writes what changed."""
    statements = projection.statements(schema)
    present: dict[UUID, list[Row]] = {}
    for record in await connection.fetch(statements.load, list(events)):
        row = projection.read(record)
        present.setdefault(row.case_id, []).append(row)
    await write(connection, projection, fold_cases(projection, present, events), statements)


def fold_cases(
    projection: Projection, present: Mapping[UUID, Sequence[Row]], events: Mapping[UUID, Sequence[Recorded]]
) -> Mapping[UUID, tuple[Rows, Rows]]:
    """Case -> (rows before, rows after). Pure; raises FoldFailed with the case at fault."""
    folded: dict[UUID, tuple[Rows, Rows]] = {}
    for case, new in events.items():
        before = tuple(present.get(case, ()))
        try:
            folded[case] = before, projection.fold(before, new)
        except Exception as error:  # noqa: BLE001 - whatever a fold raises concerns this case alone
            raise FoldFailed(case, error, _foldable(projection, before, new)) from error
    return folded


def _foldable(projection: Projection, rows: Rows, events: Sequence[Recorded]) -> int:
    """How many events fold before the one at fault: what stands before it must not depend on the batch."""
    for count, event in enumerate(events):
        try:
            rows = projection.fold(rows, [event])
        except Exception:  # noqa: BLE001 - it is the place that is asked for
            return count
    return 0


class FoldFailed(Exception):
    """A projection could not fold a case: the event behind so many good ones. The others are not to suffer."""

    def __init__(self, case: UUID, error: Exception, good: int) -> None:
        super().__init__(f"{type(error).__name__} in case {case}")
        self.case, self.kind, self.good = case, type(error).__name__, good


async def write(
    connection: Connection,
    projection: Projection,
    folded: Mapping[UUID, tuple[Rows, Rows]],
    statements: Statements,
) -> None:
    """Writes changed rows and deletes those that are gone."""
    changed: list[Row] = []
    gone: list[tuple[Any, ...]] = []
    for before, after in folded.values():
        old = {_key(projection, row): row for row in before}
        new = {_key(projection, row): row for row in after}
        changed += [row for key, row in new.items() if old.get(key) != row]
        gone += [key for key in old if key not in new]
    if gone:
        await connection.execute(statements.drop, *(list(column) for column in zip(*gone, strict=True)))
    if changed:
        await connection.execute(statements.save, *projection.written(changed))


def _key(projection: Projection, row: Row) -> tuple[Any, ...]:
    return tuple(_plain(getattr(row, name)) for name in projection.key)


async def reproject(
    connection: Connection,
    projection: Projection,
    histories: Mapping[UUID, Sequence[Recorded]],
    schema: str = "public",
) -> None:
    """Makes the rows of whole cases anew from all their events."""
    statements = projection.statements(schema)
    await connection.execute(statements.clear, list(histories))
    await write(connection, projection, fold_cases(projection, {}, histories), statements)


async def checksum(connection: Connection, projection: Projection, schema: str = "public") -> tuple[int, str]:
    """Number of rows and the order-independent sum of their hashes over the business columns."""
    row = await connection.fetchrow(projection.statements(schema).checksum)
    assert row is not None
    return row[0], row[1]


def tables(projections: Collection[Projection]) -> list[str]:
    """The tables that the projections own."""
    return [projection.name for projection in projections]
