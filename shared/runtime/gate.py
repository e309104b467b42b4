"""The gate of the log: which records of a topic count, in which order. Pure, and the same for every reader.

Per (publisher, case): the next sequence is accepted, and the first id per sequence is accepted for ever; the same
record again is a duplicate; another record under a sequence that is taken is a fork; a higher one is held until the
missing one stands. The gate sees headers and key, never the meaning of an event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol, TypeAlias
from uuid import UUID

from asyncpg.pgproto import pgproto

from shared.schemas.base import PUBLISHERS
from shared.schemas.catalogue import CATALOGUE
from shared.schemas.envelope import source_of

NOTHING = (0,) * len(PUBLISHERS)
Key: TypeAlias = tuple[UUID, int, int]
"""case, index of the publisher, sequence"""

_NUMBER = {source_of(name).encode(): number for number, name in enumerate(PUBLISHERS)}


class Record(Protocol):
    """A record as the client hands it over, undecoded."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record that names its place: which event of which case, and where in the topic it stands."""

    key: Key
    id: UUID
    type: str
    topic: str
    part: int
    off: int
    body: bytes

    def same(self) -> bytes:
        """Two records with one key are the same event exactly if this is equal."""
        return same(self.id, self.body)


@dataclass(frozen=True, slots=True)
class Aside:
    """A record without a readable place: kept whole by where it stands, with the reason."""

    why: str
    topic: str
    part: int
    off: int
    key: bytes | None
    body: bytes | None


def same(event_id: UUID, body: bytes) -> bytes:
    """The id and SHA-256 of an event's bytes: 48 bytes."""
    return event_id.bytes + sha256(body).digest()


def arrived(record: Record) -> Arrived | Aside:
    """The place that a record claims, by its key and headers."""
    try:
        return _arrived(record)
    except _NoPlace as missing:
        return Aside(str(missing), record.topic, record.partition, record.offset, record.key, record.value)


class _NoPlace(Exception):
    pass


def _arrived(record: Record) -> Arrived:
    if record.key is None or record.value is None:
        raise _NoPlace("no key" if record.key is None else "no value")
    said = dict(record.headers)
    try:
        # Equal to any other UUID, but made and hashed in a fraction of the time.
        case = pgproto.UUID(record.key.decode())
        event_type = said["ce_type"].decode()
        publisher = _NUMBER[said["ce_source"]]
        sequence, event_id = int(said["ce_sequence"]), pgproto.UUID(said["ce_id"].decode())
    except (KeyError, ValueError, TypeError, AttributeError) as error:  # a header may have no value at all
        raise _NoPlace(f"key or headers unreadable: {type(error).__name__}") from None
    if str(case).encode() != record.key:  # another spelling would lie in another partition
        raise _NoPlace("key is not a case id as everybody writes it")
    if not event_type.isascii() or not event_type.isprintable():
        raise _NoPlace("type is no name")
    if sequence < 1 or sequence > 2**31 - 1:
        raise _NoPlace("sequence out of range")
    if event_type.partition(".")[0] != PUBLISHERS[publisher]:
        raise _NoPlace("source is not the publisher of the type")
    if (entry := CATALOGUE.get(event_type)) and not record.topic.endswith("." + entry.topic):
        raise _NoPlace("the type belongs to another topic")
    if b'"subject":"' + record.key + b'"' not in record.value:
        raise _NoPlace("key is not the subject")
    return Arrived(
        (case, publisher, sequence),
        event_id,
        event_type,
        record.topic,
        record.partition,
        record.offset,
        record.value,
    )


@dataclass(slots=True)
class State:
    """What the gate knows of the cases that a batch touches.

    gates: last sequence accepted per publisher. known: what was accepted under a key at or below the gate (only keys
    that the batch asks for are looked up). refused: forks already kept. waiting: records held.
    """

    gates: Mapping[UUID, Sequence[int]] = field(default_factory=dict)
    known: Mapping[Key, bytes] = field(default_factory=dict)
    refused: Mapping[Key, frozenset[bytes]] = field(default_factory=dict)
    waiting: Iterable[Arrived] = ()


@dataclass(slots=True)
class Verdict:
    """accepted stands in accepted order, released ones behind what they waited for."""

    accepted: list[Arrived] = field(default_factory=list)
    duplicates: list[Arrived] = field(default_factory=list)
    held: list[Arrived] = field(default_factory=list)
    forks: list[Arrived] = field(default_factory=list)
    released: list[Arrived] = field(default_factory=list)
    order: list[tuple[Arrived, bool]] = field(default_factory=list)
    """accepted (True) and forked (False) records as they came about, for readers that stop at a fork"""
    gates: dict[UUID, list[int]] = field(default_factory=dict)


def accepted(state: State, records: Iterable[Arrived]) -> Verdict:
    """The gate's word on each record. Nothing but the state and the records counts, so all readers agree."""
    verdict = Verdict(gates={case: list(gate) for case, gate in state.gates.items()})
    before = {record.key: record for record in state.waiting}
    shelf = dict(before)
    now: dict[Key, Arrived] = {}
    refused: dict[Key, set[bytes]] = {}
    for record in records:
        case, publisher, sequence = record.key
        gate = verdict.gates.setdefault(case, list(NOTHING))
        if sequence <= gate[publisher] or record.key in shelf:
            there = shelf.get(record.key) or now.get(record.key)
            _again(
                verdict, record, there.same() if there else state.known[record.key], refused, state.refused
            )
        elif sequence > gate[publisher] + 1:
            shelf[record.key] = record
        else:
            _accept(verdict, record, gate, shelf, now)
    verdict.released = [record for key, record in before.items() if key not in shelf]
    verdict.held = [record for key, record in shelf.items() if key not in before]
    return verdict


def _again(
    verdict: Verdict,
    record: Arrived,
    there: bytes,
    refused: dict[Key, set[bytes]],
    refused_before: Mapping[Key, frozenset[bytes]],
) -> None:
    this = record.same()
    forks = refused.setdefault(record.key, set(refused_before.get(record.key, ())))
    if this == there or this in forks:
        verdict.duplicates.append(record)
        return
    forks.add(this)
    verdict.forks.append(record)
    verdict.order.append((record, False))


def _accept(
    verdict: Verdict, record: Arrived, gate: list[int], shelf: dict[Key, Arrived], now: dict[Key, Arrived]
) -> None:
    case, publisher, _ = record.key
    following: Arrived | None = record
    while following:
        verdict.accepted.append(following)
        verdict.order.append((following, True))
        now[following.key] = following
        gate[publisher] += 1
        following = shelf.pop((case, publisher, gate[publisher] + 1), None)
