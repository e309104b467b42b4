"""How things are measured: by turns on one machine, the first round thrown away, medians with their spread."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import TypeAlias

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Run:
    """How many things were done in how many seconds, and how many of them this process itself was busy."""

    count: int
    wall: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.count / self.wall

    @property
    def busy(self) -> float:
        return self.cpu / self.wall


Contender: TypeAlias = Callable[[], Awaitable[Run]]
"""Prepares what it needs, then does its work once under `timed` or `writing`."""


async def timed(work: Awaitable[int]) -> Run:
    """Work that answers how many things it did."""
    cpu, began = process_time(), perf_counter()
    count = await work
    return Run(count, perf_counter() - began, process_time() - cpu)


async def writing(writers: int, seconds: float, jobs: Iterator[Awaitable[object]]) -> Run:
    """So many writers, each with one job at a time, until the time is over or there are no more jobs."""
    done, end = 0, perf_counter() + seconds

    async def write() -> None:
        nonlocal done
        for job in jobs:
            await job
            done += 1
            if perf_counter() > end:
                return

    async def all_of_them() -> int:
        await asyncio.gather(*(write() for _ in range(writers)))
        return done

    return await timed(all_of_them())


async def by_turns(*contenders: Contender) -> list[list[Run]]:
    """The runs of each. They alternate, so that whatever else the machine does meets them alike."""
    runs: list[list[Run]] = [[] for _ in contenders]
    for turn in range(ROUNDS + 1):
        for contender, its in zip(contenders, runs, strict=True):
            run = await contender()
            if turn:
                its.append(run)
    return runs


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured thing beside its floor, one value a round. goal is the least ratio, most the largest value of ours.

    In milliseconds less is better; in everything else, which is done in a second, more.
    """

    what: str
    unit: str
    floor: Sequence[float]
    ours: Sequence[float]
    goal: float | None = None
    most: float | None = None
    busy: tuple[float, float] | None = None

    @property
    def ratios(self) -> list[float]:
        """How near ours comes to the floor, round by round: 1 is as fast."""
        pairs = zip(self.floor, self.ours, strict=True)
        return [floor / ours if self.unit == "ms" else ours / floor for floor, ours in pairs]

    @property
    def reached(self) -> bool | None:
        if self.most is not None:
            return median(self.ours) <= self.most
        return None if self.goal is None else median(self.ratios) >= self.goal


def rates(
    what: str, unit: str, floor: Sequence[Run], ours: Sequence[Run], *, goal: float | None = None
) -> Figure:
    """A figure of things done in a second."""
    busy = median(run.busy for run in floor), median(run.busy for run in ours)
    return Figure(what, unit, [run.rate for run in floor], [run.rate for run in ours], goal, busy=busy)


@dataclass(frozen=True, slots=True)
class Section:
    """What one section found, and what a reader has to know to understand it."""

    figures: Sequence[Figure]
    notes: Sequence[str] = ()
