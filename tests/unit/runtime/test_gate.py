"""The gate: however a log is cut into batches, repeated, mixed or forged, every reader ends with the same order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.gate import NOTHING, Arrived, Aside, Key, State, Verdict, accepted, arrived
from shared.schemas.base import PUBLISHERS
from shared.schemas.envelope import headers

CASES = [UUID(int=number) for number in (1, 2, 3)]


def event(key: Key, other: int = 0) -> Arrived:
    """The event of a key; other makes one that claims the same place."""
    made = uuid5(key[0], f"{key[1]}:{key[2]}:{other}")
    return Arrived(key, made, "intake.x.v1", "log.cases", 0, 0, str(made).encode())


@dataclass
class Reader:
    """Carries from batch to batch what a database keeps."""

    gates: dict[UUID, list[int]] = field(default_factory=dict)
    known: dict[Key, bytes] = field(default_factory=dict)
    refused: dict[Key, frozenset[bytes]] = field(default_factory=dict)
    waiting: dict[Key, Arrived] = field(default_factory=dict)
    accepted: list[Arrived] = field(default_factory=list)
    duplicates: list[Arrived] = field(default_factory=list)
    forks: list[Arrived] = field(default_factory=list)

    def read(self, batch: Sequence[Arrived]) -> Verdict:
        asked = {record.key for record in batch}
        state = State(
            {record.key[0]: self.gates[record.key[0]] for record in batch if record.key[0] in self.gates},
            {key: same for key, same in self.known.items() if key in asked},
            {key: those for key, those in self.refused.items() if key in asked},
            list(self.waiting.values()),
        )
        verdict = accepted(state, batch)
        self.gates |= verdict.gates
        self.known |= {record.key: record.same() for record in verdict.accepted}
        for record in verdict.forks:
            self.refused[record.key] = self.refused.get(record.key, frozenset()) | {record.same()}
        self.waiting |= {record.key: record for record in verdict.held}
        for record in verdict.released:
            del self.waiting[record.key]
        self.accepted += verdict.accepted
        self.duplicates += verdict.duplicates
        self.forks += verdict.forks
        return verdict

    def order(self) -> list[Key]:
        return [record.key for record in self.accepted]


def read(records: Sequence[Arrived], cuts: Iterable[int] = ()) -> Reader:
    """A reader that got the records in batches that end at the cuts."""
    edges = [0, *sorted({cut % (len(records) + 1) for cut in cuts}), len(records)]
    reader = Reader()
    for start, end in zip(edges, edges[1:], strict=False):
        reader.read(records[start:end])
    return reader


@st.composite
def logs(draw: st.DrawFn) -> list[Arrived]:
    """Any interleaving of the publishers' gapless sequences."""
    last: dict[tuple[UUID, int], int] = {}
    log = []
    lanes = st.tuples(st.sampled_from(CASES), st.integers(0, len(PUBLISHERS) - 1))
    for lane in draw(st.lists(lanes, max_size=25)):
        last[lane] = last.get(lane, 0) + 1
        log.append(event((*lane, last[lane])))
    return log


cuts = st.lists(st.integers(0, 200), max_size=6)


@given(logs(), cuts)
def test_a_gapless_log_is_accepted_as_it_stands_however_it_is_cut(log: list[Arrived], at: list[int]) -> None:
    reader = read(log, at)
    assert reader.accepted == log
    assert (reader.duplicates, reader.forks, reader.waiting) == ([], [], {})


@given(st.data(), logs(), cuts)
def test_pieces_sent_again_are_duplicates_and_nothing_else(
    data: st.DataObject, log: list[Arrived], at: list[int]
) -> None:
    again = list(log)
    for _ in range(data.draw(st.integers(0, 4))):
        start, size = data.draw(st.integers(0, len(log))), data.draw(st.integers(0, 6))
        piece = log[start : start + size]
        behind = max((place + 1 for place, one in enumerate(again) if one in piece), default=0)
        where = data.draw(st.integers(behind, len(again)))
        again[where:where] = piece
    reader = read(again, at)
    assert reader.accepted == log
    assert len(reader.duplicates) == len(again) - len(log)
    assert (reader.forks, reader.waiting) == ([], {})


@given(st.data(), logs(), cuts, cuts)
def test_any_order_is_mended_and_batches_make_no_difference(
    data: st.DataObject, log: list[Arrived], one: list[int], other: list[int]
) -> None:
    mixed = data.draw(st.permutations(log))
    first, second = read(mixed, one), read(mixed, other)
    assert first.accepted == second.accepted
    assert sorted(first.order()) == sorted(record.key for record in log)
    assert not first.waiting
    for case in CASES:
        for publisher in range(len(PUBLISHERS)):
            mine = [key[2] for key in first.order() if key[:2] == (case, publisher)]
            assert mine == list(range(1, first.gates.get(case, list(NOTHING))[publisher] + 1))


