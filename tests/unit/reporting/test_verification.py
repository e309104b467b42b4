"""Whatever is done to the ledger behind the service's back is found, with case, event and place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from uuid import UUID

import orjson
import pytest

from services.reporting.application.judging import Judge
from services.reporting.domain.chain import following, genesis
from services.reporting.domain.digest import digest_of
from services.reporting.domain.findings import Finding, Kind, contradictions, swaps_named
from services.reporting.domain.framing import packed, unpacked
from services.reporting.domain.records import Entry, Link, Word
from services.reporting.domain.verification import Comparison
from shared.schemas.envelope import headers

TOPIC = "complaints.cases"
ANNA = UUID("01900000-0000-7000-8000-00000000000a")
BERT = UUID("01900000-0000-7000-8000-00000000000b")


@dataclass(frozen=True)
class Published:
    """A record as the client hands it over."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    topic: str = TOPIC
    partition: int = 0


def event(offset: int, case: UUID, sequence: int, said: str = "") -> Published:
    event_id = UUID(int=int(sha256(f"{case}{sequence}{said}".encode()).hexdigest()[:30], 16))
    kind = "intake.complaint-registered.v1"
    body = {
        "id": event_id,
        "source": "/services/intake",
        "type": kind,
        "subject": case,
        "sequence": f"{sequence:010d}",
        "data": said,
    }
    return Published(
        offset, str(case).encode(), orjson.dumps(body), headers(kind, event_id, "intake", sequence)
    )


@dataclass
class Ledger:
    """What an honest witness wrote down, for a test to tamper with."""

    rows: dict[int, Entry] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def alter(self, off: int, body: bytes) -> None:
        self.rows[off] = self.rows[off]._replace(body=body)

    def drop(self, off: int) -> None:
        del self.rows[off]
        self.links = [link for link in self.links if link.off != off]

    def swap(self, one: int, other: int) -> None:
        a, b = self.rows[one], self.rows[other]
        self.rows[one], self.rows[other] = b._replace(off=one), a._replace(off=other)

    def chain_anew(self, case: UUID) -> None:
        """As a forger would who knows how the chain is made."""
        name, n = str(case).encode(), 0
        end = genesis(TOPIC, name)
        mine = [link.off for link in self.links if link.case == name]
        self.links = [link for link in self.links if link.case != name]
        for off in mine:
            body = self.rows[off].body
            assert body is not None
            n, end = n + 1, following(end, body)
            self.links.append(Link(off, name, n, end))


def witnessed(topic: Sequence[Published]) -> Ledger:
    judged = Judge().judge(topic)
    ledger = Ledger({entry.off: entry for entry in judged.records})
    ends: dict[bytes, tuple[int, bytes]] = {}
    for one in judged.accepted:
        n, before = ends.get(one.case, (0, genesis(TOPIC, one.case)))
        ends[one.case] = n + 1, following(before, one.body)
        ledger.links.append(Link(one.off, one.case, *ends[one.case]))
    return ledger


def digest(rows: Sequence[Entry], links: Sequence[Link]) -> bytes:
    """As the database computes it of what it has."""
    bodies = [sha256(row.body or b"").digest() for row in rows]
    strangers = b"".join(str(link).encode() for link in links if link.off not in {row.off for row in rows})
    return digest_of(rows, bodies, {link.off: link for link in links}) + strangers


def verified(topic: Sequence[Published], ledger: Ledger, at_once: int = 2) -> list[Finding]:
    """The comparison in windows of some records each, however they are cut."""
    comparison, judge, low = Comparison(TOPIC, 0), Judge(), 0
    for start in range(0, len(topic), at_once):
        batch = topic[start : start + at_once]
        high = batch[-1].offset + 1
        if start + at_once >= len(topic):
            high = max([high, *(off + 1 for off in ledger.rows)])
        rows = [ledger.rows[off] for off in sorted(ledger.rows) if low <= off < high]
        links = [link for link in ledger.links if low <= link.off < high]
        judged = judge.judge(batch)
        if not comparison.agrees(judged, digest(rows, links)):
            comparison.window(judged, rows, links)
        low = high
    comparison.finish()
    return [*comparison.found, *swaps_named(comparison.altered)]


def with_other(row: Entry, column: str, value: object) -> Entry:
    return Entry(**{**row._asdict(), column: value})


TALE = [
    event(0, ANNA, 1),
    event(1, BERT, 1),
    event(2, ANNA, 2, "late"),
    event(3, ANNA, 3),
    event(4, BERT, 2),
]
"""Three events of Anna's case and two of Bert's."""

IN_ANY_WINDOWS = pytest.mark.parametrize("at_once", [1, 2, 3, 10])


@IN_ANY_WINDOWS
def test_an_honest_ledger_has_no_findings(at_once: int) -> None:
    assert verified(TALE, witnessed(TALE), at_once) == []


