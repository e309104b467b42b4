"""A projection made anew beside the live one: same rows, no failed request, and no release of what is parked."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from shared.runtime import rebuild as rebuilding
from shared.runtime.ids import fresh_id
from shared.runtime.projections import Projection
from shared.runtime.rebuild import NotDrained, NothingRead, rebuild
from shared.schemas.base import Recorded
from shared.schemas.reporting import ForkAcknowledged, NamedFork
from tests.conftest import Database, Databases, make_topics
from tests.integration.runtime.live import Service, post, rows, running
from tests.integration.runtime.world import NOTES, POISON, TALLY, Sent, Tally, draft, foreign
from tests.waiting import until

INDEXES = "select indexname, indexdef from pg_indexes where schemaname = 'public' order by indexname"


@pytest.fixture
async def service(
    bootstrap: str, databases: Databases, migration_folders: tuple[Path, ...]
) -> AsyncIterator[Service]:
    made = await databases.make(*migration_folders)
    topics = await make_topics(bootstrap, f"rebuild-{fresh_id()}")
    async with running(Service(bootstrap, made.dsn, topics)) as one:
        yield one
    await databases.drop(made.name)


@pytest.fixture
def owner_dsn(service: Service, databases: Databases) -> str:
    return databases.dsn(service.dsn.rpartition("/")[2])


def fork_of(sent: Sent, publisher: str, sequence: int) -> NamedFork:
    return NamedFork(
        publisher=publisher, sequence=sequence, id=fresh_id(), partition=sent.partition, offset=sent.offset
    )


async def a_troubled_log(service: Service) -> dict[str, UUID]:
    """Every way in which a case can stop being folded, and go on again."""
    case = {
        name: fresh_id() for name in ("plain", "forked", "settled", "unreadable", "poisoned", "held", "hand")
    }
    bodies = [foreign(one, "intake", 1) for name, one in case.items() if name != "hand"]
    await post(service.bootstrap, service.prefix, *bodies, *bodies[:2])
    _, fork = await post(
        service.bootstrap,
        service.prefix,
        foreign(case["forked"], "intake", 1, "forged"),
        foreign(case["settled"], "intake", 1, "forged"),
    )
    acknowledged = draft(
        case["settled"], ForkAcknowledged(forks=[fork_of(fork, "intake", 1)], finding="seen")
    )
    unknown = foreign(case["unreadable"], "intake", 2).replace(b"data-corrected.v1", b"something.v9")
    await post(
        service.bootstrap,
        service.prefix,
        foreign(case["settled"], "intake", 2),
        acknowledged.body(1, ""),
        unknown,
        foreign(case["poisoned"], "intake", 2, POISON),
        foreign(case["held"], "intake", 3),
    )
    await service.quiet()
    await post(service.bootstrap, service.prefix, foreign(case["hand"], "processing", 1))
    await post(
        service.bootstrap,
        service.prefix,
        *(foreign(one, "reporting", 2 if n == "settled" else 1) for n, one in case.items()),
    )
    await service.world.say(case["plain"])
    service.relay.wake()
    await service.quiet()
    return case


@pytest.mark.parametrize("projection", [NOTES, TALLY], ids=lambda projection: projection.name)
async def test_whatever_stopped_stops_at_the_same_place_again(
    service: Service, owner_dsn: str, projection: Projection
) -> None:
    case = await a_troubled_log(service)
    before = await rows(service.pool, INDEXES)
    parked = await rows(service.pool, "select projection, case_id, error from parked_projections")
    rebuilt = await rebuild(owner_dsn, service.bootstrap, service.prefix, "processing", projection)
    assert rebuilt.differences == ()
    assert rebuilt.checksum_before == rebuilt.checksum_after
    assert rebuilt.swapped
    assert await rows(service.pool, INDEXES) == before
    assert await rows(service.pool, "select projection, case_id, error from parked_projections") == parked
    assert [tuple(row)[1] for row in parked] == [case["poisoned"]]
    await post(service.bootstrap, service.prefix, foreign(case["plain"], "intake", 2))
    await service.quiet()
    assert await service.world.tally(case["plain"]) == 4
    assert len(await service.world.texts(case["plain"])) == 4
    assert not await rows(service.pool, "select nspname from pg_namespace where nspname like 'rebuild%'")


async def test_a_rebuild_while_events_arrive_gives_the_same_rows_and_fails_no_request(
    service: Service, owner_dsn: str
) -> None:
    cases = [fresh_id() for _ in range(50)]
    await post(
        service.bootstrap,
        service.prefix,
        *(foreign(case, "intake", n) for n in range(1, 41) for case in cases),
    )
    await service.quiet()
    asked = 0

    numbers = itertools.count(1)

    async def events() -> None:
        number = next(numbers)
        await post(
            service.bootstrap, service.prefix, *(foreign(case, "reporting", number) for case in cases[:5])
        )

    async def requests() -> None:
        nonlocal asked
        assert await service.pool.fetchval("select sum(notes) from tally") >= 2000
        assert len(await service.world.texts(cases[0])) >= 40
        asked += 1

    async with beside(events, requests, requests):
        for _ in range(3):
            told: list[tuple[int, int]] = []
            for projection in (NOTES, TALLY):
                rebuilt = await rebuild(
                    owner_dsn,
                    service.bootstrap,
                    service.prefix,
                    "processing",
                    projection,
                    progress=partial(_note, told),
                )
                assert (rebuilt.checksum_before, rebuilt.differences) == (rebuilt.checksum_after, ())
            assert told
            assert all(done <= total for done, total in told)
    await service.quiet()
    assert asked > 50
    assert await rows(service.pool, "select sum(notes) from tally") == await rows(
        service.pool, "select count(*) from notes"
    )
    assert not await rows(service.pool, "select id from cases where parked is not null")


def _note(told: list[tuple[int, int]], done: int, total: int) -> None:
    told.append((done, total))


@asynccontextmanager
async def beside(*work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Does each again and again until the block ends; what it raised is raised.

    The last turns are finished, not cut off: a Kafka client cut off while it connects leaves its connection open.
    """
    over = False

    async def again(one: Callable[[], Awaitable[None]]) -> None:
        while not over:
            await one()

    tasks = [asyncio.create_task(again(one)) for one in work]
    try:
        yield
    finally:
        over = True
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [error for error in ended if error] == []


