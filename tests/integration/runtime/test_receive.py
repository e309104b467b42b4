"""One batch at a time into a service: accepted, held, forked, parked, and nothing of it twice."""

import asyncio
import random
from collections.abc import Awaitable
from dataclasses import replace
from uuid import UUID

import asyncpg
import orjson
import pytest

from shared.runtime.gate import Arrived, arrived
from shared.runtime.ids import fresh_id
from shared.runtime.postgres import Pool
from shared.runtime.receive import Fenced
from shared.runtime.store import CaseParked, Change, Conflict, Loaded
from shared.schemas.base import PUBLISHERS
from shared.schemas.reporting import ForkAcknowledged, NamedFork
from tests.integration.runtime.world import POISON, Sent, World, draft, foreign, note, places, published
from tests.waiting import until

INTAKE, PROCESSING, REPORTING = (PUBLISHERS.index(name) for name in ("intake", "processing", "reporting"))


def renamed(body: bytes, new_type: str) -> bytes:
    """The event under another type."""
    said = orjson.loads(body)
    return body.replace(b'"type":"' + said["type"].encode() + b'"', b'"type":"' + new_type.encode() + b'"')


async def acknowledged(world: World, case: UUID, *forks: Sent) -> bytes:
    """The event by which an auditor ends the parking of a forked case."""
    named = []
    for fork in forks:
        place = arrived(fork)
        assert isinstance(place, Arrived)
        _, publisher, sequence = place.key
        where = {"partition": fork.partition, "offset": fork.offset}
        named.append(NamedFork(publisher=PUBLISHERS[publisher], sequence=sequence, id=place.id, **where))
    return draft(case, ForkAcknowledged(forks=named, finding="a restored backup")).body(1, "")


async def test_foreign_events_are_kept_in_order_and_projected(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1, "a"), foreign(case, "reporting", 1, "b"))
    await world.receive(foreign(case, "intake", 2, "c"))
    loaded = await world.store.load(case)
    assert places(loaded) == [(INTAKE, 1), (REPORTING, 1), (INTAKE, 2)]
    assert (loaded.version, loaded.own, loaded.gate) == (3, 0, (2, 0, 0, 0, 1))
    assert await world.texts(case) == ["a", "b", "c"]
    assert await world.tally(case) == 3


async def test_own_events_follow_until_they_are_read_back_and_then_change_nothing(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1))
    (own,) = await world.say(case)
    await world.receive(foreign(case, "reporting", 1))
    before = await world.store.load(case)
    assert places(before) == [(INTAKE, 1), (REPORTING, 1), (PROCESSING, 1)]
    await world.pool.execute("delete from marks where case_id = $1", case)
    await world.receive(own.body)
    after = await world.store.load(case)
    assert (after.events, after.version) == (before.events, before.version)
    assert after.gate == (1, 1, 0, 0, 1)
    assert not await world.pool.fetchval("select count(*) from marks where case_id = $1", case)


async def test_a_record_that_comes_again_is_counted_and_changes_nothing(world: World) -> None:
    case = fresh_id()
    first = foreign(case, "intake", 1)
    await world.receive(first, first)
    received = await world.receive(first)
    assert len(received.verdict.duplicates) == 1
    assert (await world.store.load(case)).version == 1
    assert await world.tally(case) == 1


async def test_what_comes_too_early_is_held_and_stands_behind_what_it_waited_for(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1), foreign(case, "intake", 3, "third"))
    await world.receive(foreign(case, "reporting", 1))
    assert await world.kept(case) == ["held"]
    assert (await world.store.load(case)).version == 2
    received = await world.receive(foreign(case, "intake", 2))
    assert [record.key[2] for record in received.verdict.released] == [3]
    assert places(await world.store.load(case)) == [(INTAKE, 1), (REPORTING, 1), (INTAKE, 2), (INTAKE, 3)]
    assert await world.kept(case) == []
    assert await world.tally(case) == 4


async def test_a_batch_whose_commit_was_done_is_refused_the_second_time(world: World) -> None:
    case = fresh_id()
    first = world.put(foreign(case, "intake", 1))
    await world.receive(first)
    world.read = 0
    with pytest.raises(Fenced):
        await world.receive(first)
    assert await world.tally(case) == 1


async def test_who_has_lost_the_claim_writes_nothing(world: World) -> None:
    case = fresh_id()
    await world.pool.execute("update positions set epoch = 2 where part = $1", world.part)
    with pytest.raises(Fenced):
        await world.receive(foreign(case, "intake", 1))
    assert (await world.store.load(case)).version == 0


