"""One Kafka and one PostgreSQL for the whole session; a database from a migrated template and topics per module."""

import gc
import itertools
import os
import secrets
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.runtime.migrating import migrate
from shared.runtime.postgres import Pool, connect_pool
from shared.schemas.topics import topic_specs
from tests.waiting import until

PARTITIONS = 3
ROLE, PASSWORD = "redress_test_service", "only-for-tests"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.plugins.data_files")
    if os.environ.get("CI"):
        config.pluginmanager.import_plugin("tests.plugins.no_skips")
    # The default draws every traceback with its variables, which takes seconds in which nothing else runs.
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])


@dataclass(frozen=True)
class Servers:
    """lasting: they outlive the session, so it has to leave them as it found them."""

    bootstrap: str
    admin_dsn: str
    lasting: bool = False


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Those that the environment names, else containers where an engine answers, else the embedded ones."""
    if "KAFKA_BOOTSTRAP" in os.environ and "PG_ADMIN_DSN" in os.environ:
        yield Servers(os.environ["KAFKA_BOOTSTRAP"], os.environ["PG_ADMIN_DSN"], lasting=True)
    elif _engine_answers():
        yield from _containers()
    else:
        yield from _embedded()


def _engine_answers() -> bool:
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    import docker  # type: ignore[import-untyped]
    from docker.errors import DockerException  # type: ignore[import-untyped]

    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        try:
            docker.from_env(timeout=3).ping()
        except (DockerException, OSError):
            return False
        finally:
            gc.collect()  # the client forgets to close a socket on which nobody answered
    return True


def _containers() -> Iterator[Servers]:
    from testcontainers.kafka import KafkaContainer
    from testcontainers.postgres import PostgresContainer

    with (
        PostgresContainer("postgres:18", driver=None) as postgres,
        KafkaContainer("apache/kafka:4.1.1") as kafka,
    ):
        yield Servers(kafka.get_bootstrap_server(), postgres.get_connection_url())


def _embedded() -> Iterator[Servers]:
    from redress.stack import Stack

    run = Path(tempfile.mkdtemp(prefix="redress-tests-"))
    run.chmod(0o755)  # PostgreSQL runs as another account where the tests run as root
    stack = Stack(run, durable=False)
    try:
        stack.up_servers()
        yield Servers(stack.env["KAFKA_BOOTSTRAP"], stack.admin_dsn)
    finally:
        stack.destroy()


@pytest.fixture(scope="session")
def bootstrap(servers: Servers) -> str:
    return servers.bootstrap


@pytest.fixture(scope="session")
def admin_dsn(servers: Servers) -> str:
    return servers.admin_dsn


@dataclass(frozen=True)
class Database:
    """A migrated database: dsn as the service, with its rights only; owner_dsn for migrations and rebuilds."""

    name: str
    dsn: str
    owner_dsn: str


@dataclass
class Databases:
    """Makes databases from templates that are migrated once per session, and drops them in the end."""

    admin_dsn: str
    templates: dict[tuple[Path, ...], str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    tag: str = field(default_factory=lambda: f"redress_test_{os.getpid()}_{secrets.token_hex(3)}")

    async def make(self, *folders: Path, name: str | None = None) -> Database:
        """A database with the runtime's tables and those of the folders; name makes one anew that was dropped."""
        if folders not in self.templates:
            self.templates[folders] = await self._migrated(folders)
        made = await self._create(name, f'template "{self.templates[folders]}"')
        return Database(made, self.dsn(made, ROLE, PASSWORD), self.dsn(made))

    async def drop(self, name: str) -> None:
        await self.admin(f'drop database if exists "{name}" with (force)')

    async def admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def dsn(self, database: str, role: str | None = None, password: str | None = None) -> str:
        parts = urlsplit(self.admin_dsn)
        host = parts.netloc.rpartition("@")[2]
        place = f"{role}:{password}@{host}" if role else parts.netloc
        return urlunsplit((parts.scheme, place, f"/{database}", parts.query, ""))

    async def _migrated(self, folders: tuple[Path, ...]) -> str:
        make_role = f"""do $$ begin create role {ROLE} login password '{PASSWORD}';
            exception when duplicate_object or unique_violation then null; end $$"""
        await self.admin(make_role)
        template = await self._create(None, "")
        await migrate(self.dsn(template), ROLE, *folders)
        return template

    async def _create(self, name: str | None, how: str) -> str:
        made = name or f"{self.tag}_{next(self.numbers)}"
        if made not in self.made:
            self.made.append(made)
        await self.admin(f'create database "{made}" {how}')
        await self.admin(f'grant connect, temporary on database "{made}" to {ROLE}')
        return made


@pytest.fixture(scope="session")
async def databases(servers: Servers) -> AsyncIterator[Databases]:
    """For tests that need more than their module's one database."""
    databases = Databases(servers.admin_dsn)
    yield databases
    for name in databases.made if servers.lasting else ():
        await databases.drop(name)


@pytest.fixture(scope="module")
def migration_folders() -> tuple[Path, ...]:
    """What a database of this module has besides the runtime's tables; a service's tests name its own folder."""
    return ()


@pytest.fixture(scope="module")
async def database(databases: Databases, migration_folders: tuple[Path, ...]) -> Database:
    """The module's own database."""
    return await databases.make(*migration_folders)


@pytest.fixture(scope="module")
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Sessions of the service in the module's database, with the service's rights."""
    pool = await connect_pool(database.dsn, most=20)
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
async def owner_pool(database: Database) -> AsyncIterator[Pool]:
    """Sessions that may do what no service may, such as emptying tables between tests."""
    pool = await connect_pool(database.owner_dsn, least=0, most=4)
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
async def prefix(bootstrap: str) -> str:
    """The module's own topics, with three partitions each."""
    return await make_topics(bootstrap, f"test-{secrets.token_hex(4)}")


async def make_topics(bootstrap: str, prefix: str, partitions: int = PARTITIONS) -> str:
    """Makes all topics below the prefix and waits until each partition has a leader."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        specs = topic_specs(prefix)
        wanted = [NewTopic(name, partitions, 1, topic_configs=dict(config)) for name, config in specs.items()]
        await admin.create_topics(wanted)

        async def led() -> bool:
            topics = await admin.describe_topics(list(specs))
            parts = [part for topic in topics for part in topic["partitions"]]
            return len(parts) == partitions * len(specs) and all(part["leader"] >= 0 for part in parts)

        await until(led)
    finally:
        await admin.close()
    return prefix
