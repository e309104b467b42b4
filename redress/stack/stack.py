"""The whole stack of one machine: up, down, and every part alone."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from redress.failures import NotRunning, WrongUse
from redress.stack import contract as contracts
from redress.stack import databases, env, kafka, ports, postgres, waiting
from redress.stack.contract import Contract
from redress.stack.kafka import Kafka
from redress.stack.layout import REPOSITORY, Layout, chosen_run
from redress.stack.lock import locked
from redress.stack.parts import (
    ISSUER,
    KAFKA,
    KAFKA_CONTROLLER,
    PART_PORTS,
    POSTGRES,
    SERVER_PORTS,
    SERVICES,
    Part,
)
from redress.stack.postgres import Postgres
from redress.stack.processes import Processes
from redress.stack.programs import Programs

SERVERS = (KAFKA, POSTGRES)
LEAST_DISK = 1024**3
MOVABLE = frozenset(SERVER_PORTS)


class Stack:
    """One stack in one run folder; all that it owns lies there, so several live side by side."""

    def __init__(
        self,
        run: Path | None = None,
        *,
        root: Path = REPOSITORY,
        durable: bool = True,
        partitions: int = 12,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """`durable=False` gives up the disk's promise for speed, for throw-away stacks only."""
        self.layout = Layout(run.resolve() if run else chosen_run())
        self.say = say or (lambda _: None)
        self.processes = Processes(self.layout.pids, self.layout.logs, self.say)
        self._root = root
        self._durable = durable
        self._partitions = partitions

    def up(self) -> None:
        """Start whatever is missing and wait until every part says that it is ready."""
        with locked(self.layout, self.say):
            contract = self._contract()
            self._check_ports(contract, (*SERVERS, *PART_PORTS))
            self._up_servers(contract)
            self._prepare(contract)
            self._up_parts(contract)

    def up_servers(self) -> None:
        """Start Kafka and PostgreSQL only, with no topics and no databases in them."""
        with locked(self.layout, self.say):
            contract = self._contract()
            self._check_ports(contract, SERVERS)
            self._up_servers(contract)

    def down(self) -> None:
        """Stop the services, then Kafka, then PostgreSQL; their state stays."""
        with locked(self.layout, self.say):
            programs = sorted({path.name for path in self.layout.pids.iterdir()} - set(SERVERS))
            told = self._stop(*programs)
            told += self._stop(KAFKA)
            told += self._stop(POSTGRES, sig=postgres.STOP_SIGNAL)
            if not told:
                self.say("nothing was running")

    def destroy(self) -> None:
        """Stop everything and delete all that the stack has; for throw-away stacks."""
        self.down()
        postgres.destroy(self.layout)
        shutil.rmtree(self.layout.run, ignore_errors=True)

    def start(self, name: str) -> None:
        """Start one part, a server or a service, and wait until it is ready."""
        with locked(self.layout, self.say):
            contract = self._contract()
            if name in SERVERS:
                self._up_server(contract, name)
                return
            programs = self._programs(contract)
            if self.processes.find(name) is None:
                programs.start(part_named(name))
        # Without the lock: what it waits for may have to be started meanwhile.
        programs.wait_ready(part_named(name))

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send one part a signal, waiting for its end where the signal cannot be refused."""
        if not self.processes.send(name, sig):
            raise NotRunning(f"{name} is not running in {self.layout.run}.", "Start it with `redress up`.")
        if sig == signal.SIGKILL:
            self.processes.wait_gone(name, 10)

    def environment(self, name: str, *, owner: bool = False) -> dict[str, str]:
        """The environment of a part's process; with `owner`, also what its migration and rebuild need."""
        return self.contract().of_part(part_named(name), owner=owner)

    def contract(self) -> Contract:
        """The stack's addresses and secrets, as it was last started."""
        if not self.layout.env.exists():
            raise NotRunning(f"There is no stack in {self.layout.run}.", "Start one with `redress up`.")
        return self._read_contract()

    @property
    def env(self) -> dict[str, str]:
        """Everything that the stack's env file holds."""
        return self.contract().whole()

    @property
    def admin_dsn(self) -> str:
        """PostgreSQL's superuser, for tests and for operators."""
        return self.contract().admin()["PG_ADMIN_DSN"]

    def kafka(self, contract: Contract) -> Kafka:
        """The stack's broker."""
        broker, controller = contract.ports[KAFKA], contract.ports[KAFKA_CONTROLLER]
        return Kafka(self.layout, self.processes, broker, controller, self._durable)

    def postgres(self, contract: Contract) -> Postgres:
        """The stack's database server."""
        return Postgres(
            self.layout,
            self.processes,
            contract.ports[POSTGRES],
            contract.passwords["postgres"],
            self._durable,
        )

    def _contract(self) -> Contract:
        """Ports and passwords, kept from now on; only the holder of the lock may call it."""
        contract = self._read_contract()
        for path, values in (
            (self.layout.passwords, contract.passwords),
            (self.layout.env, contract.whole()),
            (self.layout.admin_env, contract.admin()),
        ):
            if env.read(path) != values:
                env.write(path, values)
        return contract

    def _read_contract(self) -> Contract:
        """Ports and passwords as they were, completed by those that a new part needs."""
        wanted = {**SERVER_PORTS, **PART_PORTS}
        remembered = contracts.remembered_ports(self.layout, wanted)
        given = ports.assign(wanted, remembered, default=self.layout.is_default, movable=MOVABLE)
        known = env.read(self.layout.passwords)
        names = ("postgres", *databases.roles(self._databases()))
        passwords = known | {name: postgres.new_password() for name in names if name not in known}
        return Contract(self.layout, given, passwords)

    def _check_ports(self, contract: Contract, names: tuple[str, ...]) -> None:
        for name in names:
            if self.processes.find(name) is None:
                ports.require_free(name, contract.ports[name])
                if name == KAFKA:
                    ports.require_free(KAFKA_CONTROLLER, contract.ports[KAFKA_CONTROLLER])

    def _up_servers(self, contract: Contract) -> None:
        free = shutil.disk_usage(self.layout.run).free
        if free < LEAST_DISK and any(self.processes.find(name) is None for name in SERVERS):
            raise NotRunning(
                f"Only {free / 1e6:.0f} MB are free on the disk of {self.layout.run}; 1 GB is the least.",
                "Free some space, or put the stack on another disk: REDRESS_RUN=/disk/redress redress up",
            )
        for name in (POSTGRES, KAFKA):  # both start at once; PostgreSQL is the quicker one
            self._up_server(contract, name, wait=False)
        for name in (POSTGRES, KAFKA):
            self._up_server(contract, name)

    def _up_server(self, contract: Contract, name: str, *, wait: bool = True) -> None:
        server = self.kafka(contract) if name == KAFKA else self.postgres(contract)
        if self.processes.find(name) is None:
            self.say(f"starting {name}")
            server.start()
        if wait:
            server.wait_ready()

    def _prepare(self, contract: Contract) -> None:
        """Topics, databases, keys and tables: whatever is missing of them."""
        from shared.schemas.topics import topic_specs

        dsn = self.admin_dsn
        self._require_master_key(dsn)
        made = waiting.run(databases.ensure(dsn, self._databases(), contract.passwords))
        prefix = contract.common()["TOPIC_PREFIX"]
        waiting.run(
            kafka.ensure_topics(self.kafka(contract).bootstrap, topic_specs(prefix), self._partitions)
        )
        for part in SERVICES:
            if part.name in made and self.processes.stop(part.name):
                self.say(f"{part.name} stopped: its database is made anew")
        stale = [part for part in SERVICES if self.processes.find(part.name) is None]
        if stale:
            self.say("bringing the databases up to date")
            self._programs(contract).migrate(stale, keyring=True)

    def _require_master_key(self, dsn: str) -> None:
        """Make the master key for a new keyring; one that holds keys already needs its old one."""
        if self.layout.keyring_master_key.exists():
            return
        if databases.KEYRING in waiting.run(databases.existing(dsn)):
            raise NotRunning(
                f"The keyring's key {self.layout.keyring_master_key} is gone; no seal opens without it.",
                "Restore the file from its backup. A new one would not open the old keys.",
            )
        contracts.make_master_key(self.layout)

    def _up_parts(self, contract: Contract) -> None:
        programs = self._programs(contract)
        parts = (ISSUER, *SERVICES)
        for part in parts:
            if self.processes.find(part.name) is None:
                self.say(f"starting {part.name}")
                programs.start(part)
        for part in parts:
            programs.wait_ready(part)
            self.say(f"{part.name} is ready at {contract.url(part)}")

    def _stop(self, *names: str, sig: signal.Signals = signal.SIGTERM) -> list[str]:
        stopped = self.processes.stop(*names, sig=sig)
        for name in stopped:
            self.say(f"{name} stopped")
        return stopped

    def _databases(self) -> tuple[databases.Database, ...]:
        return databases.databases(part.name for part in SERVICES)

    def _programs(self, contract: Contract) -> Programs:
        return Programs(self._root, self.processes, contract, self.say)


def part_named(name: str) -> Part:
    """The Python part of that name."""
    for part in (ISSUER, *SERVICES):
        if part.name == name:
            return part
    raise WrongUse(f"There is no part named {name}.", f"Name one of: {', '.join((*SERVERS, *PART_PORTS))}.")
