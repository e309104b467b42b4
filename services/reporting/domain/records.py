"""Records of the log as topic and ledger have them, with the gate's word on each."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Word(StrEnum):
    """The gate's word on a record: held stays held when the record is released, aside has no place in any case."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    HELD = "held"
    FORK = "fork"
    ASIDE = "aside"


class Entry(NamedTuple):
    """A record as the topic or the ledger has it; headers packed."""

    off: int
    key: bytes | None
    headers: bytes
    word: str
    body: bytes | None


class Accepted(NamedTuple):
    """An event that took its place in a case; case is the canonical text of the complaint id."""

    off: int
    case: bytes
    headers: bytes
    body: bytes


class Judged(NamedTuple):
    """Records with the gate's word on each, the SHA-256 of each body, and what was accepted at them, in that order."""

    records: Sequence[Entry]
    digests: Sequence[bytes]
    accepted: Sequence[Accepted]


class Link(NamedTuple):
    """A row of the chain: the n-th event of a case stands at off, and this is the hash behind it."""

    off: int
    case: bytes
    n: int
    hash: bytes
