"""Databases and roles: each service its own, nobody anybody else's; made again when one was dropped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import asyncpg

KEYRING = "keyring"


@dataclass(frozen=True)
class Database:
    """A database, the role that owns its tables (for migrations), and the roles that may connect."""

    name: str
    users: tuple[str, ...]

    @property
    def owner(self) -> str:
        """The role that migrates it."""
        return f"{self.name}_owner"


def databases(services: Iterable[str]) -> tuple[Database, ...]:
    """One database per service, and the keyring, which every service reaches with a role of its own."""
    names = tuple(services)
    keyring = Database(KEYRING, tuple(f"{KEYRING}_{name}" for name in names))
    return (*(Database(name, (name,)) for name in names), keyring)


def roles(wanted: Iterable[Database]) -> tuple[str, ...]:
    """Every login role that those databases need."""
    return tuple(role for database in wanted for role in (*database.users, database.owner))


async def existing(dsn: str) -> frozenset[str]:
    """The databases that are there."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return frozenset(row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database"))
    finally:
        await connection.close()


async def ensure(dsn: str, wanted: Iterable[Database], passwords: Mapping[str, str]) -> frozenset[str]:
    """Make the roles, databases and grants that are missing; the names of the databases that were made."""
    wanted = tuple(wanted)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await _make_roles(connection, roles(wanted), passwords)
        there = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        made = [database for database in wanted if database.name not in there]
        for database in made:
            await connection.execute(f'CREATE DATABASE "{database.name}" OWNER "{database.owner}"')
        # Again each time: an `up` that was cut off after CREATE must not leave a database open to all.
        await _grant(connection, wanted)
    finally:
        await connection.close()
    return frozenset(database.name for database in made)


async def _make_roles(
    connection: asyncpg.Connection, names: Iterable[str], passwords: Mapping[str, str]
) -> None:
    there = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    for name in names:
        if name not in there:
            # CREATE ROLE takes no parameters; the server itself quotes them.
            command = await connection.fetchval(
                "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)", name, passwords[name]
            )
            await connection.execute(command)


async def _grant(connection: asyncpg.Connection, wanted: Iterable[Database]) -> None:
    """CONNECT for those who need it only; temporary tables too, for set-based writes."""
    statements = [f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC' for name in ("postgres", "template1")]
    for database in wanted:
        statements.append(f'REVOKE ALL ON DATABASE "{database.name}" FROM PUBLIC')
        for role in database.users:
            statements.append(f'GRANT CONNECT, TEMPORARY ON DATABASE "{database.name}" TO "{role}"')
    await connection.execute(";\n".join(statements))
