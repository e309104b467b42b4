"""A service that runs: its parts, brought up in order and taken down in the opposite one.

It answers from the first moment; until it has found its dependencies, read its own past and published its defaults it
says so in its readiness and decides nothing.
"""

import asyncio
import base64
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
import structlog
from fastapi import APIRouter

from shared.runtime.auth import Tokens
from shared.runtime.clock import Clock, system_clock
from shared.runtime.commands import CatchingUp, Office, SubjectOf
from shared.runtime.consumer import LiveReader
from shared.runtime.gate import NOTHING
from shared.runtime.http.freshness import Freshness, Token
from shared.runtime.kafka import Offsets, Partition, logs_of
from shared.runtime.keyring import Keyring, PostgresKeyring, open_keyring
from shared.runtime.loops import Loop
from shared.runtime.owed import Owing, Perform, Performed, Work, pay, refold
from shared.runtime.positions import reached
from shared.runtime.postgres import Pool, connect_pool
from shared.runtime.projections import Projection
from shared.runtime.published import publish_default
from shared.runtime.receive import Receiver, Witness
from shared.runtime.relay import Relay, sweep
from shared.runtime.sealing import Sealer
from shared.runtime.settings import RuntimeSettings
from shared.runtime.store import PostgresCaseStore
from shared.runtime.telemetry import CATCHING_UP
from shared.runtime.waiting import Patience
from shared.schemas.base import PUBLISHERS, Event, Recorded
from shared.schemas.topics import topic_name

S = TypeVar("S")
W = TypeVar("W", bound=Work)
ROLES = ("http", "worker", "all")
PATIENCE_FOR_TOKENS = 2.0
OUTBOX_ALARM = 30.0
SWEEP_EVERY, FORGET_EVERY, WATCH_EVERY = 5.0, 3600.0, 1.0
_WHICH_DATABASE = "select oid::bigint from pg_database where datname = current_database()"
log = structlog.get_logger()


@dataclass(frozen=True)
class Blueprint(Generic[S, W]):
    """What makes one service this service; the runtime does the rest.

    migrations is the folder of its own SQL; insert_only names its tables that are never rewritten. perform, routes and
    chores are made for the running service, because they need its parts. before_serving is done once the log has been
    read and before anything is decided.
    """

    name: str
    fold: Callable[[Iterable[Recorded]], S]
    subject_of: SubjectOf[S]
    migrations: Path
    projections: Sequence[Projection] = ()
    defaults: Sequence[tuple[Event, str]] = ()
    insert_only: Sequence[str] = ()
    owed: Callable[[S], Iterable[W]] = lambda _: ()
    perform: "Callable[[Running[S, W]], Perform[S, W]]" = lambda _: _nothing_owed
    routes: "Callable[[Running[S, W]], Sequence[APIRouter]]" = lambda _: ()
    chores: "Callable[[Running[S, W]], Sequence[Chore]]" = lambda _: ()
    before_serving: "Callable[[Running[S, W]], Awaitable[None]] | None" = None
    witness: Witness | None = None


@dataclass(frozen=True, slots=True)
class Chore:
    """Something else that a worker does as long as it runs: how it is started and how it is stopped."""

    name: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]


@dataclass
class Parts(Generic[S]):
    """What is there once the dependencies have been found."""

    pool: Pool
    keyring: Keyring
    sealer: Sealer
    store: PostgresCaseStore
    office: Office[S]


