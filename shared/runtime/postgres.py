"""PostgreSQL as this runtime uses it: names for asyncpg's types, pools, and which errors mean "try again"."""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:  # the library's classes are generic for the type checker only
    Pool, Connection = asyncpg.Pool, asyncpg.Connection

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


def database_is_away(error: BaseException) -> bool:
    """The database is away, busy, recovering or aborted the transaction: try again, blame no event for it."""
    return isinstance(error, AWAY)


async def _keep_session(_: Connection) -> None:
    """No setting is ever left behind on a session, so the reset that a pool makes at each release is saved."""


async def connect_pool(dsn: str, *, least: int = 1, most: int = 10, name: str = "redress") -> Pool:
    """A pool of sessions that carry name as their application_name. Raises what asyncpg raises if nobody answers."""
    return await asyncpg.create_pool(
        dsn,
        min_size=least,
        max_size=most,
        reset=_keep_session,
        command_timeout=60,
        server_settings={"application_name": name, "timezone": "UTC"},
    )
