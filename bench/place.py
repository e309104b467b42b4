"""Where everything is measured: a throw-away stack with fsync on, the services' databases, and the log on its topic."""

import asyncio
import platform
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaProducer

from bench.corpus import Fact, headers_of, key_of, traffic
from redress.stack import Stack, databases, kafka
from redress.stack.layout import REPOSITORY
from shared.runtime.kafka import WRITE
from shared.runtime.keyring import PostgresKeyring, open_keyring
from shared.runtime.keyring.migrations import migrate as migrate_keyring
from shared.runtime.migrating import migrate
from shared.runtime.postgres import Connection, Pool, connect_pool
from shared.schemas.topics import topic_name, topic_specs

SERVICES = ("intake", "processing", "reporting")
PREFIX = "bench"
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
    topic: str = topic_name(PREFIX, "cases")
    _log: list[Fact] = field(default_factory=list)

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
        await kafka.ensure_topics(self.bootstrap, topic_specs(PREFIX), PARTITIONS)

    async def log(self) -> list[Fact]:
        """The events that stand on the topic, put there when they are first asked for."""
        if not self._log:
            self._log = traffic(self.many(EVENTS_A_SECOND))
            producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, **WRITE)
            await producer.start()
            try:
                for start in range(0, len(self._log), AT_ONCE):
                    await self._publish(producer, self._log[start : start + AT_ONCE])
            finally:
                await producer.stop()
        return self._log

    async def _publish(self, producer: AIOKafkaProducer, facts: Sequence[Fact]) -> None:
        sent = [
            await producer.send(self.topic, fact.body, key=key_of(fact), headers=headers_of(fact))
            for fact in facts
        ]
        await asyncio.gather(*sent)

    async def versions(self) -> dict[str, str]:
        """What was measured with."""
        connection = await asyncpg.connect(self.stack.admin_dsn)
        try:
            server = str(await connection.fetchval("show server_version"))
        finally:
            await connection.close()
        broker = self.stack.kafka(self.stack.contract()).version
        return {"PostgreSQL": server.split()[0], "Kafka": broker, "Python": platform.python_version()}
