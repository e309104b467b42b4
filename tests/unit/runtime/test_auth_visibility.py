"""Who sees which case, asked of a real PostgreSQL."""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import pytest

from shared.runtime.auth import Principal, Role, visible_to
from shared.runtime.ids import fresh_id
from shared.runtime.postgres import Connection

TABLES = """
CREATE TABLE case_access (case_id uuid PRIMARY KEY, entity text NOT NULL, unit text NOT NULL,
                          restricted boolean NOT NULL, people jsonb NOT NULL);
CREATE TABLE cases (case_id uuid PRIMARY KEY, name text NOT NULL);
"""
ROWS = [
    ("north", "acme", "north", False, ["eva"]),
    ("south", "acme", "south", False, []),
    ("south-eva", "acme", "south", False, ["eva", "max"]),
    ("secret", "acme", "north", True, ["max"]),
    ("secret-eva", "acme", "north", True, ["eva"]),
    ("abroad", "other", "north", False, ["eva"]),
]
OPEN = {"north", "south", "south-eva"}
ALL = {"north", "south", "south-eva", "secret", "secret-eva"}


@pytest.fixture(scope="module")
async def cases(admin_dsn: str) -> AsyncIterator[Connection]:
    name = f"visibility_{fresh_id().hex}"
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute(f'CREATE DATABASE "{name}"')
    own = await asyncpg.connect(urlunsplit(urlsplit(admin_dsn)._replace(path=f"/{name}")))
    try:
        await own.execute(TABLES)
        for number, (case, entity, unit, restricted, people) in enumerate(ROWS):
            key = UUID(int=number)
            row = (key, entity, unit, restricted, json.dumps(people))
            await own.execute("INSERT INTO case_access VALUES ($1, $2, $3, $4, $5)", *row)
            await own.execute("INSERT INTO cases VALUES ($1, $2)", key, case)
        yield own
    finally:
        await own.close()
        await admin.execute(f'DROP DATABASE "{name}"')
        await admin.close()


def eva(*roles: Role, units: tuple[str, ...] = (), entity: str = "acme") -> Principal:
    return Principal("eva", frozenset(roles), entity, frozenset(units))


async def seen(cases: Connection, principal: Principal) -> set[str]:
    where, arguments = visible_to(principal)
    return {row["name"] for row in await cases.fetch(f"SELECT name FROM cases WHERE {where}", *arguments)}


@pytest.mark.parametrize("role", [Role.QM, Role.CTL])
async def test_overseers_see_the_whole_entity_but_restricted_cases_only_where_named(
    cases: Connection, role: Role
) -> None:
    assert await seen(cases, eva(role, units=("south",))) == OPEN | {"secret-eva"}


@pytest.mark.parametrize("role", [Role.CM, Role.EXE, Role.AUD, Role.DPO])
async def test_managers_auditors_and_data_protection_officers_see_restricted_cases_too(
    cases: Connection, role: Role
) -> None:
    assert await seen(cases, eva(role)) == ALL


@pytest.mark.parametrize("role", [Role.OWN, Role.LEAD, Role.CON, Role.INT, Role.FIN])
async def test_handlers_see_their_units_and_where_they_are_named(cases: Connection, role: Role) -> None:
    assert await seen(cases, eva(role, units=("north",))) == {"north", "south-eva", "secret-eva"}
    assert await seen(cases, eva(role, units=("west",))) == {"north", "south-eva", "secret-eva"}
    assert await seen(cases, eva(role, units=("south", "west"))) == OPEN | {"secret-eva"}
    assert await seen(cases, eva(role)) == OPEN | {"secret-eva"}


async def test_an_approver_sees_only_where_named(cases: Connection) -> None:
    assert await seen(cases, eva(Role.APR)) == {"north", "south-eva", "secret-eva"}


@pytest.mark.parametrize("roles", [(), (Role.UPS,), (Role.CUS,), (Role.OPS,), (Role.OPS, Role.UPS, Role.CUS)])
async def test_others_see_nothing_even_where_named(cases: Connection, roles: tuple[Role, ...]) -> None:
    assert await seen(cases, eva(*roles)) == set()


@pytest.mark.parametrize("role", Role)
async def test_nobody_sees_another_entity(cases: Connection, role: Role) -> None:
    assert "abroad" not in await seen(cases, eva(role))
    assert await seen(cases, eva(role, entity="none")) == set()


async def test_the_best_of_several_roles_counts(cases: Connection) -> None:
    assert await seen(cases, eva(Role.OWN, Role.AUD, units=("west",))) == ALL


async def test_the_condition_joins_other_arguments_and_qualified_columns(cases: Connection) -> None:
    where, arguments = visible_to(eva(Role.OWN, units=("north",)), "c.case_id", 2)
    query = f"SELECT c.name FROM cases c WHERE c.name LIKE $1 AND {where} ORDER BY 1"
    found = [row["name"] for row in await cases.fetch(query, "s%", *arguments)]
    assert found == ["secret-eva", "south-eva"]


async def test_an_unqualified_column_means_the_asking_table(cases: Connection) -> None:
    where, arguments = visible_to(eva(Role.CM, entity="other"))
    query = f"SELECT name FROM cases WHERE {where}"
    assert [row["name"] for row in await cases.fetch(query, *arguments)] == ["abroad"]