def fold_mended(before: tuple[Tally, ...], events: Sequence[Recorded]) -> tuple[Tally, ...]:
    return (Tally(events[0].subject, (before[0].notes if before else 0) + len(events), events[-1].id),)


MENDED = Projection("tally", Tally, ("case_id",), fold_mended)


async def test_differences_are_listed_by_case_and_swapped_in_only_when_accepted(
    service: Service, owner_dsn: str
) -> None:
    case, other = fresh_id(), fresh_id()
    await post(
        service.bootstrap, service.prefix, foreign(case, "intake", 1, POISON), foreign(other, "intake", 1)
    )
    await service.quiet()
    place = owner_dsn, service.bootstrap, service.prefix, "processing", MENDED
    refused = await rebuild(*place)
    assert (refused.differences, refused.swapped) == ((case,), False)
    assert await service.world.tally(case) is None
    assert len(await rows(service.pool, "select * from parked_projections")) == 1
    accepted = await rebuild(*place, accept_differences=True)
    assert (accepted.differences, accepted.swapped) == ((case,), True)
    assert await service.world.tally(case) == 1
    assert await rows(service.pool, "select * from parked_projections") == []


async def test_a_request_in_hand_holds_up_the_swap_and_nothing_else(service: Service, owner_dsn: str) -> None:
    case = fresh_id()
    await post(service.bootstrap, service.prefix, foreign(case, "intake", 1))
    await service.quiet()
    place = owner_dsn, service.bootstrap, service.prefix, "processing", TALLY
    async with service.pool.acquire() as slow:
        reading = slow.transaction()
        await reading.start()
        await slow.execute("select * from tally")
        me = await slow.fetchval("select pg_backend_pid()")
        swap = asyncio.create_task(rebuild(*place))
        waits = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"
        for _ in range(2):
            await until(lambda: service.pool.fetchval(waits, me))
            assert await service.world.tally(case) == 1
            await until(lambda: _none(service, waits, me))
        await post(service.bootstrap, service.prefix, foreign(case, "intake", 2))
        await service.quiet()
        await reading.rollback()
    assert (await swap).swapped
    assert await service.world.tally(case) == 2


async def _none(service: Service, query: str, me: int) -> bool:
    return not await service.pool.fetchval(query, me)


async def test_nothing_is_rebuilt_before_the_outbox_is_drained(
    service: Service, owner_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PATIENCE_FOR_OUTBOX", 0.2)
    await service.relay.stop()
    await service.world.say(fresh_id())
    with pytest.raises(NotDrained):
        await rebuild(owner_dsn, service.bootstrap, service.prefix, "processing", TALLY)


async def test_a_service_that_has_read_nothing_has_nothing_to_rebuild(
    bootstrap: str, database: Database
) -> None:
    with pytest.raises(NothingRead):
        await rebuild(database.owner_dsn, bootstrap, "unread", "processing", TALLY)
