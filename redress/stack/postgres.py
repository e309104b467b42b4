"""PostgreSQL on loopback, from the archives that Java's test suites use; as root it runs as `nobody`."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from redress.failures import NotRunning
from redress.stack import waiting
from redress.stack.layout import Layout
from redress.stack.postgres_programs import unpacked
from redress.stack.processes import Account, Processes, Program, last_lines, quoted, unprivileged

NAME = "postgres"
STOP_SIGNAL = signal.SIGINT  # fast shutdown: sessions are ended, nothing is lost
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
ELSEWHERE = Path("/var/lib/redress")


@dataclass(frozen=True)
class Postgres:
    """The database server of one stack."""

    layout: Layout
    processes: Processes
    port: int
    password: str
    durable: bool = True

    @property
    def dsn(self) -> str:
        """The superuser's address."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, making its data folder the first time; returns before it is ready."""
        account = unprivileged()
        binaries = unpacked(self.processes.say)
        data = self._data_folder(account)
        if not (data / "PG_VERSION").exists():
            self._initialise(binaries, data, account)
        settings = {**SETTINGS, "port": self.port, "fsync": "on" if self.durable else "off"}
        options = [f"--{key}={value}" for key, value in settings.items()]
        command = (str(binaries / "bin" / "postgres"), "-D", str(data), *options)
        self.processes.start(Program(NAME, command, account=account))

    def wait_ready(self, patience: float = 60) -> None:
        """Wait until it takes connections, its recovery after a crash included."""
        tries = 5  # it refuses to start while the last backends of a killed server still end

        def decided() -> bool:
            nonlocal tries
            if self.processes.find(NAME) is None and tries > 0:
                tries -= 1
                time.sleep(0.5)
                self.start()
            return self.processes.find(NAME) is None or waiting.run(is_ready(self.dsn))

        if not waiting.until(decided, patience) or self.processes.find(NAME) is None:
            log = self.processes.log(NAME)
            raise NotRunning(
                f"PostgreSQL did not come up. The last lines of {log}:\n{quoted(last_lines(log))}",
                "Read the whole log there.",
            )

    def _data_folder(self, account: Account | None) -> Path:
        """The data folder, made where the server's account can reach it."""
        named = self.layout.postgres
        if not named.exists():
            if account is None or is_reachable(self.layout.run):
                named.mkdir(mode=0o700)
            else:  # such as below root's home: the server could never enter it
                ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
                place = Path(tempfile.mkdtemp(prefix="postgres-", dir=ELSEWHERE))
                named.unlink(missing_ok=True)
                named.symlink_to(place)
                self.processes.say(
                    f"{account.name} cannot enter {self.layout.run}: PostgreSQL keeps its data in {place}"
                )
        elif account and not is_reachable(named.resolve().parent):
            raise NotRunning(
                f"PostgreSQL runs as {account.name}, who may not enter a folder above {named.resolve()}.",
                "Let it pass through (chmod o+x on the folders above), or put the stack where it may go: "
                "REDRESS_RUN=/var/tmp/redress redress up",
            )
        return named.resolve()

    def _initialise(self, binaries: Path, data: Path, account: Account | None) -> None:
        with tempfile.NamedTemporaryFile(
            "w", prefix="redress-"
        ) as secret:  # initdb takes a password only from a file
            secret.write(self.password)
            secret.flush()
            if account:
                os.chown(data, account.uid, account.gid)
                os.chown(secret.name, account.uid, account.gid)
            options = ("-U", "postgres", f"--pwfile={secret.name}", "--auth=scram-sha-256", "--encoding=UTF8")
            locale = (
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            )  # alike on every machine
            done = subprocess.run(
                [str(binaries / "bin" / "initdb"), "-D", str(data), *options, *locale],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        if done.returncode != 0:
            raise NotRunning(
                f"PostgreSQL's data folder {data} could not be made:\n{(done.stderr or done.stdout)[-1500:]}"
            )


def destroy(layout: Layout) -> None:
    """Delete a stack's data, wherever they lie."""
    shutil.rmtree(layout.postgres.resolve(), ignore_errors=True)
    if layout.postgres.is_symlink():
        layout.postgres.unlink()


async def is_ready(dsn: str) -> bool:
    """Whether the server takes connections; one that still recovers listens but does not."""
    return await server_version(dsn) is not None


async def server_version(dsn: str) -> str | None:
    """The version that the server says it has; None if it does not answer."""
    try:
        connection = await asyncpg.connect(dsn, timeout=3)
    except (
        OSError,
        TimeoutError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
        asyncpg.ConnectionDoesNotExistError,
    ):
        return None
    except asyncpg.InvalidPasswordError as error:
        raise NotRunning(
            "PostgreSQL does not accept this stack's password: its data belong to another `passwords` file.",
            "Restore that file in the run folder, or move the whole run folder away to begin anew.",
        ) from error
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def new_password() -> str:
    """A password that needs no quoting in an address."""
    return secrets.token_urlsafe(24)


def is_reachable(folder: Path) -> bool:
    """Whether an account without rights of its own can pass through the folder and all above it."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))
