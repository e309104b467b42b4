"""The keyring's tables and functions: numbered files, each applied once; the grants, every time."""

import hashlib
from pathlib import Path

import asyncpg

SQL = Path(__file__).parent / "sql"
HISTORY = """
create schema if not exists keyring;
create table if not exists keyring.migration (
    name text primary key, sha256 text not null, applied_at timestamptz not null default clock_timestamp()
)
"""


class AlteredMigration(RuntimeError):
    """A migration that this database has already had reads differently now: write a new one instead."""


async def migrate(dsn: str) -> list[str]:
    """Brings the database up to this build, as its owner; answers what was applied now. Repeatable."""
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "redress-keyring-migrate"})
    try:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(hashtextextended('keyring-migration', 0))")
            await connection.execute(HISTORY)
            rows = await connection.fetch("select name, sha256 from keyring.migration")
            had = {row["name"]: row["sha256"] for row in rows}
            applied = []
            for path in sorted(SQL.glob("[0-9]*.sql")):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if path.name not in had:
                    await connection.execute(path.read_text())
                    await connection.execute(
                        "insert into keyring.migration (name, sha256) values ($1, $2)", path.name, digest
                    )
                    applied.append(path.name)
                elif had[path.name] != digest:
                    raise AlteredMigration(path.name)
            await connection.execute((SQL / "grants.sql").read_text())
        return applied
    finally:
        await connection.close()