async def test_a_fork_parks_its_case_alone_until_it_is_acknowledged(world: World) -> None:
    case, other = fresh_id(), fresh_id()
    await world.receive(foreign(case, "intake", 1, "true"), foreign(other, "intake", 1))
    fork = world.put(foreign(case, "intake", 1, "forged"))
    await world.receive(fork, foreign(case, "intake", 2, "later"), foreign(other, "intake", 2))
    forked = await world.store.load(case)
    assert (forked.forks, forked.parked, forked.version) == (1, None, 2)
    with pytest.raises(CaseParked):
        await world.store.append(fresh_id(), Change(forked, [draft(case, note("processing", ""))]))
    assert await world.texts(case) == ["true"]
    assert await world.tally(other) == 2
    await world.receive(await acknowledged(world, case, fork), foreign(case, "intake", 3, "after"))
    released = await world.store.load(case)
    assert (released.forks, released.parked) == (0, None)
    assert await world.texts(case) == ["a restored backup", "after", "later", "true"]
    assert await world.tally(case) == 4
    assert await world.kept(case) == ["settled"]
    await world.say(case)


async def test_an_acknowledged_fork_that_comes_again_is_a_duplicate(world: World) -> None:
    case = fresh_id()
    true, forged = foreign(case, "intake", 1, "true"), foreign(case, "intake", 1, "forged")
    await world.receive(true)
    fork = world.put(forged)
    await world.receive(fork)
    await world.receive(await acknowledged(world, case, fork))
    received = await world.receive(forged)
    assert len(received.verdict.duplicates) == 1
    assert (await world.store.load(case)).forks == 0


async def test_one_of_two_forks_acknowledged_keeps_the_case_parked(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1, "true"))
    one, two = (world.put(foreign(case, "intake", 1, text)) for text in ("one", "two"))
    await world.receive(one, two)
    await world.receive(await acknowledged(world, case, one))
    assert (await world.store.load(case)).forks == 1
    assert await world.texts(case) == ["true"]


async def test_a_fork_behind_an_acknowledgement_parks_the_case_as_one_before_it_does(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1, "true"))
    one = world.put(foreign(case, "intake", 1, "one"))
    await world.receive(one)
    await world.receive(await acknowledged(world, case, one))
    assert (await world.store.load(case)).forks == 0
    await world.receive(foreign(case, "intake", 1, "two"))
    assert (await world.store.load(case)).forks == 1


async def test_the_auditor_may_append_past_the_fork(pool: Pool) -> None:
    world = await World(pool, "reporting").open()
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1, "true"))
    fork = world.put(foreign(case, "intake", 1, "forged"))
    await world.receive(fork)
    forked = await world.store.load(case)
    finding = draft(case, ForkAcknowledged(forks=[], finding="seen"))
    await world.store.append(fresh_id(), Change(forked, [finding], past_forks=True))
    assert (await world.store.load(case)).own == 1


async def test_a_type_that_this_build_does_not_know_parks_its_case_alone(world: World) -> None:
    case, other = fresh_id(), fresh_id()
    await world.receive(foreign(case, "intake", 1, "known"))
    unknown = renamed(foreign(case, "intake", 2), "intake.something-new.v9")
    received = await world.receive(unknown, foreign(other, "intake", 1), foreign(case, "intake", 3))
    assert set(received.parked) == {case}
    loaded = await world.store.load(case)
    assert loaded.parked is not None
    assert loaded.parked.startswith("unreadable intake.something-new.v9")
    assert loaded.version == 3
    assert await world.texts(case) == ["known"]
    assert await world.tally(other) == 1


async def test_a_fold_that_fails_parks_the_projection_of_that_case_only(world: World) -> None:
    case, other = fresh_id(), fresh_id()
    await world.receive(foreign(case, "intake", 1), foreign(other, "intake", 1))
    await world.receive(foreign(case, "intake", 2, POISON), foreign(other, "intake", 2))
    await world.receive(foreign(case, "intake", 3))
    parked = await world.pool.fetch(
        "select projection, error from parked_projections where case_id = $1", case
    )
    assert [tuple(row) for row in parked] == [("tally", "KeyError")]
    assert (await world.tally(case), await world.tally(other)) == (1, 2)
    assert len(await world.texts(case)) == 3
    assert (await world.store.load(case)).parked is None


