"""The gate's word on every record of a partition, as every service, the ledger and the verifier come to it."""

from collections.abc import Sequence
from typing import TypeAlias
from uuid import UUID

from services.reporting.domain.chain import packed
from services.reporting.domain.verification import Accepted, Entry, Word
from shared.runtime.gate import NOTHING, Arrived, Aside, Key, Record, State, Verdict, accepted, arrived
from shared.schemas.base import PUBLISHERS

Place: TypeAlias = tuple[str, int, int]
"""topic, partition, offset"""
_SAME = 48
_ENTRY = tuple.__new__
"""A NamedTuple's own constructor costs three times as much, and a log has millions of records."""


def place(record: Arrived) -> Place:
    return record.topic, record.part, record.off


def words(verdict: Verdict) -> dict[Place, Word]:
    """The word on each record with a place in a case; what is not named was kept aside.

    A record that stands behind one that came later had to wait for it: it was held, in whatever batches it was read.
    """
    said: dict[Place, Word] = {}
    latest: dict[UUID, int] = {}
    for record in verdict.accepted:
        before = latest.get(record.key[0], -1)
        said[place(record)] = Word.HELD if record.off < before else Word.ACCEPTED
        latest[record.key[0]] = max(before, record.off)
    said.update((place(record), Word.HELD) for record in verdict.held)
    said.update((place(record), Word.DUPLICATE) for record in verdict.duplicates)
    said.update((place(record), Word.FORK) for record in verdict.forks)
    return said


class Judge:
    """The gate over one partition from its beginning on, which remembers no more than the gate asks for."""

    def __init__(self) -> None:
        self._gates: dict[UUID, list[int]] = {}
        self._accepted: dict[UUID, dict[int, bytearray]] = {}
        self._refused: dict[Key, frozenset[bytes]] = {}
        self._waiting: dict[UUID, dict[Key, Arrived]] = {}

    def judge(self, records: Sequence[Record]) -> tuple[list[Entry], list[Accepted]]:
        """The records with the gate's word on each, and the events accepted at them in accepted order."""
        places = [arrived(record) for record in records]
        verdict = accepted(self._state(places), [one for one in places if not isinstance(one, Aside)])
        self._remember(verdict)
        said = words(verdict)
        headers = {record.offset: packed(record.headers) for record in records}
        entries = [
            _ENTRY(
                Entry,
                (
                    record.offset,
                    record.key,
                    headers[record.offset],
                    said.get((record.topic, record.partition, record.offset), Word.ASIDE),
                    record.value,
                ),
            )
            for record in records
        ]
        return entries, [
            Accepted(one.off, str(one.key[0]).encode(), headers.get(one.off) or _headers(one), one.body)
            for one in verdict.accepted
        ]

    def _state(self, places: Sequence[Arrived | Aside]) -> State:
        state = State(gates={}, known={}, refused=self._refused, waiting=[])
        gates, known, waiting = dict[UUID, Sequence[int]](), dict[Key, bytes](), list[Arrived]()
        for record in places:
            if isinstance(record, Aside):
                continue
            case, publisher, sequence = record.key
            gate = self._gates.get(case)
            if gate is not None and case not in gates:
                gates[case] = gate
                waiting += self._waiting.get(case, {}).values()
            if gate is not None and sequence <= gate[publisher]:
                at = _SAME * (sequence - 1)
                known[record.key] = bytes(self._accepted[case][publisher][at : at + _SAME])
        state.gates, state.known, state.waiting = gates, known, waiting
        return state

    def _remember(self, verdict: Verdict) -> None:
        self._gates.update(verdict.gates)
        for record in verdict.accepted:
            case, publisher, _ = record.key
            kept = self._accepted.setdefault(case, {})
            kept.setdefault(publisher, bytearray()).extend(record.same())
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
