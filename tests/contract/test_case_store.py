"""One suite for every case store: what tests do in memory holds for the store in PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import orjson
import pytest

from shared.runtime.ids import fresh_id
from shared.runtime.postgres import Pool
from shared.runtime.store import CaseParked, CaseStore, Change, Conflict, Loaded
from shared.runtime.testing import MemoryCaseStore
from shared.schemas.base import PUBLISHERS
from shared.schemas.envelope import Draft, TooLarge
from tests.integration.runtime.world import World, draft, foreign, note

ME = PUBLISHERS.index("processing")


@dataclass
class Subject:
    """A store and what the world does to it."""

    store: CaseStore
    receive: Callable[..., Awaitable[object]]
    park: Callable[[UUID, str], Awaitable[object]]
    outbox: Callable[[UUID], Awaitable[list[int]]]


def in_memory() -> Subject:
    store = MemoryCaseStore("processing")

    async def receive(*bodies: bytes) -> None:
        store.receive(*bodies)

    async def park(case: UUID, why: str) -> None:
        store.park(case, why)

    async def outbox(case: UUID) -> list[int]:
        said = [orjson.loads(body) for _, body in store.outbox]
        return [int(one["sequence"]) for one in said if one["subject"] == str(case)]

    return Subject(store, receive, park, outbox)


async def in_postgres(pool: Pool) -> Subject:
    world = await World(pool, projections=()).open()
    world.history_below = 1000

    async def park(case: UUID, why: str) -> None:
        await pool.execute("update cases set parked = $2 where id = $1", case, why)

    async def outbox(case: UUID) -> list[int]:
        rows = await pool.fetch("select sequence from outbox where case_id = $1 order by id", case)
        return [row[0] for row in rows]

    return Subject(world.store, world.receive, park, outbox)


@pytest.fixture(params=["memory", "postgres"])
async def subject(request: pytest.FixtureRequest, pool: Pool) -> Subject:
    return in_memory() if request.param == "memory" else await in_postgres(pool)


def drafts(case: UUID, *texts: str, command: UUID | None = None) -> list[Draft]:
    return [draft(case, note("processing", text), command) for text in texts]


def numbers(loaded: Loaded) -> list[tuple[int, int]]:
    return [(event.publisher, event.sequence) for event in loaded.events]


async def test_an_unknown_case_has_version_0_and_is_missing_from_many(subject: Subject) -> None:
    case = fresh_id()
    assert await subject.store.load(case) == Loaded(case)
    assert await subject.store.load_many([case]) == {}


async def test_an_append_opens_a_case_and_a_later_one_continues_its_numbers(subject: Subject) -> None:
    case, command = fresh_id(), fresh_id()
    (first,) = await subject.store.append(
        command, Change(Loaded(case), drafts(case, "a", "b", command=command))
    )
    loaded = await subject.store.load(case)
    await subject.store.append(fresh_id(), Change(loaded, drafts(case, "c")))
    after = await subject.store.load(case)
    assert (loaded.version, after.version, after.own, after.gate) == (2, 3, 3, (0, 0, 0, 0, 0))
    assert numbers(after) == [(ME, 1), (ME, 2), (ME, 3)]
    assert after.answer(command) == first
    assert after.answer(fresh_id()) == ()
    assert await subject.outbox(case) == [1, 2, 3]


async def test_the_loser_of_a_race_conflicts_and_leaves_nothing(subject: Subject) -> None:
    case = fresh_id()
    await subject.receive(foreign(case, "intake", 1))
    loaded = await subject.store.load(case)
    both = [subject.store.append(fresh_id(), Change(loaded, drafts(case, text))) for text in "abcd"]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict"] * 3 + ["list"]
    after = await subject.store.load(case)
    assert (after.version, numbers(after)) == (2, [(0, 1), (ME, 1)])
    assert await subject.outbox(case) == [1]


async def test_a_case_cannot_be_opened_twice_nor_continued_before_it_is_there(subject: Subject) -> None:
    case, other = fresh_id(), fresh_id()
    await subject.store.append(fresh_id(), Change(Loaded(case), drafts(case, "a")))
    with pytest.raises(Conflict):
        await subject.store.append(fresh_id(), Change(Loaded(case), drafts(case, "b")))
    with pytest.raises(Conflict):
        await subject.store.append(fresh_id(), Change(Loaded(other, version=1), drafts(other, "b")))


async def test_a_foreign_event_raises_the_version_and_a_read_back_does_not(subject: Subject) -> None:
    case = fresh_id()
    await subject.receive(foreign(case, "intake", 1))
    stale = await subject.store.load(case)
    ((own,),) = await subject.store.append(fresh_id(), Change(stale, drafts(case, "own")))
    await subject.receive(foreign(case, "reporting", 1))
    with pytest.raises(Conflict):
        await subject.store.append(fresh_id(), Change(stale, drafts(case, "late")))
    before = await subject.store.load(case)
    await subject.receive(own.body)
    after = await subject.store.load(case)
    assert numbers(before) == numbers(after) == [(0, 1), (4, 1), (ME, 1)]
    assert (before.version, before.gate) == (3, (1, 0, 0, 0, 1))
    assert (after.version, after.gate) == (3, (1, 1, 0, 0, 1))
    assert after.seen(ME) == "intake:1 reporting:1"
    await subject.store.append(fresh_id(), Change(before, drafts(case, "still good")))


async def test_an_event_says_what_its_decision_had_seen(subject: Subject) -> None:
    case = fresh_id()
    await subject.receive(
        foreign(case, "intake", 1), foreign(case, "intake", 2), foreign(case, "reporting", 1)
    )
    ((own,),) = await subject.store.append(
        fresh_id(), Change(await subject.store.load(case), drafts(case, "own"))
    )
    said = orjson.loads(own.body)
    assert (said["seen"], said["sequence"]) == ("intake:2 reporting:1", "0000000001")


async def test_together_is_all_or_nothing(subject: Subject) -> None:
    one, two = fresh_id(), fresh_id()
    await subject.receive(foreign(one, "intake", 1), foreign(two, "intake", 1))
    first, second = await subject.store.load(one), await subject.store.load(two)
    command = fresh_id()
    both = [Change(it, drafts(it.case, "merged", command=command)) for it in (second, first)]
    answer = await subject.store.append(command, *both)
    assert [UUID(orjson.loads(events[0].body)["subject"]) for events in answer] == [two, one]
    fresh = await subject.store.load(one)
    with pytest.raises(Conflict):
        await subject.store.append(
            fresh_id(), Change(fresh, drafts(one, "x")), Change(second, drafts(two, "y"))
        )
    loaded = await subject.store.load_many([one, two])
    assert {case: it.version for case, it in loaded.items()} == {one: 2, two: 2}
    assert (await subject.outbox(one), await subject.outbox(two)) == ([1], [1])


async def test_each_for_itself_answers_the_winners(subject: Subject) -> None:
    new, stale, good, parked = (fresh_id() for _ in range(4))
    await subject.receive(*(foreign(case, "intake", 1) for case in (stale, good, parked)))
    await subject.park(parked, "fold failed")
    loaded = await subject.store.load_many([new, stale, good, parked])
    await subject.receive(foreign(stale, "intake", 2))
    asked = {
        case: (fresh_id(), Change(loaded.get(case, Loaded(case)), drafts(case, "a", "b"), fingerprint=b"f"))
        for case in (new, stale, good, parked)
    }
    assert await subject.store.append_each(asked) == {new, good}
    assert await subject.store.append_each({}) == set()
    versions = {case: it.version for case, it in (await subject.store.load_many(list(asked))).items()}
    assert versions == {new: 2, stale: 2, good: 3, parked: 1}
    assert (await subject.outbox(new), await subject.outbox(stale)) == ([1, 2], [])
    assert await subject.store.fingerprint(asked[new][0]) == b"f"
    assert await subject.store.fingerprint(asked[stale][0]) is None


async def test_nothing_is_appended_to_a_parked_case_and_the_reason_is_told(subject: Subject) -> None:
    case = fresh_id()
    await subject.receive(foreign(case, "intake", 1))
    loaded = await subject.store.load(case)
    await subject.park(case, "fold failed: KeyError")
    with pytest.raises(CaseParked, match="fold failed: KeyError"):
        await subject.store.append(fresh_id(), Change(loaded, drafts(case, "a")))
    assert (await subject.store.load(case)).parked == "fold failed: KeyError"


async def test_the_first_fingerprint_of_a_command_is_kept(subject: Subject) -> None:
    case, command = fresh_id(), fresh_id()
    await subject.store.append(command, Change(Loaded(case), drafts(case, "a"), fingerprint=b"first"))
    loaded = await subject.store.load(case)
    await subject.store.append(command, Change(loaded, drafts(case, "b"), fingerprint=b"second"))
    assert await subject.store.fingerprint(command) == b"first"
    assert await subject.store.fingerprint(fresh_id()) is None


async def test_an_event_that_is_too_large_is_refused_and_nothing_is_written(subject: Subject) -> None:
    case = fresh_id()
    with pytest.raises(TooLarge):
        await subject.store.append(fresh_id(), Change(Loaded(case), drafts(case, "x" * 300_000)))
    assert (await subject.store.load(case)).version == 0


async def test_one_command_ten_times_at_once_acts_once(subject: Subject) -> None:
    case, command = fresh_id(), fresh_id()

    async def act() -> UUID:
        while True:
            loaded = await subject.store.load(case)
            if spent := loaded.answer(command):
                return spent[0].id
            try:
                ((event,),) = await subject.store.append(
                    command, Change(loaded, drafts(case, "a", command=command))
                )
            except Conflict:
                continue
            return event.id

    assert len(set(await asyncio.gather(*(act() for _ in range(10))))) == 1
    assert (await subject.store.load(case)).version == 1


async def test_an_aggregate_of_another_log_is_kept_the_same_way(subject: Subject) -> None:
    aggregate = fresh_id()
    await subject.store.append(
        fresh_id(), Change(Loaded(aggregate), drafts(aggregate, "a"), log="management")
    )
    assert (await subject.store.load(aggregate)).version == 1