async def test_a_fold_that_fails_stops_at_the_same_event_however_the_log_is_cut(world: World) -> None:
    one, two = fresh_id(), fresh_id()
    texts = ["good", "good", POISON, "good"]
    await world.receive(*(foreign(one, "intake", n, text) for n, text in enumerate(texts, 1)))
    for number, text in enumerate(texts, 1):
        await world.receive(foreign(two, "intake", number, text))
    assert (await world.tally(one), await world.tally(two)) == (2, 2)


async def test_a_row_that_the_database_cannot_hold_parks_the_projection_of_that_case_only(
    world: World,
) -> None:
    case, other = fresh_id(), fresh_id()
    strange = foreign(case, "intake", 1, "a\0b")
    await world.receive(strange, foreign(other, "intake", 1))
    assert await world.tally(other) == 1
    assert await world.texts(other) == ["intake 1"]
    await world.receive(foreign(other, "intake", 2))
    assert await world.tally(other) == 2
    parked = await world.pool.fetch("select projection from parked_projections where case_id = $1", case)
    assert [row[0] for row in parked] == ["notes"]


async def test_a_record_without_a_readable_place_is_kept_aside_and_the_partition_goes_on(
    world: World,
) -> None:
    case = fresh_id()
    good = foreign(case, "intake", 1)
    key, value, said = published(good)
    strange = [
        world.put(good, key=None),
        world.put(good, value=None),
        world.put(good, key=b"\xff"),
        world.put(good, key=key.upper() if key.upper() != key else b"{" + key + b"}"),
        world.put(good, key=str(fresh_id()).encode()),
        world.put(good, headers=[]),
        world.put(
            good,
            headers=[(name, b"/services/processing" if name == "ce_source" else what) for name, what in said],
        ),
        world.put(good, headers=[(name, b"0" if name == "ce_sequence" else what) for name, what in said]),
        world.put(
            good, headers=[(name, b"intake.\0.v1" if name == "ce_type" else what) for name, what in said]
        ),
    ]
    received = await world.receive(*strange, good)
    assert len(received.aside) == len(strange)
    assert [place.off for place in received.aside] == list(range(len(strange)))
    assert (await world.store.load(case)).version == 1
    kept = await world.pool.fetch("select key, body from aside where part = $1 order by off", world.part)
    assert [tuple(row) for row in kept] == [(record.key, record.value) for record in strange]


async def test_an_own_event_that_nobody_here_wrote_parks_its_case(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "processing", 1))
    assert (await world.store.load(case)).parked == "foreign hand"


async def test_an_own_event_from_before_the_start_is_history(world: World) -> None:
    case, world.history_below = fresh_id(), 1
    await world.receive(foreign(case, "processing", 1))
    loaded = await world.store.load(case)
    assert (loaded.parked, loaded.own, loaded.version) == (None, 1, 1)
    assert loaded.events[0].command is not None


async def test_an_own_event_that_the_log_contradicts_is_withheld(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1))
    (own,) = await world.say(case)
    await world.receive(foreign(case, "processing", 1, "strange"))
    loaded = await world.store.load(case)
    assert loaded.parked == "contradicted"
    assert [event.id == own.id for event in loaded.events] == [False, False]
    assert await world.kept(case) == ["withheld"]
    assert not await world.pool.fetchval("select count(*) from outbox where case_id = $1", case)
    await world.receive(own.body)
    assert await world.kept(case) == ["fork", "withheld"]


async def test_a_service_made_anew_from_the_log_holds_the_same(world: World, owner_pool: Pool) -> None:
    case = fresh_id()
    command = fresh_id()
    first = foreign(case, "intake", 1)
    await world.receive(first)
    (own,) = await world.say(case, command=command)
    log = [first, foreign(case, "reporting", 1), own.body, foreign(case, "intake", 2)]
    await world.receive(*log[1:])
    before = await world.store.load(case), await world.tally(case), await world.texts(case)
    await owner_pool.execute("truncate cases, events, case_log, outbox, marks, owed, notes, tally")
    again = await World(world.pool, history_below=4).open()
    await again.receive(*log[:2])
    await again.receive(*log[2:])
    assert (await again.store.load(case), await again.tally(case), await again.texts(case)) == before
    assert (await again.store.load(case)).answer(command) == (own,)