@dataclass
class Running(Generic[S, W]):
    """One process of a service. role: http answers requests, worker reads, publishes and works, all does both."""

    blueprint: Blueprint[S, W]
    settings: RuntimeSettings
    role: str = "all"
    clock: Clock = system_clock
    patience: Patience = field(default_factory=Patience)
    tokens: Tokens = field(init=False)
    reader: LiveReader | None = field(default=None, init=False)
    relay: Relay | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.settings.oidc_issuer)
        self.offsets = Offsets(self.settings.kafka_bootstrap)
        self.ends: dict[Partition, int] = {}
        self.caught_up = self.ready = self.lost = False
        self._database: int | None = None
        self._parts: Parts[S] | None = None
        self._ended = AsyncExitStack()
        self._start: asyncio.Task[None] | None = None
        self._loops: list[Loop] = []

    @property
    def parts(self) -> Parts[S]:
        """The parts, for whoever answers a request. Raises CatchingUp before they are there."""
        if self._parts is None:
            raise CatchingUp
        return self._parts

    @property
    def started(self) -> bool:
        """Whether the parts are there."""
        return self._parts is not None

    @property
    def failed(self) -> bool:
        """Whether the start ended by an error that waiting cannot cure: the process must be started again."""
        start = self._start
        return start is not None and start.done() and not start.cancelled() and start.exception() is not None

    def start(self) -> None:
        """Begins to bring everything up; does not wait for it."""
        self._start = asyncio.create_task(self._bring_up(), name="start")
        self._start.add_done_callback(_log_failure)

    async def stop(self) -> None:
        """Takes everything down within the grace period: what is begun is finished, what is not stays owed."""
        if self._start:
            self._start.cancel()
            await asyncio.gather(self._start, return_exceptions=True)
        await self._ended.aclose()

    def check(self) -> None:
        """Raises CatchingUp while nothing may be decided."""
        if not self.caught_up:
            raise CatchingUp

    async def _bring_up(self) -> None:
        until, settings = self.patience.until, self.settings
        pool = await until("PostgreSQL", self._connect)
        self._ended.push_async_callback(pool.close)
        await until("the migrations of its database", lambda: _migrated(pool, self.blueprint))
        self._database = await pool.fetchval(_WHICH_DATABASE)
        self._keep(
            Loop("same-database", self._same, rest_least=WATCH_EVERY, rest_most=WATCH_EVERY), woken=False
        )
        keyring = await until("the keyring", self._open_keyring)
        self._ended.push_async_callback(keyring.close)
        self._parts = self._made_of(pool, keyring)
        self._ended.push_async_callback(self.offsets.close)
        topics = logs_of(settings.topic_prefix)
        partitions = await until("Kafka and its topics", lambda: self.offsets.partitions(topics))
        self.ends = await until("the ends of the log", lambda: self.offsets.ends(partitions))
        CATCHING_UP.labels(settings.service).set(1)
        if self.role != "http":
            await self._read(pool)
        await until("the end of the log", self._reached, longest=0.2)
        if before := self.blueprint.before_serving:
            await until("what must be done before it serves", lambda: before(self))
        self.caught_up = True
        CATCHING_UP.labels(settings.service).set(0)
        if self.role != "http":
            await until("its defaults", self._publish_defaults)
            await self._work()
        self.ready = True
        log.info("ready", role=self.role)

    async def _connect(self) -> Pool:
        most = self.settings.pool_size
        name = f"redress-{self.settings.service}"
        return await connect_pool(self.settings.pg_dsn, least=1, most=most, name=name)

    async def _open_keyring(self) -> PostgresKeyring:
        master = base64.b64decode(self.settings.keyring_master_key_file.read_text().strip())
        return await open_keyring(self.settings.keyring_dsn, master, f"redress-{self.settings.service}")

    def _made_of(self, pool: Pool, keyring: Keyring) -> Parts[S]:
        blueprint = self.blueprint
        store, sealer = PostgresCaseStore(pool, blueprint.name), Sealer(keyring)
        office = Office(
            store, sealer, blueprint.fold, blueprint.subject_of, self.check, appended=self._appended
        )
        return Parts(pool, keyring, sealer, store, office)

    async def _read(self, pool: Pool) -> None:
        settings, blueprint = self.settings, self.blueprint
        logs = logs_of(settings.topic_prefix)
        receiver = Receiver(blueprint.name, logs, blueprint.projections, blueprint.witness)
        self.reader = LiveReader(
            bootstrap=settings.kafka_bootstrap,
            prefix=settings.topic_prefix,
            publisher=blueprint.name,
            pool=pool,
            receiver=receiver,
            offsets=self.offsets,
            ends=self.ends,
            on_batch=lambda _: self._wake(),
            most_parked=settings.most_parked,
        )
        await self.reader.start()
        self._ended.push_async_callback(self.reader.stop)

    async def _reached(self) -> None:
        """Raises until the positions have reached the ends that were noted at the start."""
        rows = await self.parts.pool.fetch("select topic, part, next from positions")
        at = {(row["topic"], row["part"]): row["next"] for row in rows}
        behind = [place for place, end in self.ends.items() if at.get(place, 0) < end]
        if behind:
            raise _Behind(len(behind))

    async def _publish_defaults(self) -> None:
        for event, name in self.blueprint.defaults:
            await publish_default(self.parts.office, event, name, self.clock())

    async def _work(self) -> None:
        settings, blueprint, parts = self.settings, self.blueprint, self.parts
        self.relay = Relay(settings.pg_dsn, settings.kafka_bootstrap, settings.topic_prefix, blueprint.name)
        await self.relay.start()
        self._ended.push_async_callback(self.relay.stop)
        self._keep(Loop("sweep", self._sweep, rest_least=SWEEP_EVERY, rest_most=SWEEP_EVERY), woken=False)
        self._keep(Loop("forget", self._forget, rest_least=FORGET_EVERY, rest_most=FORGET_EVERY), woken=False)
        # A service that owes nothing folds marked cases too: one that does not fold is parked, not found out later.
        owing = Owing(parts.office, blueprint.owed, blueprint.perform(self))
        self._keep(Loop("refold", lambda: refold(parts.pool, owing)))
        self._keep(Loop("pay", lambda: pay(parts.pool, owing, self.clock)))
        for chore in blueprint.chores(self):
            await chore.start()
            self._ended.push_async_callback(chore.stop)

    async def _same(self) -> int:
        """Ends the process when its database was dropped or made anew: nothing that it remembers holds any more."""
        try:
            now = await self.parts.pool.fetchval(_WHICH_DATABASE) if self.started else self._database
        except asyncpg.InvalidCatalogNameError:
            now = None
        if now != self._database:
            log.critical(
                "the database was dropped or made anew: the process ends, start it again to read the log"
            )
            self.lost = True
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(WATCH_EVERY)
        return 0

    async def _sweep(self) -> int:
        await sweep(self.parts.pool, self.settings.topic_prefix, self.blueprint.name)
        return 0

    async def _forget(self) -> int:
        """Fingerprints of requests are kept for seven days."""
        await self.parts.pool.execute("delete from fingerprints where at < now() - interval '7 days'")
        return 0

    def _keep(self, loop: Loop, *, woken: bool = True) -> None:
        loop.start()
        if woken:
            self._loops.append(loop)
        self._ended.push_async_callback(loop.stop)

    def _appended(self) -> None:
        if self.relay:
            self.relay.wake()
        self._wake()

    def _wake(self) -> None:
        for loop in self._loops:
            loop.wake()

    async def reasons(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        if self.patience.waiting_for:
            return [f"waits for {self.patience.waiting_for}"]
        if not self.ready:
            return ["is starting"]
        reasons = self.reader.reasons() if self.reader else []
        oldest = await self.parts.pool.fetchval(
            "select extract(epoch from now() - min(at))::float8 from outbox"
        )
        if oldest and oldest > OUTBOX_ALARM:
            reasons.append(f"events have been waiting for the broker for {oldest:.0f} s")
        return reasons

    async def seen(self, token: Token, within: float = PATIENCE_FOR_TOKENS) -> bool:
        """Waits until the events that the token names have been read here; False if they have not in time."""
        if not token:
            return True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            missing = await self._missing(token)
            if missing is None or loop.time() > deadline:
                return False
            if not missing:
                return True
            await asyncio.sleep(0.01)

    async def _missing(self, token: Token) -> int | None:
        """How many of the token's events are not here yet; None where waiting is in vain."""
        cases = list({entry.case for entry in token})
        rows = await self.parts.pool.fetch(
            "select id, gate, parked, forks from cases where id = any($1)", cases
        )
        gates = {row["id"]: row["gate"] for row in rows}
        if any(row["parked"] or row["forks"] for row in rows):
            return None
        at = {entry: gates.get(entry.case, NOTHING)[PUBLISHERS.index(entry.publisher)] for entry in token}
        return len([entry for entry, sequence in at.items() if sequence < entry.sequence])

    async def freshness(self, fresh: bool = True) -> Freshness:
        """How far the answers of this service reach at this moment."""
        at = await reached(self.parts.pool, [topic_name(self.settings.topic_prefix, "cases")])
        lag = sum(self.reader.lag().values()) if self.reader else 0
        time = max((place.last for place in at.values() if place.last), default=None)
        return Freshness({part: place.next for (_, part), place in at.items()}, time, lag, fresh)


async def _nothing_owed(case: UUID, _: Any, work: Work) -> Performed:
    raise LookupError(f"nobody performs {work.what} for case {case}")


class _Behind(Exception):
    """So many partitions have not been read to their noted ends."""


async def _migrated(pool: Pool, blueprint: Blueprint[Any, Any]) -> None:
    last = max((path.name for path in blueprint.migrations.glob("*.sql")), default="0001_pre_runtime.sql")
    if not await pool.fetchval("select 1 from migrations where name = $1", last):
        raise LookupError(f"{last} has not been applied")


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("the start failed", exc_info=error)
