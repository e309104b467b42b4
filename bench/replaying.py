"""Replay: one case of fifty events among hundreds of thousands."""

import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from statistics import quantiles
from time import perf_counter
from uuid import UUID

from bench.corpus import histories
from bench.measuring import ROUNDS, Figure, Section
from bench.place import Place
from bench.receiving import SERVICE
from bench.seeding import seed
from services.reporting.domain.replay import steps
from shared.case import fold
from shared.runtime.store import PostgresCaseStore
from shared.schemas.envelope import read

LONG, LONG_CASES = 50, 300
SHORT, SHORT_CASES = 10, 20_000
MOST = 10.0
ASKED = 200
READ = "select body from events where case_id = $1"
Asking = Callable[[UUID], Awaitable[object]]


async def measure(place: Place) -> Section:
    async with place.pool(SERVICE, 1) as pool:
        await place.empty(SERVICE)
        short = histories(SHORT_CASES, (SHORT,))
        long = list(histories(LONG_CASES, (LONG,), seed=50))
        await seed(pool, chain(short, long), SERVICE)
        await place.settle(SERVICE)
        store = PostgresCaseStore(pool, SERVICE)

        async def present(case: UUID) -> object:
            loaded = await store.load(case)
            return fold(read(event.body) for event in loaded.events)

        async def replay(case: UUID) -> object:
            loaded = await store.load(case)
            return list(steps([read(event.body) for event in loaded.events]))

        ways: Sequence[Asking] = (lambda case: pool.fetch(READ, case), store.load, present, replay)
        read_once, loaded, folded, replayed = await _by_turns([history[0].case for history in long], ways)
    held = SHORT * SHORT_CASES + LONG * LONG_CASES
    return Section(
        [
            *_figures("load a case of 50 events", read_once, loaded, None),
            *_figures("load and fold it", read_once, folded, None),
            *_figures("load it and replay it step by step", read_once, replayed, MOST),
        ],
        [f"among {held:,} events; the floor is one indexed read of its bodies. The goal holds for HTTP"],
    )


Taken = tuple[list[float], list[float]]
"""Of each round the median and the 99th percentile, in milliseconds."""


async def _by_turns(cases: Sequence[UUID], ways: Sequence[Asking]) -> list[Taken]:
    rng = random.Random(7)
    taken: list[Taken] = [([], []) for _ in ways]
    for turn in range(ROUNDS + 1):
        asked = rng.choices(cases, k=ASKED)
        for way, (medians, tails) in zip(ways, taken, strict=True):
            cuts = quantiles([await _milliseconds(way, case) for case in asked], n=100)
            if turn:
                medians.append(cuts[49])
                tails.append(cuts[98])
    return taken


async def _milliseconds(way: Asking, case: UUID) -> float:
    began = perf_counter()
    await way(case)
    return 1_000 * (perf_counter() - began)


def _figures(what: str, floor: Taken, ours: Taken, most: float | None) -> list[Figure]:
    return [
        Figure(f"{what}, p50", "ms", floor[0], ours[0], most=most),
        Figure(f"{what}, p99", "ms", floor[1], ours[1]),
    ]
