"""Verification of the whole log: both topics from the beginning to the end noted at the start, against the ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

from services.reporting.application.checking import Check, Checked, Records, Rows, Stretch
from services.reporting.application.checking import Tell as TellMore
from services.reporting.domain.findings import (
    Altered,
    Kept,
    Kind,
    Where,
    about_partition,
    finding,
    swaps_named,
)
from services.reporting.domain.records import Entry

PATIENCE = 10.0
"""Seconds for which the ledger may still be reading what the topic already had when the verification began."""
MOST_STRANGERS = 100
FEW = 20_000
"""So many records are checked here sooner than anybody else could begin."""


class TopicLog(Records, Protocol):
    """The topics with their present ends."""

    async def stretches(self, topics: Sequence[str]) -> list[Stretch]:
        """Every partition."""
        ...


class LedgerBook(Rows, Protocol):
    """The whole ledger."""

    async def top(self, topic: str, part: int) -> int:
        """One more than the last offset written down; 0 where there is none."""
        ...

    async def reached(self) -> Mapping[tuple[str, int], int]:
        """Up to where the ledger says that it has read each partition."""
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
Checker: TypeAlias = Callable[[Sequence[Stretch], TellMore], AsyncIterator[Checked]]
"""Checks partitions, in whatever order and however many at a time."""


@dataclass(slots=True)
class Result:
    """What a verification found. bytes are those of the topic's records; singly as in Checked."""

    records: int = 0
    singly: int = 0
    bytes: int = 0
    events: int = 0
    cases: int = 0
    partitions: int = 0
    seconds: float = 0.0
    kept: Kept = field(default_factory=Kept)

    @property
    def holds(self) -> bool:
        return not self.kept.total

    def add(self, checked: Checked) -> None:
        """One partition more; what is altered is told at the end, when it is known what was swapped."""
        for figure in ("records", "singly", "bytes", "events", "cases"):
            setattr(self, figure, getattr(self, figure) + getattr(checked, figure))
        self.partitions += 1
        for found in checked.found:
            self.kept.add(found)
        self.kept.total += checked.uncounted

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        figures = ("records", "singly", "bytes", "events", "cases", "partitions", "seconds")
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
    """One run over some topics. checker: who checks partitions if there is more to check than a few records."""

    log: TopicLog
    ledger: LedgerBook
    tell: Tell = _untold
    checker: Checker | None = None
    ticks: Callable[[], float] = time.perf_counter
    patience: float = PATIENCE
    few: int = FEW
    _result: Result = field(default_factory=Result)
    _altered: list[Altered] = field(default_factory=list)

    async def run(self, topics: Sequence[str]) -> Result:
        """Reads everything; raises what the log and the ledger raise where they cannot be read."""
        began, result = self.ticks(), self._result
        # The ledger's tops come first: whatever it had then, the topic must have had before.
        tops = {
            (stretch.topic, stretch.part): await self.ledger.top(stretch.topic, stretch.part)
            for stretch in await self.log.stretches(topics)
        }
        stretches = await self.log.stretches(topics)
        await self._ledger_has_read(stretches)
        await self._check(stretches)
        for stretch in stretches:
            await self._outside(stretch, tops[stretch.topic, stretch.part])
        for topic in topics:
            await self._strangers(topic, [stretch.part for stretch in stretches if stretch.topic == topic])
        for found in swaps_named(self._altered):
            result.kept.add(found)
        result.seconds = self.ticks() - began
        return result

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

    async def _check(self, stretches: Sequence[Stretch]) -> None:
        whole = sum(stretch.end - stretch.start for stretch in stretches)
        records = findings = 0

        async def tell_more(more_records: int, more_findings: int) -> None:
            nonlocal records, findings
            records, findings = records + more_records, findings + more_findings
            await self.tell(Progress(records, whole, findings))

        checker = self.checker if self.checker and whole > self.few else self._one_by_one
        async for checked in checker(stretches, tell_more):
            self._result.add(checked)
            self._altered += checked.altered

    async def _one_by_one(self, stretches: Sequence[Stretch], tell: TellMore) -> AsyncIterator[Checked]:
        for stretch in stretches:
            yield await Check(self.log, self.ledger, stretch, tell).run()

    async def _outside(self, stretch: Stretch, top: int) -> None:
        """What the ledger has where the topic has nothing: its head or its end was cut off."""
        total, rows = await self.ledger.outside(stretch, top, MOST_STRANGERS)
        if not total:
            return
        detail = (
            f"the topic holds offsets {stretch.start} to {stretch.end - 1};"
            f" the ledger has {total} records besides, up to {top - 1}"
        )
        where = Where(stretch.topic, stretch.part)
        self._result.kept.add(about_partition(Kind.TOPIC_SHORTER, where, detail))
        for row in rows:
            self._invented(stretch.topic, stretch.part, row, "the topic does not have this record any more")
        self._result.kept.total += total - len(rows)

    async def _strangers(self, topic: str, parts: Sequence[int]) -> None:
        total, rows = await self.ledger.strangers(topic, parts, MOST_STRANGERS)
        for part, row in rows:
            self._invented(topic, part, row, "the topic has no such partition")
        self._result.kept.total += total - len(rows)

    def _invented(self, topic: str, part: int, row: Entry, detail: str) -> None:
        where = Where(topic, part, row.off)
        self._result.kept.add(finding(Kind.INVENTED, where, row.key, row.headers, detail))
