"""Whether the ledger says what the topic says: record by record, and along the chain of each case.

One partition at a time, in windows of offsets. Nothing is kept but the ends of the chains and what is wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from services.reporting.domain.chain import following, genesis
from services.reporting.domain.digest import digest_of
from services.reporting.domain.findings import Altered, Finding, Kind, Where, finding
from services.reporting.domain.records import Accepted, Entry, Judged, Link, Word

MOST = 1000
"""Findings of one partition that are kept whole; beyond that only their number is."""


@dataclass(slots=True)
class _Thread:
    """A case's chain as the topic has it and, once the ledger differs, as the ledger's own bytes would have it."""

    hash: bytes
    n: int = 0
    ledger_hash: bytes | None = None
    ledger_n: int = 0
    lost: int = 0
    told: tuple[Kind, ...] = ()


@dataclass(slots=True)
class _Lost:
    """An event that the ledger lacks: which one of its case."""

    finding: Finding
    case: bytes
    n: int


@dataclass(slots=True)
class Comparison:
    """One partition's ledger against its topic; window by window, then finish."""

    topic: str
    part: int
    found: list[Finding] = field(default_factory=list)
    altered: list[Altered] = field(default_factory=list)
    uncounted: int = 0
    _threads: dict[bytes, _Thread] = field(default_factory=dict)
    _links: dict[int, Link] = field(default_factory=dict)
    _held: dict[int, Entry] = field(default_factory=dict)
    _other: dict[int, bytes | None] = field(default_factory=dict)
    _lost: list[_Lost] = field(default_factory=list)

    def agrees(self, judged: Judged, digest: bytes) -> bool:
        """Whether the ledger has exactly this, by the digest of its rows and links; if so, the window is done.

        A record that was held has its link only later, so where one comes or goes the answer is no.
        """
        if any(record.word is Word.HELD for record in judged.records):
            return False
        followed = self._ends(judged)
        if followed is None:
            return False
        links, ends = followed
        if digest_of(judged.records, judged.digests, links) != digest:
            return False
        for case, link in ends.items():
            thread = self._thread(case)
            thread.n, thread.hash = link.n, link.hash
        return True

    def window(self, judged: Judged, rows: Sequence[Entry], links: Iterable[Link]) -> None:
        """The same with the ledger's rows and links at hand, so that whatever differs is named."""
        self._compare(judged.records, {row.off: row for row in rows})
        for link in links:
            if self._links.setdefault(link.off, link) is not link:
                self._invented_link(link)
        for event in judged.accepted:
            self._follow(event)
        self._other = {off: body for off, body in self._other.items() if off in self._held}
        for off in [off for off in self._links if off not in self._held]:
            self._invented_link(self._links.pop(off))

    def finish(self) -> None:
        """What can be said only at the end of the partition."""
        for link in self._links.values():
            self._invented_link(link)
        for off, record in self._held.items():
            if self._other.get(off, b"") is None:
                self.note(Kind.MISSING, record, "the ledger lacks this record (held)")
        for lost in self._lost:
            thread = self._threads[lost.case]
            self._note(replace(lost.finding, detail=_place(lost.n, thread)))

    def note(self, kind: Kind, entry: Entry, detail: str) -> None:
        """A finding about a record."""
        self._note(finding(kind, self._at(entry.off), entry.key, entry.headers, detail))

    @property
    def total(self) -> int:
        return len(self.found) + len(self.altered) + self.uncounted

    @property
    def cases(self) -> int:
        return len(self._threads)

    def _at(self, off: int) -> Where:
        return Where(self.topic, self.part, off)

    def _note(self, found: Finding) -> None:
        if len(self.found) < MOST:
            self.found.append(found)
        else:
            self.uncounted += 1

    def _thread(self, case: bytes) -> _Thread:
        thread = self._threads.get(case)
        if thread is None:
            thread = self._threads[case] = _Thread(genesis(self.topic, case))
        return thread

    def _ends(self, judged: Judged) -> tuple[dict[int, Link], dict[bytes, Link]] | None:
        """The links that an honest ledger has of the window, and the last one of each case; None if it cannot tell."""
        links: dict[int, Link] = {}
        ends: dict[bytes, Link] = {}
        low = judged.records[0].off if judged.records else 0
        for off, case, _, body in judged.accepted:
            if (end := ends.get(case)) is not None:
                n, before = end.n, end.hash
            elif (thread := self._threads.get(case)) is None:
                n, before = 0, genesis(self.topic, case)
            elif thread.ledger_hash is None:
                n, before = thread.n, thread.hash
            else:
                return None
            if off < low:
                return None
            links[off] = ends[case] = Link(off, case, n + 1, following(before, body))
        return links, ends

    def _compare(self, records: Sequence[Entry], rows: dict[int, Entry]) -> None:
        for record in records:
            row = rows.pop(record.off, None)
            if record.word == Word.HELD:
                self._held[record.off] = record
            if row == record:
                continue
            if row is None:
                self._other[record.off] = None
                if record.word not in (Word.ACCEPTED, Word.HELD):
                    self.note(Kind.MISSING, record, f"the ledger lacks this record ({record.word})")
            else:
                self._differs(record, row)
        for row in rows.values():
            self.note(Kind.INVENTED, row, "the ledger has a record that the topic lacks")

    def _differs(self, record: Entry, row: Entry) -> None:
        if row.body != record.body:
            self._other[record.off] = row.body or b""
        what = [name for name in ("body", "key", "headers") if getattr(row, name) != getattr(record, name)]
        if not what:
            self.note(Kind.OTHER_VERDICT, record, f"the ledger says {row.word}, the gate says {record.word}")
            return
        detail = f"the ledger has another {' and '.join(what)}{_first_difference(record.body, row.body)}"
        found = finding(Kind.ALTERED, self._at(record.off), record.key, record.headers, detail)
        if len(self.altered) < MOST:
            self.altered.append(Altered(found, _digest(record.body), _digest(row.body)))
        else:
            self.uncounted += 1

    def _follow(self, event: Accepted) -> None:
        thread = self._thread(event.case)
        before = thread.hash
        thread.n += 1
        thread.hash = following(before, event.body)
        self._held.pop(event.off, None)
        is_lost = False
        if thread.ledger_hash is not None or event.off in self._other:
            is_lost = self._follow_ledger(thread, event, before)
        link = self._links.pop(event.off, None)
        if link is None or (link.n, link.hash, link.case) != (thread.n, thread.hash, event.case):
            self._wrong_link(thread, event, link, is_lost)

    def _follow_ledger(self, thread: _Thread, event: Accepted, before: bytes) -> bool:
        """Chains what the ledger has instead; answers whether it has nothing."""
        if thread.ledger_hash is None:
            thread.ledger_hash, thread.ledger_n = before, thread.n - 1
        body = self._other.pop(event.off, event.body)
        if body is not None:
            thread.ledger_hash, thread.ledger_n = following(thread.ledger_hash, body), thread.ledger_n + 1
            return False
        thread.lost += 1
        found = finding(Kind.MISSING, self._at(event.off), event.case, event.headers, "")
        if len(self._lost) < MOST:
            self._lost.append(_Lost(found, event.case, thread.n))
        else:
            self.uncounted += 1
        return True

    def _wrong_link(self, thread: _Thread, event: Accepted, link: Link | None, is_lost: bool) -> None:
        """Each kind is told once a case: one broken link makes all that follow differ."""
        if link is None:
            if is_lost:
                return
            kind, detail = Kind.CHAIN_MISSING, f"the chain lacks link {thread.n} of the case"
        elif (link.n, link.hash) == (thread.ledger_n, thread.ledger_hash):
            kind = Kind.CHAIN_RECOMPUTED
            detail = f"from link {link.n} on the chain was computed anew over what the ledger has"
        else:
            kind, detail = Kind.CHAIN_BROKEN, f"link {link.n} of the chain is not that of event {thread.n}"
        if kind not in thread.told:
            thread.told += (kind,)
            self._note(finding(kind, self._at(event.off), event.case, event.headers, detail))

    def _invented_link(self, link: Link) -> None:
        detail = f"the chain has a link {link.n} for a record that was not accepted, or twice"
        self._note(finding(Kind.CHAIN_INVENTED, self._at(link.off), link.case, b"", detail))


def _place(n: int, thread: _Thread) -> str:
    if thread.lost == thread.n:
        return f"the ledger lacks the whole case; this is event {n} of {thread.n}"
    if n == thread.n:
        return f"the ledger lacks the last event of the case, number {n}"
    return f"the ledger lacks event {n} of {thread.n} of the case"


def _first_difference(topic: bytes | None, ledger: bytes | None) -> str:
    if topic is None or ledger is None or topic == ledger:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(topic, ledger, strict=False)) if a != b), None)
    return f", first at byte {min(len(topic), len(ledger)) if at is None else at}"


def _digest(body: bytes | None) -> str:
    return sha256(body or b"").hexdigest()
