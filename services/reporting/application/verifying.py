"""Verification of the whole log: both topics from the beginning to the end noted at the start, against the ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

from services.reporting.application.judging import Judge
from services.reporting.domain.findings import (
    Altered,
    Kept,
    Kind,
    Where,
    about_partition,
    contradictions,
    swaps_named,
)
from services.reporting.domain.verification import Comparison, Entry, Link, Word
from shared.runtime.gate import Record

PATIENCE = 10.0
"""Seconds for which the ledger may still be reading what the topic already had when the verification began."""
MOST_STRANGERS = 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a partition held when the verification began: offsets from start up to, not including, end."""

    topic: str
    part: int
    start: int
    end: int


class TopicLog(Protocol):
    """The topics, read as anybody may read them."""

    async def stretches(self, topics: Sequence[str]) -> list[Stretch]:
        """Every partition with its present ends."""
        ...

    def read(self, stretch: Stretch) -> AsyncIterator[Sequence[Record]]:
        """The records of a stretch in order, in batches. Raises TimeoutError where they do not come."""
        ...


class LedgerBook(Protocol):
    """What the ledger wrote down."""

    async def top(self, topic: str, part: int) -> int:
        """One more than the last offset written down; 0 where there is none."""
        ...

    async def reached(self) -> Mapping[tuple[str, int], int]:
        """Up to where the ledger says that it has read each partition."""
        ...

    async def window(self, topic: str, part: int, low: int, high: int) -> tuple[list[Entry], list[Link]]:
        """Rows and links from low up to, not including, high, by offset."""
        ...

    async def outside(self, stretch: Stretch, top: int, most: int) -> tuple[int, list[Entry]]:
        """Rows below the stretch, or above it but below top: how many, and the first of them."""
        ...

    async def strangers(
        self, topic: str, parts: Sequence[int], most: int
    ) -> tuple[int, list[tuple[int, Entry]]]:
        """Rows of partitions that the topic does not have: how many, and the first with their partition."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is."""

    records: int
    of: int
    findings: int


Tell: TypeAlias = Callable[[Progress], Awaitable[None]]


@dataclass(slots=True)
class Result:
    """What a verification found. bytes are those of the topic's records."""

    records: int = 0
    bytes: int = 0
    events: int = 0
    cases: int = 0
    partitions: int = 0
    seconds: float = 0.0
    kept: Kept = field(default_factory=Kept)

    @property
    def holds(self) -> bool:
        return not self.kept.total

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        figures = ("records", "bytes", "events", "cases", "partitions", "seconds")
        return {
            "holds": self.holds,
            **{name: getattr(self, name) for name in figures},
            "findings_total": self.kept.total,
            "findings_by_kind": {str(kind): n for kind, n in sorted(self.kept.by_kind.items())},
            "findings": [asdict(found) | {"text": str(found)} for found in self.kept.findings],
        }


async def _untold(_: Progress) -> None:
    return


@dataclass(slots=True)
class Verification:
    """One run over some topics."""

    log: TopicLog
    ledger: LedgerBook
    tell: Tell = _untold
    ticks: Callable[[], float] = time.perf_counter
    patience: float = PATIENCE
    _result: Result = field(default_factory=Result)
    _altered: list[Altered] = field(default_factory=list)

    async def run(self, topics: Sequence[str]) -> Result:
        """Reads everything; raises what the log and the ledger raise where they cannot be read."""
        began = self.ticks()
        # The ledger's tops come first: whatever it had then, the topic must have had before.
        tops = {
            (stretch.topic, stretch.part): await self.ledger.top(stretch.topic, stretch.part)
            for stretch in await self.log.stretches(topics)
        }
        stretches = await self.log.stretches(topics)
        await self._ledger_has_read(stretches)
        whole = sum(stretch.end - stretch.start for stretch in stretches)
        for stretch in stretches:
            await self._partition(stretch, whole)
            await self._outside(stretch, tops[stretch.topic, stretch.part])
        for topic in topics:
            await self._strangers(topic, [stretch.part for stretch in stretches if stretch.topic == topic])
        for found in swaps_named(self._altered):
            self._result.kept.add(found)
        self._result.partitions, self._result.seconds = len(stretches), self.ticks() - began
        return self._result

    async def _ledger_has_read(self, stretches: Sequence[Stretch]) -> None:
        """Waits a while for a ledger that is behind; says so where it stays behind."""
        until = self.ticks() + self.patience
        while True:
            reached = await self.ledger.reached()
            behind = [one for one in stretches if reached.get((one.topic, one.part), 0) < one.end]
            if not behind or self.ticks() > until:
                break
            await asyncio.sleep(0.05)
        for one in behind:
            at = reached.get((one.topic, one.part), 0)
            detail = f"the ledger has read up to {at}, the topic ends at {one.end}"
            self._result.kept.add(about_partition(Kind.LEDGER_BEHIND, Where(one.topic, one.part), detail))

    async def _partition(self, stretch: Stretch, whole: int) -> None:
        judge, comparison, low = Judge(), Comparison(stretch.topic, stretch.part), stretch.start
        async for records in self.log.read(stretch):
            high = records[-1].offset + 1
            rows, links = await self.ledger.window(stretch.topic, stretch.part, low, high)
            self._compare(judge, comparison, records, rows, links)
            low = high
            so_far = self._result.kept.total + comparison.total
            await self.tell(Progress(self._result.records, whole, so_far))
        rows, links = await self.ledger.window(stretch.topic, stretch.part, low, stretch.end)
        comparison.window([], [], rows, links)
        comparison.finish()
        self._result.cases += comparison.cases
        self._altered += comparison.altered
        for found in comparison.found:
            self._result.kept.add(found)
        self._result.kept.total += comparison.uncounted

    def _compare(
        self,
        judge: Judge,
        comparison: Comparison,
        records: Sequence[Record],
        rows: Sequence[Entry],
        links: Sequence[Link],
    ) -> None:
        entries, accepted = judge.judge(records)
        for record, entry in zip(records, entries, strict=True):
            self._result.bytes += len(record.value or b"")
            if entry.word == Word.ASIDE or record.key is None or record.value is None:
                continue
            if wrong := contradictions(record.key, record.headers, record.value):
                comparison.note(Kind.HEADERS_CONTRADICT, entry, f"the body has another {', '.join(wrong)}")
        comparison.window(entries, accepted, rows, links)
        self._result.records += len(records)
        self._result.events += len(accepted)

    async def _outside(self, stretch: Stretch, top: int) -> None:
        """What the ledger has where the topic has nothing: its head or its end was cut off."""
        total, rows = await self.ledger.outside(stretch, top, MOST_STRANGERS)
        if not total:
            return
        where = Where(stretch.topic, stretch.part)
        detail = (
            f"the topic holds offsets {stretch.start} to {stretch.end - 1}; the ledger has {total} records besides, "
            f"up to {top - 1}"
        )
        self._result.kept.add(about_partition(Kind.TOPIC_SHORTER, where, detail))
        comparison = Comparison(stretch.topic, stretch.part)
        for row in rows:
            comparison.note(Kind.INVENTED, row, "the ledger has a record that the topic no longer has")
        for found in comparison.found:
            self._result.kept.add(found)
        self._result.kept.total += total - len(rows)

    async def _strangers(self, topic: str, parts: Sequence[int]) -> None:
        total, rows = await self.ledger.strangers(topic, parts, MOST_STRANGERS)
        for part, row in rows:
            comparison = Comparison(topic, part)
            comparison.note(Kind.INVENTED, row, "the topic has no such partition")
            self._result.kept.add(comparison.found[0])
        self._result.kept.total += total - len(rows)
