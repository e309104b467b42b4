"""Migrations: each file once, never changed, and rights that keep the log insert-only."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from shared.runtime.migrating import BadMigration, migrate, migrations
from shared.runtime.postgres import Pool
from tests.conftest import ROLE, Database, Databases


@pytest.fixture
async def empty(databases: Databases) -> Database:
    return await databases.make()


async def test_the_service_may_add_to_the_log_and_never_change_it(pool: Pool) -> None:
    for statement in (
        "update events set body = ''",
        "delete from events",
        "truncate events",
        "update case_log set n = 0",
        "delete from case_log",
        "truncate case_log",
        "truncate cases",
        "delete from migrations",
        "drop table owed",
        "create table mine (id int)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
    await pool.execute("update cases set parked = null; delete from outbox; select count(*) from events")


async def test_a_file_is_applied_once_and_a_table_made_later_is_granted(
    empty: Database, tmp_path: Path
) -> None:
    (tmp_path / "0002_pre_things.sql").write_text("create table things (id bigserial primary key)")
    assert await migrate(empty.owner_dsn, ROLE, tmp_path) == ["0002_pre_things.sql"]
    assert await migrate(empty.owner_dsn, ROLE, tmp_path) == []
    connection = await asyncpg.connect(empty.dsn)
    await connection.execute("insert into things default values; delete from things")
    await connection.close()


async def test_two_at_once_apply_each_file_once(empty: Database, tmp_path: Path) -> None:
    (tmp_path / "0002_pre_things.sql").write_text("create table things (id int)")
    both = await asyncio.gather(*(migrate(empty.owner_dsn, ROLE, tmp_path) for _ in range(4)))
    assert sorted(map(len, both)) == [0, 0, 0, 1]


async def test_a_file_that_fails_leaves_nothing_of_itself(empty: Database, tmp_path: Path) -> None:
    (tmp_path / "0002_pre_things.sql").write_text("create table things (id int); select 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty.owner_dsn, ROLE, tmp_path)
    (tmp_path / "0002_pre_things.sql").write_text("create table things (id int)")
    assert await migrate(empty.owner_dsn, ROLE, tmp_path) == ["0002_pre_things.sql"]


async def test_a_changed_file_is_refused_by_name(empty: Database, tmp_path: Path) -> None:
    (tmp_path / "0002_post_things.sql").write_text("create table things (id int)")
    await migrate(empty.owner_dsn, ROLE, tmp_path)
    (tmp_path / "0002_post_things.sql").write_text("create table things (id bigint)")
    with pytest.raises(BadMigration, match=r"0002_post_things\.sql was applied .* changed"):
        await migrate(empty.owner_dsn, ROLE, tmp_path)


def test_a_file_without_number_or_phase_is_refused(tmp_path: Path) -> None:
    (tmp_path / "things.sql").write_text("")
    with pytest.raises(BadMigration, match="not named like"):
        migrations(tmp_path)