async def test_commands_beside_each_other_are_all_decided_in_turn(world: World) -> None:
    case = fresh_id()
    await world.receive(foreign(case, "intake", 1))
    await asyncio.gather(*(world.say(case) for _ in range(12)))
    loaded = await world.store.load(case)
    assert [event.sequence for event in loaded.events if event.publisher == PROCESSING] == list(range(1, 13))
    assert loaded.version == 13
    assert orjson.loads(loaded.events[-1].body)["seen"] == "intake:1"


async def test_a_backend_killed_amid_an_append_leaves_nothing_of_it(world: World) -> None:
    one, two = sorted([fresh_id(), fresh_id()])
    await world.receive(foreign(one, "intake", 1), foreign(two, "intake", 1))
    command = fresh_id()
    changes = [
        Change(await world.store.load(case), [draft(case, note("processing", ""), command)])
        for case in (one, two)
    ]
    await killed_while_waiting_for(world.pool, two, world.store.append(command, *changes))
    assert [(await world.store.load(case)).version for case in (one, two)] == [1, 1]
    await world.store.append(command, *changes)
    assert [(await world.store.load(case)).version for case in (one, two)] == [2, 2]


async def test_a_backend_killed_amid_a_batch_leaves_nothing_of_it(world: World) -> None:
    one, two = sorted([fresh_id(), fresh_id()])
    await world.receive(foreign(one, "intake", 1), foreign(two, "intake", 1))
    batch = [world.put(foreign(one, "intake", 2)), world.put(foreign(two, "intake", 2))]
    await killed_while_waiting_for(world.pool, two, world.receive(*batch))
    assert (await world.store.load(one)).version == 1
    assert await world.pool.fetchval("select next from positions where part = $1", world.part) == 2
    await world.receive(*batch)
    assert [await world.tally(case) for case in (one, two)] == [2, 2]


async def killed_while_waiting_for(pool: Pool, case: UUID, action: Awaitable[object]) -> None:
    """Holds the case's lock until the action waits for it, then ends the action's backend."""
    async with pool.acquire() as holder, holder.transaction():
        me = await holder.fetchval("select pg_backend_pid()")
        await holder.execute("select from cases where id = $1 for update", case)
        task = asyncio.ensure_future(action)
        blocked = "select pid from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"
        await until(lambda: pool.fetchval(blocked, me))
        await pool.execute("select pg_terminate_backend($1)", await pool.fetchval(blocked, me))
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await task


async def test_appends_to_two_cases_beside_batches_never_deadlock(world: World) -> None:
    cases, chance, last = [fresh_id() for _ in range(12)], random.Random(1), 1
    await world.receive(*(foreign(case, "intake", 1) for case in cases))
    wins = 0

    async def merge() -> None:
        nonlocal wins
        for _ in range(40):
            pair = [await world.store.load(case) for case in chance.sample(cases, 2)]
            command = fresh_id()
            changes = [Change(it, [draft(it.case, note("processing", ""), command)]) for it in pair]
            try:
                await world.store.append(command, *changes)
                wins += 1
            except Conflict:
                continue

    async def read() -> None:
        nonlocal last
        for _ in range(40):
            last += 1
            await world.receive(*(foreign(case, "intake", last) for case in chance.sample(cases, len(cases))))

    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    before = await world.pool.fetchval(deadlocks)
    await asyncio.gather(merge(), merge(), merge(), read())
    loaded = [await world.store.load(case) for case in cases]
    assert wins
    assert sum(it.own for it in loaded) == 2 * wins
    assert all(it.version == it.own + last == len(it.events) for it in loaded)
    assert await world.pool.fetchval(deadlocks) == before


async def test_a_case_that_was_parked_before_it_was_opened_is_refused(world: World) -> None:
    """A record that could not even be stored parks a case that has no event yet."""
    case = fresh_id()
    await world.pool.execute(
        "insert into cases (id, log, version, own, gate, parked) values ($1, 0, 0, 0, '{0,0,0,0,0}', 'not stored')",
        case,
    )
    with pytest.raises(CaseParked):
        await world.store.append(fresh_id(), Change(Loaded(case), [draft(case, note("processing", ""))]))


def test_the_record_of_a_note_is_read_by_the_gate() -> None:
    body = foreign(fresh_id(), "intake", 1)
    key, value, said = published(body)
    sent = Sent("w.cases", 0, 0, key, value, said)
    assert not hasattr(arrived(sent), "why")
    assert hasattr(arrived(replace(sent, key=b"x")), "why")