@given(st.data(), logs().filter(bool), cuts)
def test_what_follows_a_missing_event_is_held_and_then_stands_behind_it(
    data: st.DataObject, log: list[Arrived], at: list[int]
) -> None:
    lost = data.draw(st.sampled_from(log))
    reader = read([record for record in log if record is not lost], at)
    behind = [record for record in log if record.key[:2] == lost.key[:2] and record.key[2] > lost.key[2]]
    assert sorted(reader.waiting) == [record.key for record in behind]
    verdict = reader.read([lost])
    assert verdict.accepted == [lost, *behind]
    assert [record.key for record in verdict.released] == [record.key for record in behind]
    assert not reader.waiting


@given(st.data(), logs().filter(bool), cuts)
def test_a_fork_is_found_wherever_it_stands_once_and_the_first_one_stays(
    data: st.DataObject, log: list[Arrived], at: list[int]
) -> None:
    victim = data.draw(st.integers(0, len(log) - 1))
    forged = event(log[victim].key, other=1)
    places = [data.draw(st.integers(victim + 1, len(log))) for _ in range(2)]
    mixed = list(log)
    for place in sorted(places, reverse=True):
        mixed.insert(place, forged)
    reader = read(mixed, at)
    assert reader.accepted == log
    assert (reader.forks, reader.duplicates) == ([forged], [forged])


@given(logs(), cuts)
def test_order_tells_accepted_and_forked_records_as_they_came_about(
    log: list[Arrived], at: list[int]
) -> None:
    mixed = [one for record in log for one in (record, event(record.key, other=1))]
    verdict = Reader().read(mixed)
    assert verdict.order == [
        pair for record in log for pair in ((record, True), (event(record.key, 1), False))
    ]


def test_another_record_under_a_held_sequence_is_a_fork() -> None:
    held, other = event((CASES[0], 0, 2)), event((CASES[0], 0, 2), other=1)
    reader = read([held, other, held])
    assert (reader.forks, reader.duplicates) == ([other], [held])
    assert reader.read([event((CASES[0], 0, 1))]).accepted[-1] == held


def test_the_same_id_with_other_bytes_is_a_fork() -> None:
    first = event((CASES[0], 2, 1))
    changed = replace(first, body=b"changed")
    reader = read([first])
    assert reader.read([first, changed]).forks == [changed]


@dataclass
class Raw:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def raw(**changed: object) -> Raw:
    case = UUID("01900000-0000-7000-8000-0000000000ca")
    said = headers("intake.complaint-received.v1", UUID(int=7), "intake", 3)
    return replace(
        Raw("log.cases", 1, 9, str(case).encode(), b'{"subject":"%s"}' % str(case).encode(), said),
        **changed,  # type: ignore[arg-type]
    )


def with_header(name: str, value: bytes | None) -> Raw:
    return raw(headers=[(one, value if one == name else old) for one, old in raw().headers])


def test_a_record_is_read_from_its_key_and_headers() -> None:
    place = arrived(raw())
    assert isinstance(place, Arrived)
    assert (place.key[1:], place.id, place.part, place.off) == ((0, 3), UUID(int=7), 1, 9)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (raw(key=None), "no key"),
        (raw(value=None), "no value"),
        (raw(key=b"\xff\xfe"), "key or headers unreadable"),
        (raw(key=b"7"), "key or headers unreadable"),
        (raw(headers=[]), "key or headers unreadable"),
        (raw(key=b"01900000-0000-7000-8000-0000000000CA"), "as everybody writes it"),
        (raw(key=b"{01900000-0000-7000-8000-0000000000ca}"), "key or headers unreadable"),
        (raw(key=b"01900000-0000-7000-8000-0000000000cb"), "key is not the subject"),
        (raw(topic="log.management"), "belongs to another topic"),
        (with_header("ce_source", b"/services/unknown"), "key or headers unreadable"),
        (with_header("ce_source", b"/services/processing"), "not the publisher of the type"),
        (with_header("ce_sequence", b"0"), "sequence out of range"),
        (with_header("ce_sequence", b"-1"), "sequence out of range"),
        (with_header("ce_sequence", b"2147483648"), "sequence out of range"),
        (with_header("ce_sequence", b"one"), "key or headers unreadable"),
        (with_header("ce_type", b"intake.\0"), "type is no name"),
        (with_header("ce_id", b"none"), "key or headers unreadable"),
        (with_header("ce_type", b"\xff"), "key or headers unreadable"),
        *(
            (with_header(name, None), "key or headers unreadable")
            for name in ("ce_type", "ce_id", "ce_sequence")
        ),
    ],
)
def test_a_record_without_a_readable_place_is_set_aside_whole_with_the_reason(record: Raw, why: str) -> None:
    place = arrived(record)
    assert isinstance(place, Aside)
    assert why in place.why
    assert (place.topic, place.part, place.off) == (record.topic, 1, 9)
    assert (place.key, place.body) == (record.key, record.value)
