"""Releasing what is parked: try again from the accepted events, skip nothing, and never for a fork."""

import asyncio
from collections.abc import Sequence

from shared.runtime import parking
from shared.runtime.ids import fresh_id
from shared.runtime.projections import Projection
from shared.schemas.base import Recorded
from tests.integration.runtime.world import NOTES, TALLY, Tally, World, foreign
from tests.waiting import until


def fold_mended(rows: tuple[Tally, ...], events: Sequence[Recorded]) -> tuple[Tally, ...]:
    return (Tally(events[0].subject, (rows[0].notes if rows else 0) + len(events), events[-1].id),)


MENDED = Projection("tally", Tally, ("case_id",), fold_mended)


async def test_a_projection_whose_fold_was_mended_is_made_whole_again(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1, "poison"), foreign(case, "intake", 2))
    assert await world.tally(case) is None
    (shown,) = [one for one in await parking.listed(world.pool) if one["case"] == case]
    assert shown["projections"] == ["tally"]
    still = await parking.released(world.pool, [NOTES, TALLY], case)
    assert (still["released"], [one["projection"] for one in still["projections"]]) == (False, ["tally"])
    done = await parking.released(world.pool, [NOTES, MENDED], case, only="tally")
    assert done == {"case": case, "released": True, "why": None, "projections": []}
    assert await world.tally(case) == 2
    assert case not in [one["case"] for one in await parking.listed(world.pool)]


async def test_a_parked_case_is_folded_from_all_its_events_and_marked(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1))
    await world.pool.execute("update cases set parked = 'fold failed: KeyError' where id = $1", case)
    await world.receive(foreign(case, "intake", 2))
    await world.pool.execute("delete from marks where case_id = $1", case)
    assert await world.texts(case) == ["intake 1"]
    assert (await parking.released(world.pool, [NOTES, TALLY], case))["released"]
    assert await world.texts(case) == ["intake 1", "intake 2"]
    assert await world.pool.fetchval("select count(*) from marks where case_id = $1", case) == 1
    await world.say(case)


async def test_a_case_that_still_cannot_be_read_stays_parked_with_its_reason(world: World) -> None:
    case = fresh_id()
    unknown = foreign(case, "intake", 1).replace(
        b"intake.complaint-data-corrected.v1", b"intake.something.v9"
    )
    await world.receive(unknown)
    answer = await parking.released(world.pool, [NOTES, TALLY], case)
    assert not answer["released"]
    assert answer["why"].startswith("unreadable")
    assert (await world.store.load(case)).parked == answer["why"]


async def test_a_forked_case_is_not_released_but_told_how_it_goes_on(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1, "true"), foreign(case, "intake", 1, "forged"))
    answer = await parking.released(world.pool, [NOTES, TALLY], case)
    assert (answer["released"], answer["why"]) == (False, parking.FORKED)
    shown = await parking.shown(world.pool, case)
    assert shown is not None
    assert [(kept["why"], kept["publisher"], kept["offset"]) for kept in shown["kept"]] == [
        ("fork", "intake", 1)
    ]


async def test_an_unknown_case_is_told_apart(world: World) -> None:
    assert await parking.shown(world.pool, fresh_id()) is None
    assert not (await parking.released(world.pool, [NOTES], fresh_id()))["released"]


async def test_a_batch_in_hand_is_not_lost_to_the_projection_by_a_release(world: World) -> None:
    """The batch has seen the case parked; released meanwhile, its event would never be folded."""
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1))
    await world.pool.execute("update cases set parked = 'fold failed: KeyError' where id = $1", case)
    async with world.pool.acquire() as holder:
        locked = holder.transaction()
        await locked.start()
        await holder.execute("select from cases where id = $1 for update", case)
        me = await holder.fetchval("select pg_backend_pid()")
        batch = asyncio.create_task(world.receive(foreign(case, "intake", 2)))
        waiting = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"
        await until(lambda: world.pool.fetchval(waiting, me))
        release = asyncio.create_task(parking.released(world.pool, [NOTES, TALLY], case))
        blocked = "select count(*) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
        await until(lambda: _two(world, blocked))
        await locked.rollback()
    await batch
    assert (await release)["released"]
    assert await world.texts(case) == ["intake 1", "intake 2"]


async def _two(world: World, query: str) -> bool:
    return bool(await world.pool.fetchval(query) >= 2)


async def test_records_aside_are_listed_without_what_they_hold(world: World) -> None:
    await world.pool.execute("insert into aside values ('t', 1, 7, 'no key', null, 'x')")
    (one,) = [one for one in await parking.aside(world.pool) if one["topic"] == "t"]
    assert (one["offset"], one["why"]) == (7, "no key")
    assert "body" not in one
