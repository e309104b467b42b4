"""What tests put in the place of the world: a store in memory, a clock that stands, ids that count.

The store is proven by the same suite as the one in PostgreSQL (tests/contract/test_case_store.py).
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from shared.runtime.gate import NOTHING
from shared.runtime.store import CaseParked, Change, Conflict, Loaded, Stored, stored
from shared.schemas.base import PUBLISHERS


@dataclass
class FixedClock:
    """Stands still until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@dataclass
class CountingIds:
    """1, 2, 3 .. as UUIDs: a test can name them beforehand."""

    last: int = 0

    def __call__(self) -> UUID:
        self.last += 1
        return UUID(int=self.last)


@dataclass
class _Kept:
    version: int = 0
    own: int = 0
    gate: list[int] = field(default_factory=lambda: list(NOTHING))
    forks: int = 0
    parked: str | None = None
    accepted: list[Stored] = field(default_factory=list)
    on_their_way: list[Stored] = field(default_factory=list)


class MemoryCaseStore:
    """A CaseStore without a database. outbox holds what was appended, in order; receive plays the log."""

    def __init__(self, publisher: str) -> None:
        self.publisher, self.me = publisher, PUBLISHERS.index(publisher)
        self.outbox: list[tuple[str, bytes]] = []
        self._cases: dict[UUID, _Kept] = {}
        self._fingerprints: dict[UUID, bytes] = {}

    async def load(self, case: UUID) -> Loaded:
        return self._loaded(case)

    async def load_many(self, cases: Collection[UUID]) -> Mapping[UUID, Loaded]:
        return {case: self._loaded(case) for case in cases if case in self._cases}

    async def fingerprint(self, command: UUID) -> bytes | None:
        return self._fingerprints.get(command)

    async def append(self, command: UUID, *changes: Change) -> list[tuple[Stored, ...]]:
        numbered = [stored(change, command, self.me) for change in changes]
        before = deepcopy(self._cases)
        try:
            for change, events in zip(changes, numbered, strict=True):
                self._check(change)
                self._add(change, events)
        except (Conflict, CaseParked):
            self._cases = before
            raise
        for change, events in zip(changes, numbered, strict=True):
            self._publish(command, change, events)
        return numbered

    async def append_each(self, changes: Mapping[UUID, tuple[UUID, Change]]) -> set[UUID]:
        won = set()
        for case, (command, change) in changes.items():
            kept = self._cases.get(case, _Kept())
            if kept.version == change.loaded.version and not kept.parked and not kept.forks:
                events = stored(change, command, self.me)
                self._add(change, events)
                self._publish(command, change, events)
                won.add(case)
        return won

    def receive(self, *bodies: bytes) -> None:
        """The next events of the log in accepted order, own ones read back too."""
        for body in bodies:
            said = orjson.loads(body)
            case, publisher = UUID(said["subject"]), PUBLISHERS.index(said["source"].rpartition("/")[2])
            self._receive(self._cases.setdefault(case, _Kept()), publisher, said, body)

    def park(self, case: UUID, why: str) -> None:
        self._cases.setdefault(case, _Kept()).parked = why

    def fork(self, case: UUID) -> None:
        """Another record under a sequence that is taken has come."""
        self._cases[case].forks += 1

    def _receive(self, kept: _Kept, publisher: int, said: Mapping[str, str], body: bytes) -> None:
        sequence = int(said["sequence"])
        if sequence != kept.gate[publisher] + 1:
            raise ValueError(f"{PUBLISHERS[publisher]} {sequence} does not come next")
        kept.gate[publisher] = sequence
        if publisher == self.me and kept.on_their_way and kept.on_their_way[0].body == body:
            kept.accepted.append(kept.on_their_way.pop(0))
            return
        command = UUID(said["commandid"]) if publisher == self.me else None
        kept.accepted.append(Stored(publisher, sequence, UUID(said["id"]), command, body))
        kept.version += 1
        kept.own = max(kept.own, kept.gate[self.me])

    def _check(self, change: Change) -> None:
        case = change.loaded.case
        kept = self._cases.get(case, _Kept())
        if kept.parked:
            raise CaseParked(case, kept.parked)
        if kept.forks and not change.past_forks:
            raise CaseParked(case, "forked")
        if kept.version != change.loaded.version:
            raise Conflict(case)

    def _add(self, change: Change, events: tuple[Stored, ...]) -> None:
        kept = self._cases.setdefault(change.loaded.case, _Kept())
        kept.version += len(events)
        kept.own += len(events)
        kept.on_their_way += events

    def _publish(self, command: UUID, change: Change, events: tuple[Stored, ...]) -> None:
        self.outbox += [(change.log, event.body) for event in events]
        if change.fingerprint is not None:
            self._fingerprints.setdefault(command, change.fingerprint)

    def _loaded(self, case: UUID) -> Loaded:
        kept = self._cases.get(case)
        if kept is None:
            return Loaded(case)
        events = (*kept.accepted, *kept.on_their_way)
        return Loaded(case, kept.version, kept.own, tuple(kept.gate), kept.forks, kept.parked, events)