@IN_ANY_WINDOWS
def test_duplicates_forks_held_and_aside_records_of_an_honest_ledger_are_no_findings(at_once: int) -> None:
    topic = [
        event(0, ANNA, 1),
        event(1, ANNA, 1),
        event(2, ANNA, 1, "forged"),
        event(3, ANNA, 3),
        replace(event(4, ANNA, 4), key=b"nobody"),
        event(6, ANNA, 2),
        event(9, ANNA, 5),
    ]
    ledger = witnessed(topic)

    assert verified(topic, ledger, at_once) == []
    words = [row.word for row in ledger.rows.values()]
    assert words == [
        Word.ACCEPTED,
        Word.DUPLICATE,
        Word.FORK,
        Word.HELD,
        Word.ASIDE,
        Word.ACCEPTED,
        Word.HELD,
    ]
    assert [link.off for link in ledger.links] == [0, 6, 3]


@IN_ANY_WINDOWS
def test_a_changed_byte_is_found_with_its_place_in_the_event(at_once: int) -> None:
    ledger = witnessed(TALE)
    body = ledger.rows[2].body
    assert body is not None
    at = body.index(b"late")
    ledger.alter(2, body.replace(b"late", b"Late"))

    (found,) = verified(TALE, ledger, at_once)

    assert (found.kind, found.partition, found.offset) == (Kind.ALTERED, 0, 2)
    assert (found.case, found.event) == (str(ANNA), "intake:2")
    assert found.detail == f"the ledger has another body, first at byte {at}"


@IN_ANY_WINDOWS
@pytest.mark.parametrize("column", ["key", "headers"])
def test_a_changed_key_or_header_is_found(column: str, at_once: int) -> None:
    ledger = witnessed(TALE)
    ledger.rows[2] = with_other(ledger.rows[2], column, b"[]")

    (found,) = verified(TALE, ledger, at_once)

    assert (found.kind, found.case, found.event, found.offset) == (Kind.ALTERED, str(ANNA), "intake:2", 2)
    assert found.detail == f"the ledger has another {column}"


@IN_ANY_WINDOWS
def test_a_changed_verdict_is_found(at_once: int) -> None:
    ledger = witnessed(TALE)
    ledger.rows[2] = ledger.rows[2]._replace(word=Word.FORK)

    (found,) = verified(TALE, ledger, at_once)

    assert (found.kind, found.event, found.offset) == (Kind.OTHER_VERDICT, "intake:2", 2)
    assert found.detail == "the ledger says fork, the gate says accepted"


@IN_ANY_WINDOWS
@pytest.mark.parametrize(
    ("offset", "name", "detail"),
    [
        (2, "intake:2", "the ledger lacks event 2 of 3 of the case"),
        (3, "intake:3", "the ledger lacks the last event of the case, number 3"),
    ],
)
def test_a_deleted_event_is_found_in_the_middle_and_at_the_end(
    offset: int, name: str, detail: str, at_once: int
) -> None:
    ledger = witnessed(TALE)
    ledger.drop(offset)

    (found,) = verified(TALE, ledger, at_once)

    assert (found.kind, found.case, found.event) == (Kind.MISSING, str(ANNA), name)
    assert (found.offset, found.detail) == (offset, detail)


@IN_ANY_WINDOWS
def test_a_deleted_case_is_found_event_by_event(at_once: int) -> None:
    ledger = witnessed(TALE)
    ledger.drop(1)
    ledger.drop(4)

    found = verified(TALE, ledger, at_once)

    assert [(one.kind, one.case, one.offset) for one in found] == [
        (Kind.MISSING, str(BERT), 1),
        (Kind.MISSING, str(BERT), 4),
    ]
    assert found[0].detail == "the ledger lacks the whole case; this is event 1 of 2"


@IN_ANY_WINDOWS
@pytest.mark.parametrize("word", ["duplicate", "fork", "held", "aside"])
def test_a_deleted_record_that_was_not_accepted_is_found(word: str, at_once: int) -> None:
    odd = {
        "duplicate": event(5, ANNA, 3),
        "fork": event(5, ANNA, 3, "forged"),
        "held": event(5, ANNA, 9),
        "aside": replace(event(5, ANNA, 4), key=None),
    }[word]
    topic = [*TALE, odd]
    ledger = witnessed(topic)
    ledger.drop(5)

    (found,) = verified(topic, ledger, at_once)

    assert (found.kind, found.offset) == (Kind.MISSING, 5)
    assert found.detail == f"the ledger lacks this record ({word})"


@IN_ANY_WINDOWS
@pytest.mark.parametrize(("one", "other"), [(0, 3), (2, 4)])
def test_two_swapped_records_are_found_and_each_names_the_other(one: int, other: int, at_once: int) -> None:
    ledger = witnessed(TALE)
    ledger.swap(one, other)

    found = verified(TALE, ledger, at_once)

    assert [(each.kind, each.offset) for each in found] == [(Kind.SWAPPED, one), (Kind.SWAPPED, other)]
    assert f"what stands at 0:{other}" in found[0].detail
    assert f"what stands at 0:{one}" in found[1].detail


@IN_ANY_WINDOWS
def test_swapped_bodies_alone_are_found_as_well(at_once: int) -> None:
    ledger = witnessed(TALE)
    a, b = ledger.rows[0].body, ledger.rows[3].body
    assert a is not None
    assert b is not None
    ledger.alter(0, b)
    ledger.alter(3, a)

    assert [(one.kind, one.offset) for one in verified(TALE, ledger, at_once)] == [
        (Kind.SWAPPED, 0),
        (Kind.SWAPPED, 3),
    ]


