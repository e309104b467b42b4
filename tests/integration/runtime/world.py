"""A small language for tests of the runtime: notes about cases as real events, and one partition that holds them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from shared.runtime.gate import Record
from shared.runtime.ids import fresh_id
from shared.runtime.kafka import logs_of
from shared.runtime.postgres import Pool
from shared.runtime.projections import Projection
from shared.runtime.receive import Received, Receiver, Span
from shared.runtime.store import Change, Conflict, Loaded, PostgresCaseStore, Stored
from shared.schemas.base import Actor, Event, Recorded
from shared.schemas.envelope import Draft, Header, headers, serialised
from shared.schemas.intake import ComplaintDataCorrected
from shared.schemas.processing import ObjectionSettled
from shared.schemas.reporting import ForkAcknowledged

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVA = Actor("eva", "OWN", "human")
POISON = "poison"
TABLES = """
create table notes (case_id uuid, publisher text, sequence bigint, text text,
  primary key (case_id, publisher, sequence));
create table tally (case_id uuid primary key, notes bigint, last_event uuid);
"""
_parts = itertools.count(100)


@dataclass(frozen=True, slots=True)
class Note:
    case_id: UUID
    publisher: str
    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class Tally:
    case_id: UUID
    notes: int
    last_event: UUID


def fold_notes(rows: tuple[Note, ...], events: Sequence[Recorded]) -> tuple[Note, ...]:
    return (
        *rows,
        *(Note(said.subject, said.publisher, said.sequence, text_of(said.event)) for said in events),
    )


def fold_tally(rows: tuple[Tally, ...], events: Sequence[Recorded]) -> tuple[Tally, ...]:
    if any(text_of(said.event) == POISON for said in events):
        raise KeyError(POISON)
    before = rows[0].notes if rows else 0
    return (Tally(events[0].subject, before + len(events), events[-1].id),)


NOTES = Projection("notes", Note, ("case_id", "publisher", "sequence"), fold_notes)
TALLY = Projection("tally", Tally, ("case_id",), fold_tally)


def tables_in(folder: Path) -> Path:
    """A folder with the migration that makes the tables of the two projections."""
    (folder / "0002_pre_notes.sql").write_text(TABLES)
    return folder


def note(publisher: str, text: str) -> Event:
    """An event that says nothing but a text."""
    match publisher:
        case "intake":
            return ComplaintDataCorrected(fields=["product"], reason=text)
        case "processing":
            return ObjectionSettled(objection=UUID(int=1), finding=text)
        case _:
            return ForkAcknowledged(forks=[], finding=text)


def text_of(event: Event) -> str:
    match event:
        case (
            ComplaintDataCorrected(reason=text)
            | ObjectionSettled(finding=text)
            | ForkAcknowledged(finding=text)
        ):
            return text
        case _:
            raise AssertionError(f"no note: {event}")


def draft(case: UUID, event: Event, command: UUID | None = None) -> Draft:
    return Draft(
        id=fresh_id(),
        subject=case,
        type=event.type,
        data=serialised(event),
        time=NOON,
        occurred_at=NOON,
        actor=EVA,
        command=command or fresh_id(),
        correlation=case,
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """A record as it lies in a partition."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


def published(body: bytes) -> tuple[bytes, bytes, Sequence[Header]]:
    """Key, value and headers of an event's record, as any service's relay makes them."""
    said = orjson.loads(body)
    publisher = said["source"].rpartition("/")[2]
    return (
        said["subject"].encode(),
        body,
        headers(said["type"], UUID(said["id"]), publisher, int(said["sequence"])),
    )


def foreign(case: UUID, publisher: str, sequence: int, text: str = "", seen: str = "") -> bytes:
    """The body of an event that another service published."""
    return draft(case, note(publisher, text or f"{publisher} {sequence}")).body(sequence, seen)


@dataclass
class World:
    """One service's database and one partition of the log, read by hand: what is put there and received."""

    pool: Pool
    publisher: str = "processing"
    projections: Sequence[Projection] = (NOTES, TALLY)
    prefix: str = "w"
    part: int = field(default_factory=lambda: next(_parts))
    topic: str = "w.cases"
    end: int = 0
    read: int = 0
    history_below: int = 0

    def __post_init__(self) -> None:
        self.store = PostgresCaseStore(self.pool, self.publisher)
        self.receiver = Receiver(self.publisher, logs_of(self.prefix), self.projections)

    async def open(self) -> "World":
        await self.pool.execute(
            "insert into positions (topic, part, next, epoch) values ($1, $2, 0, 1)", self.topic, self.part
        )
        return self

    def put(self, body: bytes, **changed: Any) -> Sent:
        """Appends to the partition; changed replaces parts of the record."""
        key, value, said = published(body)
        sent = replace(Sent(self.topic, self.part, self.end, key, value, said), **changed)
        self.end += 1
        return sent

    async def receive(self, *bodies: bytes | Sent) -> Received:
        """Puts the bodies into the partition where they are not there yet, and takes them as one batch."""
        records: list[Record] = [self.put(body) if isinstance(body, bytes) else body for body in bodies]
        span = Span(self.topic, self.part, self.read, self.read + len(records), 1, self.history_below, NOON)
        async with self.pool.acquire() as connection:
            received = await self.receiver.receive(connection, records, [span])
        self.read = span.end
        return received

    async def say(self, case: UUID, text: str = "own", command: UUID | None = None) -> tuple[Stored, ...]:
        """A command on a case: load, decide, append, again if something came in between."""
        command = command or fresh_id()
        for _ in range(50):
            loaded = await self.store.load(case)
            if spent := loaded.answer(command):
                return spent
            try:
                change = Change(loaded, [draft(case, note(self.publisher, text), command)])
                return (await self.store.append(command, change))[0]
            except Conflict:
                continue
        raise AssertionError("never got through")

    async def texts(self, case: UUID) -> list[str]:
        rows = await self.pool.fetch("select text from notes where case_id = $1 order by text", case)
        return [row[0] for row in rows]

    async def tally(self, case: UUID) -> int | None:
        count: int | None = await self.pool.fetchval("select notes from tally where case_id = $1", case)
        return count

    async def kept(self, case: UUID) -> list[str]:
        rows = await self.pool.fetch("select why from kept where case_id = $1 order by why", case)
        return [row[0] for row in rows]


def places(loaded: Loaded) -> list[tuple[int, int]]:
    """Publisher and sequence of each event in the order of the fold."""
    return [(event.publisher, event.sequence) for event in loaded.events]


def cases() -> Iterator[UUID]:
    """As many new cases as anybody asks for."""
    while True:
        yield fresh_id()
