"""A database brought to this build's tables by numbered SQL files, each applied once and never changed afterwards."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import asyncpg

from shared.runtime.postgres import Connection

RUNTIME = Path(__file__).with_name("migrations")
INSERT_ONLY = ("events", "case_log")
"""What was accepted is never rewritten by a service, not even by a faulty one."""

_NAME = re.compile(r"(\d{4})_(pre|post)_\w+\.sql")
_ONE_AT_A_TIME = 0x7265646D
_APPLIED = """
create table if not exists migrations (
  name text primary key, checksum text not null, applied timestamptz not null default now())"""


class BadMigration(Exception):
    """The files do not fit together, or one that was applied has been changed since."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; pre ones are compatible with the build before, post ones wait until it is gone."""

    name: str
    phase: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


async def migrate(
    owner_dsn: str,
    service_role: str,
    *folders: Path,
    phases: Collection[str] = ("pre", "post"),
    insert_only: Iterable[str] = (),
) -> list[str]:
    """Applies what is missing of the runtime's and the folders' files, in the order of their numbers, then grants.

    Answers the names of those applied now. insert_only names further tables that a service may not rewrite.
    """
    wanted = [one for one in migrations(RUNTIME, *folders) if one.phase in phases]
    connection = await asyncpg.connect(owner_dsn, timeout=10)
    try:
        await connection.execute("select pg_advisory_lock($1)", _ONE_AT_A_TIME)
        await connection.execute(_APPLIED)
        applied = await _applied(connection, wanted)
        missing = [one for one in wanted if one.name not in applied]
        for one in missing:
            async with connection.transaction():
                await connection.execute(one.sql)
                await connection.execute(
                    "insert into migrations (name, checksum) values ($1, $2)", one.name, one.checksum
                )
        await _grant(connection, service_role, (*INSERT_ONLY, *insert_only))
        return [one.name for one in missing]
    finally:
        await connection.close()


def migrations(*folders: Path) -> list[Migration]:
    """The files of all folders by number. Raises BadMigration where a name is wrong or taken twice."""
    found: dict[str, Migration] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.sql")):
        parts = _NAME.fullmatch(path.name)
        if not parts:
            raise BadMigration(f"{path} is not named like 0002_pre_what.sql or 0002_post_what.sql")
        if path.name in found:
            raise BadMigration(f"{path.name} is there twice")
        found[path.name] = Migration(path.name, parts[2], path.read_text())
    return sorted(found.values(), key=lambda one: one.name)


async def _applied(connection: Connection, wanted: Iterable[Migration]) -> set[str]:
    known = {row[0]: row[1] for row in await connection.fetch("select name, checksum from migrations")}
    for one in wanted:
        if known.get(one.name, one.checksum) != one.checksum:
            raise BadMigration(
                f"{one.name} was applied to this database and has been changed since; write a new file instead"
            )
    return set(known)


async def _grant(connection: Connection, role: str, insert_only: Collection[str]) -> None:
    """Gives the service its rights anew, so that a table or a rule that came later is never forgotten."""
    to = f"to {quoted(role)}"
    everything = "select, insert, update, delete on"
    tables = (
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    )
    there = {row[0] for row in await connection.fetch(tables)}
    statements = [
        f"grant usage on schema public {to}",
        f"grant {everything} all tables in schema public {to}",
        f"grant usage on all sequences in schema public {to}",
        f"grant execute on all functions in schema public {to}",
        f"revoke insert, update, delete on migrations from {quoted(role)}",
        *(
            f"revoke update, delete on {quoted(table)} from {quoted(role)}"
            for table in insert_only
            if table in there
        ),
        f"alter default privileges grant {everything.replace(' on', ' on tables')} {to}",
        f"alter default privileges grant usage on sequences {to}",
        f"alter default privileges grant execute on functions {to}",
    ]
    async with connection.transaction():
        await connection.execute("; ".join(statements))


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
