"""The gate's word on every record of a partition, as every service, the ledger and the verifier come to it."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeAlias
from uuid import UUID

from services.reporting.domain.framing import packed
from services.reporting.domain.records import Accepted, Entry, Judged, Word
from shared.runtime.gate import NOTHING, Arrived, Aside, Key, Record, State, Verdict, accepted, arrived
from shared.schemas.base import PUBLISHERS

Place: TypeAlias = tuple[str, int, int]
"""topic, partition, offset"""
_SAME, _ID = 48, 16
"""The bytes by which the gate tells an event again: its id and the SHA-256 of its body."""


def words(verdict: Verdict) -> dict[Place, Word]:
    """The word on each record with a place in a case; what is not named was kept aside.

    A record that stands behind one that came later had to wait for it: it was held, in whatever batches it was read.
    """
    said: dict[Place, Word] = {}
    latest: dict[UUID, int] = {}
    for record in verdict.accepted:
        case, off = record.key[0], record.off
        word = Word.ACCEPTED
        if off < latest.get(case, -1):
            word = Word.HELD
        else:
            latest[case] = off
        said[record.topic, record.part, off] = word
    for records, word in (
        (verdict.held, Word.HELD),
        (verdict.duplicates, Word.DUPLICATE),
        (verdict.forks, Word.FORK),
    ):
        said.update(((record.topic, record.part, record.off), word) for record in records)
    return said


class Judge:
    """The gate over one partition from its beginning on, which remembers no more than the gate asks for."""

    def __init__(self) -> None:
        self._gates: dict[UUID, list[int]] = {}
        self._accepted: dict[UUID, dict[int, bytearray]] = {}
        self._refused: dict[Key, frozenset[bytes]] = {}
        self._waiting: dict[UUID, dict[Key, Arrived]] = {}
        self._names: dict[UUID, bytes] = {}

    def judge(self, records: Sequence[Record]) -> Judged:
        """The records with the gate's word on each, and the events accepted at them in accepted order."""
        places = [arrived(record) for record in records]
        same = {place.off: place.same() for place in places if isinstance(place, Arrived)}
        verdict = accepted(self._state(places), [place for place in places if isinstance(place, Arrived)])
        self._remember(verdict, same)
        said = words(verdict)
        headers = {record.offset: packed(record.headers) for record in records}
        entries, digests = [], []
        for record in records:
            topic, part, off, value = record.topic, record.partition, record.offset, record.value
            word = said.get((topic, part, off), Word.ASIDE)
            entries.append(Entry(off, record.key, headers[off], word, value))
            digests.append(same[off][_ID:] if off in same else sha256(value or b"").digest())
        return Judged(entries, digests, [self._placed(one, headers) for one in verdict.accepted])

    def _placed(self, record: Arrived, headers: dict[int, bytes]) -> Accepted:
        case, off = record.key[0], record.off
        name = self._names.get(case)
        if name is None:
            name = self._names[case] = str(case).encode()
        return Accepted(off, name, headers[off] if off in headers else _headers(record), record.body)

    def _state(self, places: Sequence[Arrived | Aside]) -> State:
        gates: dict[UUID, Sequence[int]] = {}
        known: dict[Key, bytes] = {}
        waiting: list[Arrived] = []
        for record in places:
            if isinstance(record, Aside):
                continue
            case, publisher, sequence = record.key
            gate = self._gates.get(case)
            if gate is None:
                continue
            if case not in gates:
                gates[case] = gate
                if self._waiting:
                    waiting += self._waiting.get(case, {}).values()
            if sequence <= gate[publisher]:
                at = _SAME * (sequence - 1)
                known[record.key] = bytes(self._accepted[case][publisher][at : at + _SAME])
        return State(gates, known, self._refused, waiting)

    def _remember(self, verdict: Verdict, same: dict[int, bytes]) -> None:
        self._gates.update(verdict.gates)
        for record in verdict.accepted:
            case, publisher, _ = record.key
            kept = self._accepted.get(case)
            if kept is None:
                kept = self._accepted[case] = {}
            this = same.get(record.off) or record.same()
            if publisher in kept:
                kept[publisher] += this
            else:
                kept[publisher] = bytearray(this)
        for record in verdict.forks:
            self._refused[record.key] = self._refused.get(record.key, frozenset()) | {record.same()}
        for record in verdict.held:
            self._gates.setdefault(record.key[0], list(NOTHING))
            self._waiting.setdefault(record.key[0], {})[record.key] = record
        for record in verdict.released:
            del self._waiting[record.key[0]][record.key]


def _headers(record: Arrived) -> bytes:
    """What a record said that was held and whose own headers are no longer at hand."""
    _, publisher, sequence = record.key
    said = {
        "ce_type": record.type.encode(),
        "ce_id": str(record.id).encode(),
        "ce_source": PUBLISHERS[publisher].encode(),
        "ce_sequence": str(sequence).encode(),
    }
    return packed(list(said.items()))
