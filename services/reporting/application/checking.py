"""One partition of the log against the ledger, from its beginning to the end that was noted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from services.reporting.application.judging import Judge
from services.reporting.domain.findings import Altered, Finding, Kind, contradictions
from services.reporting.domain.records import Entry, Judged, Link, Word
from services.reporting.domain.verification import Comparison
from shared.runtime.gate import Record


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a partition held when the verification began: offsets from start up to, not including, end."""

    topic: str
    part: int
    start: int
    end: int


class Records(Protocol):
    """A topic, read as anybody may read it."""

    def read(self, stretch: Stretch) -> AsyncIterator[Sequence[Record]]:
        """The records of a stretch in order, in batches. Raises TimeoutError where they do not come."""
        ...


class Rows(Protocol):
    """What the ledger wrote down of a range of offsets: from low up to, not including, high."""

    async def digest(self, topic: str, part: int, low: int, high: int) -> bytes:
        """domain.digest of rows and links."""
        ...

    async def window(self, topic: str, part: int, low: int, high: int) -> tuple[list[Entry], list[Link]]:
        """Rows and links, by offset."""
        ...


@dataclass(slots=True)
class Checked:
    """What was found in a partition. singly: records of ranges that one digest did not settle."""

    topic: str
    part: int
    records: int = 0
    singly: int = 0
    bytes: int = 0
    events: int = 0
    cases: int = 0
    found: list[Finding] = field(default_factory=list)
    altered: list[Altered] = field(default_factory=list)
    uncounted: int = 0

    @property
    def findings(self) -> int:
        return len(self.found) + len(self.altered) + self.uncounted


Tell: TypeAlias = Callable[[int, int], Awaitable[None]]
"""Told so many more records, so many more findings."""


@dataclass(slots=True)
class Check:
    """The work on one partition."""

    log: Records
    ledger: Rows
    stretch: Stretch
    tell: Tell
    _judge: Judge = field(default_factory=Judge)

    async def run(self) -> Checked:
        """Raises what the log and the ledger raise where they cannot be read."""
        topic, part, low = self.stretch.topic, self.stretch.part, self.stretch.start
        checked, comparison = Checked(topic, part), Comparison(topic, part)
        told = 0
        async for records in self.log.read(self.stretch):
            high = records[-1].offset + 1
            digest = asyncio.create_task(self.ledger.digest(topic, part, low, high))
            await asyncio.sleep(0)  # the question is on its way while we compute our own answer
            judged = self._judge.judge(records)
            _check_headers(checked, comparison, records, judged)
            await self._compare(checked, comparison, judged, (low, high), await digest)
            await self.tell(len(records), comparison.total - told)
            low, told = high, comparison.total
        rest = low, self.stretch.end
        digest_of_rest = await self.ledger.digest(topic, part, *rest)
        await self._compare(checked, comparison, Judged((), (), ()), rest, digest_of_rest)
        comparison.finish()
        checked.cases = comparison.cases
        checked.found, checked.altered = comparison.found, comparison.altered
        checked.uncounted = comparison.uncounted
        return checked

    async def _compare(
        self,
        checked: Checked,
        comparison: Comparison,
        judged: Judged,
        window: tuple[int, int],
        digest: bytes,
    ) -> None:
        """By one digest where that is enough, else row by row."""
        checked.records += len(judged.records)
        checked.events += len(judged.accepted)
        if not comparison.agrees(judged, digest):
            rows, links = await self.ledger.window(comparison.topic, comparison.part, *window)
            comparison.window(judged, rows, links)
            checked.singly += len(judged.records)


def _check_headers(
    checked: Checked, comparison: Comparison, records: Sequence[Record], judged: Judged
) -> None:
    for record, entry in zip(records, judged.records, strict=True):
        checked.bytes += len(record.value or b"")
        if entry.word is Word.ASIDE or record.key is None or record.value is None:
            continue
        if wrong := contradictions(record.key, record.headers, record.value):
            comparison.note(Kind.HEADERS_CONTRADICT, entry, f"the body has another {', '.join(wrong)}")