def _edited(ledger: Ledger) -> None:
    ledger.alter(2, b"{}")


def _deleted(ledger: Ledger) -> None:
    ledger.drop(2)


@IN_ANY_WINDOWS
@pytest.mark.parametrize(
    ("tamper", "kind", "recomputed_at"), [(_edited, Kind.ALTERED, 2), (_deleted, Kind.MISSING, 3)]
)
def test_a_chain_computed_anew_over_an_edit_or_a_deletion_is_found_beside_it(
    tamper: Callable[[Ledger], None], kind: Kind, recomputed_at: int, at_once: int
) -> None:
    ledger = witnessed(TALE)
    tamper(ledger)
    ledger.chain_anew(ANNA)

    found = sorted(verified(TALE, ledger, at_once), key=lambda one: one.kind)

    assert [(one.kind, one.case, one.offset) for one in found] == [
        *([(kind, str(ANNA), 2)] if kind is Kind.ALTERED else []),
        (Kind.CHAIN_RECOMPUTED, str(ANNA), recomputed_at),
        *([(kind, str(ANNA), 2)] if kind is Kind.MISSING else []),
    ]


@IN_ANY_WINDOWS
def test_a_changed_hash_is_found_at_its_event(at_once: int) -> None:
    ledger = witnessed(TALE)
    ledger.links = [
        link._replace(hash=bytes(32)) if (link.off, link.case) == (2, str(ANNA).encode()) else link
        for link in ledger.links
    ]

    (found,) = verified(TALE, ledger, at_once)

    assert (found.kind, found.event, found.offset) == (Kind.CHAIN_BROKEN, "intake:2", 2)


@IN_ANY_WINDOWS
def test_a_deleted_link_is_found(at_once: int) -> None:
    ledger = witnessed(TALE)
    ledger.links = [link for link in ledger.links if link.off != 2]

    (found,) = verified(TALE, ledger, at_once)

    assert (found.kind, found.event, found.offset) == (Kind.CHAIN_MISSING, "intake:2", 2)


@IN_ANY_WINDOWS
def test_a_link_to_a_record_that_was_not_accepted_is_found(at_once: int) -> None:
    topic = [*TALE, event(5, ANNA, 1)]
    ledger = witnessed(topic)
    ledger.links.append(Link(5, str(ANNA).encode(), 4, bytes(32)))

    (found,) = verified(topic, ledger, at_once)

    assert (found.kind, found.case, found.offset) == (Kind.CHAIN_INVENTED, str(ANNA), 5)


@IN_ANY_WINDOWS
def test_a_record_that_the_topic_lacks_is_found(at_once: int) -> None:
    topic = [one for one in TALE if one.offset != 2]
    ledger = witnessed(topic)
    forged = event(2, ANNA, 2, "never said")
    ledger.rows[2] = Entry(2, forged.key, packed(forged.headers), Word.ACCEPTED, forged.value)

    (found,) = verified(topic, ledger, at_once)

    assert (found.kind, found.case, found.event, found.offset) == (Kind.INVENTED, str(ANNA), "intake:2", 2)


def test_any_tampering_with_one_row_is_found() -> None:
    for off in range(len(TALE)):
        for column, value in [("key", b"x"), ("headers", b"[]"), ("word", Word.HELD), ("body", b"")]:
            ledger = witnessed(TALE)
            ledger.rows[off] = with_other(ledger.rows[off], column, value)
            assert [found.offset for found in verified(TALE, ledger)] == [off], (off, column)


def test_headers_that_say_otherwise_than_the_body_are_named() -> None:
    honest = event(0, ANNA, 1)
    assert honest.key is not None
    assert honest.value is not None
    said = [(name, it) for name, it in honest.headers if name != "ce_sequence"]

    assert contradictions(honest.key, honest.headers, honest.value) == []
    assert contradictions(honest.key, [*said, ("ce_sequence", b"0000000002")], honest.value) == ["sequence"]
    assert contradictions(str(BERT).encode(), honest.headers, honest.value) == ["subject"]
    assert contradictions(honest.key, honest.headers, b"no json") == ["body"]
    assert contradictions(honest.key, honest.headers, b"[]") == ["body"]


def test_packed_headers_keep_names_order_and_any_bytes() -> None:
    odd = [("a", b"\xff\x00"), ("b", None), ("a", b"2")]
    assert packed(odd) != packed([*odd[1:], odd[0]])
    assert unpacked(packed([("a", b"\xff\x00")])) == {"a": "\xff\x00"}
    assert unpacked(packed(odd[:2])) == {"a": "\xff\x00", "b": ""}


@pytest.mark.parametrize(
    "tampered", [b"[]", b"\x00\x00\x00\x09short", packed([("a", b"1")])[:-1], b"\x80\x00\x00\x00"]
)
def test_headers_that_were_tampered_with_are_told_as_such(tampered: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - zip says it in its own words
        unpacked(tampered)
