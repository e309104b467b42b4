"""Append: one event on an existing case, one command a transaction."""

import random
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from itertools import cycle
from uuid import UUID

from bench.corpus import OWNER, draft, histories, sealed
from bench.floors import inserts
from bench.measuring import Figure, Run, Section, by_turns, rates, writing
from bench.place import Place
from bench.seeding import seed
from shared.runtime.ids import fresh_id
from shared.runtime.store import Change, Loaded, PostgresCaseStore
from shared.schemas.codes import DecliningReason
from shared.schemas.envelope import Draft
from shared.schemas.processing import AssignmentDeclined

GOALS = {1: 0.6, 16: 0.4}
CASES = 4_000
"""Far more than writers, so that no two of them meet on one case."""


async def measure(place: Place) -> Section:
    size = len(_usual().body(1, "intake:3"))
    figures = [await _of(place, writers, goal) for writers, goal in GOALS.items()]
    return Section(figures, [f"an event of {size} B; the floor inserts the same bytes under a primary key"])


async def _of(place: Place, writers: int, goal: float) -> Figure:
    usual, present = _usual(), list(histories(CASES, (3,)))
    async with place.pool("processing", writers) as pool:
        store = PostgresCaseStore(pool, "processing")

        async def floor() -> Run:
            await place.empty("processing")
            return await writing(writers, place.seconds, inserts(pool, usual.body(1, "intake:3")))

        async def ours() -> Run:
            await place.empty("processing")
            cases = await seed(pool, present, "processing")
            await place.settle("processing")
            return await writing(writers, place.seconds, _appends(store, cases, usual))

        first, second = await by_turns(floor, ours)
    return rates(f"append, {_named(writers)}", "commands/s", first, second, goal=goal)


def _named(writers: int) -> str:
    return "1 writer" if writers == 1 else f"{writers} writers"


def _appends(
    store: PostgresCaseStore, cases: dict[UUID, Loaded], usual: Draft
) -> Iterator[Awaitable[object]]:
    for case in cycle(list(cases)):
        loaded = cases[case]
        cases[case] = replace(loaded, version=loaded.version + 1, own=loaded.own + 1)
        command = fresh_id()
        event = replace(usual, id=fresh_id(), subject=case, command=command, correlation=case)
        yield store.append(command, Change(loaded, [event]))


def _usual() -> Draft:
    remark = sealed(random.Random(1), 20)
    declined = AssignmentDeclined(owner=OWNER, reason=DecliningReason.OVERLOADED, remark=remark)
    return draft(UUID(int=1), declined)
