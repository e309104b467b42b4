"""Where everything is measured: a throw-away stack with fsync on, the services' databases, and the log on its topic."""

import asyncio
import platform
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer

from bench.corpus import Fact, headers_of, key_of, traffic
from redress.stack import Stack, databases, kafka
from redress.stack.layout import REPOSITORY
from shared.runtime.kafka import start_producer
from shared.runtime.keyring import PostgresKeyring, open_keyring
from shared.runtime.keyring.migrations import migrate as migrate_keyring
from shared.runtime.migrating import migrate
from shared.runtime.postgres import Connection, Pool, connect_pool
from shared.schemas.topics import topic_name, topic_specs

SERVICES = ("intake", "processing", "reporting")
PREFIX, LONG_PREFIX = "bench", "bench-long"
CASES, LONG_CASES = topic_name(PREFIX, "cases"), topic_name(LONG_PREFIX, "cases")
PARTITIONS = 12
MASTER_KEY = bytes(32)
EVENTS_A_SECOND = 20_000
AT_ONCE = 2_000
FLOOR = """
create table floor (id uuid primary key, body bytea);
create table floor_events (like events including all);
create table floor_parsed (
  id uuid primary key, subject uuid, type text, source text, sequence int, time timestamptz, commandid uuid, data jsonb
)"""
_TABLES = """
select string_agg(quote_ident(tablename), ', ') from pg_tables
where schemaname = 'public' and tablename <> 'migrations'"""


@contextmanager
def throwaway() -> Iterator[Stack]:
    """A stack of its own that is gone afterwards, whatever happens."""
    run = Path(tempfile.mkdtemp(prefix="redress-bench-"))
    run.chmod(0o755)  # PostgreSQL runs as another account where the measuring runs as root
    stack = Stack(run, durable=True, partitions=PARTITIONS)
    try:
        stack.up_servers()
        yield stack
    finally:
        stack.destroy()


@dataclass
class Place:
    """The stack, made ready. seconds: about how long one run of one contender takes."""

    stack: Stack
    seconds: float
    _logs: dict[str, list[Fact]] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        return self.stack.env["KAFKA_BOOTSTRAP"]

    def dsn(self, database: str, role: str | None = None) -> str:
        """The address of a service's database, as that service unless another role is named."""
        return self.stack.contract().dsn(role or database, database)

    def owner_dsn(self, service: str) -> str:
        return self.dsn(service, f"{service}_owner")

    def many(self, each_second: int) -> int:
        """How many things make a run of the wanted length, at about so many a second."""
        return max(1, int(each_second * self.seconds))

    @asynccontextmanager
    async def pool(self, service: str, sessions: int = 4) -> AsyncIterator[Pool]:
        """Sessions of a service, all open, as its own pool makes them."""
        pool = await connect_pool(self.dsn(service), least=sessions, most=sessions, name="redress-bench")
        try:
            yield pool
        finally:
            await pool.close()

    @asynccontextmanager
    async def keyring(self, service: str) -> AsyncIterator[PostgresKeyring]:
        keyring = await open_keyring(self.dsn("keyring", f"keyring_{service}"), MASTER_KEY, "redress-bench")
        try:
            yield keyring
        finally:
            await keyring.close()

    async def empty(self, service: str) -> None:
        """Nothing is left in the service's tables."""
        async with self._owner(service) as connection:
            await connection.execute(f"truncate {await connection.fetchval(_TABLES)}")

    async def empty_floor(self, service: str) -> None:
        """As empty, for the floors' tables only."""
        async with self._owner(service) as connection:
            await connection.execute("truncate floor, floor_events, floor_parsed")

    async def settle(self, service: str) -> None:
        """What was filled in is analysed, and written down, so that no run pays for it."""
        async with self._owner(service) as connection:
            await connection.execute("vacuum (analyze, skip_locked)")
        connection = await asyncpg.connect(self.stack.admin_dsn)
        try:
            await connection.execute("checkpoint")
        finally:
            await connection.close()

    @asynccontextmanager
    async def _owner(self, service: str) -> AsyncIterator[Connection]:
        connection = await asyncpg.connect(self.owner_dsn(service))
        try:
            yield connection
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Databases, tables, keyring and topics."""
        wanted, passwords = databases.databases(SERVICES), self.stack.contract().passwords
        await databases.ensure(self.stack.admin_dsn, wanted, passwords)
        await migrate_keyring(self.dsn("keyring", "keyring_owner"))
        for service in SERVICES:
            await migrate(self.owner_dsn(service), service, REPOSITORY / "services" / service / "migrations")
            async with self._owner(service) as connection:
                await connection.execute(FLOOR)
        for prefix in (PREFIX, LONG_PREFIX):
            await kafka.ensure_topics(self.bootstrap, topic_specs(prefix), PARTITIONS)

    async def log(self, topic: str = CASES, each_second: int = EVENTS_A_SECOND) -> list[Fact]:
        """The events that stand on a topic, put there when they are first asked for."""
        if topic not in self._logs:
            self._logs[topic] = traffic(self.many(each_second))
            producer = await start_producer(self.bootstrap)
            try:
                for start in range(0, len(self._logs[topic]), AT_ONCE):
                    some = self._logs[topic][start : start + AT_ONCE]
                    await asyncio.gather(*[await _sent(producer, topic, fact) for fact in some])
            finally:
                await producer.stop()
        return self._logs[topic]

    async def versions(self) -> dict[str, str]:
        """What was measured with."""
        connection = await asyncpg.connect(self.stack.admin_dsn)
        try:
            server = str(await connection.fetchval("show server_version"))
        finally:
            await connection.close()
        broker = self.stack.kafka(self.stack.contract()).version
        return {"PostgreSQL": server.split()[0], "Kafka": broker, "Python": platform.python_version()}


async def _sent(producer: AIOKafkaProducer, topic: str, fact: Fact) -> Awaitable[object]:
    """What to wait for until the broker has it; the client may ask to wait before it takes more."""
    sent: Awaitable[object] = await producer.send(
        topic, fact.body, key=key_of(fact), headers=headers_of(fact)
    )
    return sent
