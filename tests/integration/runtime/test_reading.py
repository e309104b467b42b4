"""The live reader on the real servers: everything once, in order, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from shared.runtime.ids import fresh_id
from shared.runtime.kafka import delete_below
from shared.schemas.base import PUBLISHERS
from tests.conftest import Database, Databases, make_topics
from tests.faults import before_kafka, before_postgres, commits
from tests.integration.runtime.live import Service, on_the_topic, post, rows, running
from tests.integration.runtime.world import Sent, foreign, published
from tests.waiting import until

CASES = 40
TALLIES = "select case_id, notes from tally"


@pytest.fixture
async def own_database(databases: Databases, migration_folders: tuple[Path, ...]) -> AsyncIterator[Database]:
    made = await databases.make(*migration_folders)
    yield made
    await databases.drop(made.name)


@pytest.fixture
async def topics(bootstrap: str) -> str:
    return await make_topics(bootstrap, f"read-{fresh_id()}")


async def test_everything_is_read_once_and_reading_goes_on_where_it_stopped(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    cases = [fresh_id() for _ in range(CASES)]
    await post(bootstrap, topics, *(foreign(case, "intake", 1) for case in cases))
    async with running(Service(bootstrap, own_database.dsn, topics)) as service:
        await service.quiet()
        assert not service.reader.reasons()
        assert not service.reader.catching_up()
    await post(bootstrap, topics, *(foreign(case, "intake", 2) for case in cases))
    async with running(Service(bootstrap, own_database.dsn, topics)) as service:
        await service.quiet()
        assert await rows(service.pool, "select notes, count(*) from tally group by notes") == [(2, CASES)]
        assert service.duplicates() == 0


async def test_own_events_go_out_and_come_back(bootstrap: str, own_database: Database, topics: str) -> None:
    async with running(Service(bootstrap, own_database.dsn, topics)) as service:
        case = fresh_id()
        await post(bootstrap, topics, foreign(case, "intake", 1))
        await service.quiet()
        await service.world.say(case, "answer")
        service.relay.wake()
        await service.quiet()
        loaded = await service.world.store.load(case)
        assert loaded.gate[PUBLISHERS.index("processing")] == 1
        assert sorted(await service.world.texts(case)) == ["answer", "intake 1"]
        assert loaded.parked is None


async def test_two_processes_share_the_partitions_and_one_takes_over_from_the_other(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    cases = [fresh_id() for _ in range(CASES)]
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as one:
        async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as two:
            await until(lambda: one.reader.positions() and two.reader.positions())
            await post(bootstrap, topics, *(foreign(case, "intake", 1) for case in cases))
            await one.quiet()
            assert not one.reader.positions().keys() & two.reader.positions().keys()
        await post(bootstrap, topics, *(foreign(case, "intake", 2) for case in cases))
        await one.quiet()
        await until(lambda: len(one.reader.positions()) == len(one.partitions))
        assert await rows(one.pool, "select notes, count(*) from tally group by notes") == [(2, CASES)]
        assert one.duplicates() == 0


async def test_a_lost_answer_to_a_commit_is_found_out_and_nothing_is_done_twice(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    proxy, through = before_postgres(own_database.dsn)
    async with proxy:
        service = Service(bootstrap, own_database.dsn, topics, dsn_of_reader=through())
        async with running(service, publishes=False):
            await until(lambda: len(service.reader.positions()) == len(service.partitions))
            for number in range(1, 4):
                proxy.swallow_answer(commits)
                case = fresh_id()
                await post(bootstrap, topics, foreign(case, "intake", 1))
                await until(proxy.swallowed.is_set)
                await post(bootstrap, topics, foreign(case, "intake", 2))
                await service.quiet()
                assert await service.world.tally(case) == 2, f"after loss {number}"
            await until(lambda: not service.reader.reasons())
            assert service.duplicates() == 0


async def test_a_database_that_is_away_during_the_assignment_leaves_no_partition_unread(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    cases = [fresh_id() for _ in range(CASES)]
    await post(bootstrap, topics, *(foreign(case, "intake", 1) for case in cases))
    proxy, through = before_postgres(own_database.dsn)
    async with proxy:
        proxy.refuse()
        service = Service(bootstrap, own_database.dsn, topics, dsn_of_reader=through())
        async with running(service, publishes=False):
            await until(lambda: len(service.reader.reasons()) == len(service.partitions))
            assert all("not claimed" in reason for reason in service.reader.reasons())
            proxy.heal()
            await service.quiet()
            await until(lambda: not service.reader.reasons())
            assert await rows(service.pool, "select notes, count(*) from tally group by notes") == [
                (1, CASES)
            ]


async def test_one_fenced_partition_among_many_is_claimed_again_and_the_others_go_on(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as service:
        await until(lambda: len(service.reader.positions()) == len(service.partitions))
        cases = [fresh_id() for _ in range(CASES)]
        sent = await post(bootstrap, topics, *(foreign(case, "intake", 1) for case in cases))
        await service.quiet()
        fenced = sent[0].partition
        await service.pool.execute(
            "update positions set epoch = epoch + 1 where part = $1 and topic = $2", fenced, f"{topics}.cases"
        )
        sent = await post(bootstrap, topics, *(foreign(case, "intake", 2) for case in cases))
        elsewhere = [case for case, at in zip(cases, sent, strict=True) if at.partition != fenced]
        done = "select count(*) from tally where notes = 2 and case_id = any($1)"

        async def others_went_on() -> bool:
            return bool(await service.pool.fetchval(done, elsewhere) == len(elsewhere))

        await until(others_went_on, 5.0)
        assert await service.pool.fetchval(done, cases) == len(elsewhere)
        assert any("not claimed" in reason for reason in service.reader.reasons())
        await service.quiet()
        assert await service.pool.fetchval(done, cases) == CASES


async def test_a_topic_that_shrank_stops_its_partition_with_a_clear_word(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    sent, *_ = await post(bootstrap, topics, foreign(fresh_id(), "intake", 1))
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as service:
        await service.quiet()
    async with running(Service(bootstrap, own_database.dsn, topics), reads=False) as service:
        await service.pool.execute(
            "update positions set next = next + 5 where (topic, part) = ($1, $2)", sent.topic, sent.partition
        )
        await service.reader.start()
        await until(lambda: service.reader.stopped)
        (why,) = service.reader.stopped.values()
        assert why == "the position is 6, but the topic ends at 1: it shrank or was made anew"
        assert len(service.reader.positions()) == len(service.partitions) - 1
        assert any(why in reason for reason in service.reader.reasons())


async def test_a_topic_that_was_made_anew_and_filled_again_is_found_out(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    case = fresh_id()
    sent = await post(bootstrap, topics, foreign(case, "intake", 1), foreign(case, "intake", 2))
    async with running(Service(bootstrap, own_database.dsn, topics), reads=False, publishes=False) as service:
        await service.pool.execute(
            "insert into positions values ($1, $2, 2, 1)", sent[0].topic, sent[0].partition
        )
        await service.reader.start()
        await until(lambda: service.reader.stopped)
        (why,) = service.reader.stopped.values()
        assert why == "offset 1 holds another record than before: the topic was made anew"


async def test_a_topic_that_lost_its_head_stops_its_partition(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    case = fresh_id()
    sent = await post(bootstrap, topics, *(foreign(case, "intake", n) for n in range(1, 4)))
    await delete_below(bootstrap, {(sent[0].topic, sent[0].partition): 2})
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as service:
        await until(lambda: service.reader.stopped)
        (why,) = service.reader.stopped.values()
        assert why == "position 0, but the topic begins at 2: its head was lost"


async def test_too_many_parked_cases_stop_the_reading_until_some_are_released(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    async with running(
        Service(bootstrap, own_database.dsn, topics, most_parked=1), publishes=False
    ) as service:
        cases = [fresh_id() for _ in range(2)]
        for case in cases:
            await post(bootstrap, topics, foreign(case, "processing", 1))
        await until(lambda: service.reader.halted)
        late = fresh_id()
        await post(bootstrap, topics, foreign(late, "intake", 1))
        assert service.reader.reasons()[0].startswith("2 cases are parked, more than 1")
        assert await service.world.tally(late) is None
        await service.pool.execute("update cases set parked = null where id = $1", cases[0])
        await service.quiet()
        assert await service.world.tally(late) == 1


async def test_own_events_from_before_the_start_are_history(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    case, other = fresh_id(), fresh_id()
    await post(bootstrap, topics, foreign(case, "processing", 1))
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as service:
        await service.quiet()
        await post(bootstrap, topics, foreign(other, "processing", 1))
        await service.quiet()
        assert (await service.world.store.load(case)).parked is None
        assert (await service.world.store.load(other)).parked == "foreign hand"


async def test_a_record_that_cannot_be_stored_is_set_aside_and_its_case_parked(
    bootstrap: str, own_database: Database, databases: Databases, topics: str
) -> None:
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as service:
        bad, good = fresh_id(), fresh_id()
        await _refuse_events_of(own_database, str(bad))
        await post(
            bootstrap, topics, foreign(bad, "intake", 1), *(foreign(good, "intake", n) for n in (1, 2, 3))
        )
        await service.quiet()
        assert await service.world.tally(good) == 3
        loaded = await service.pool.fetchval("select parked from cases where id = $1", bad)
        assert loaded.startswith("not stored: CheckViolationError at ")
        assert await rows(service.pool, "select why, key from aside") == [
            ("not stored: CheckViolationError", str(bad).encode())
        ]


async def _refuse_events_of(database: Database, case: str) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(f"alter table events add constraint broken check (case_id <> '{case}')")
    await owner.close()


async def test_a_service_whose_database_was_dropped_is_unready_while_others_go_on_and_catches_up(
    bootstrap: str,
    databases: Databases,
    migration_folders: tuple[Path, ...],
    topics: str,
) -> None:
    lost, kept = await databases.make(*migration_folders), await databases.make(*migration_folders)
    cases = [fresh_id() for _ in range(CASES)]
    one = Service(bootstrap, lost.dsn, topics, "processing")
    two = Service(bootstrap, kept.dsn, topics, "reporting")
    async with running(one), running(two):
        await post(bootstrap, topics, *(foreign(case, "intake", 1) for case in cases))
        await one.quiet()
        for case in cases[:5]:
            await one.world.say(case, "own")
        one.relay.wake()
        await one.quiet()
        before = {row["case_id"]: row["notes"] for row in await one.pool.fetch(TALLIES)}
        await databases.drop(lost.name)
        await post(bootstrap, topics, *(foreign(case, "intake", 2) for case in cases))
        await two.quiet()
        assert await rows(two.pool, "select sum(notes) from tally") == [(2 * CASES + 5,)]
        await until(lambda: len(one.reader.reasons()) >= 1)
        await databases.make(*migration_folders, name=lost.name)
        await one.quiet()
        await until(lambda: not one.reader.reasons())
        after = {row["case_id"]: row["notes"] for row in await one.pool.fetch(TALLIES)}
        assert after == {case: count + 1 for case, count in before.items()}
        assert await rows(one.pool, "select count(*) from cases where parked is not null") == [(0,)]
        await one.world.say(cases[0], "again")
        one.relay.wake()
        await one.quiet()
        assert (await one.world.store.load(cases[0])).gate[1] == 2
    await databases.drop(kept.name)


async def test_a_stop_waits_neither_for_a_broker_nor_for_a_database_that_is_away(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    """Reader and relay together have fifteen seconds."""
    broker, (postgres, through) = before_kafka(bootstrap), before_postgres(own_database.dsn)
    async with broker, postgres:
        there = f"127.0.0.1:{broker.port}"
        service = await Service(there, through(), topics).open()
        await service.reader.start()
        await service.relay.start()
        await service.world.say(fresh_id())
        service.relay.wake()
        await service.quiet()
        broker.stall()
        postgres.stall()
        async with asyncio.timeout(12):
            await service.relay.stop()
            await service.reader.stop()
        broker.heal()
        postgres.heal()
        await service.close()


async def test_headers_that_are_no_text_stop_nothing_and_are_answered_by_nobody(
    bootstrap: str, own_database: Database, topics: str
) -> None:
    """FastStream reads headers as text and answers to reply_to, unless it is kept from both."""
    async with running(Service(bootstrap, own_database.dsn, topics), publishes=False) as service:
        strange, good = fresh_id(), fresh_id()
        key, value, said = published(foreign(strange, "intake", 1))
        more = [
            *said,
            ("x", b"\xff\xfe"),
            ("reply_to", f"{topics}.rejected".encode()),
            ("correlation_id", b"\xff"),
        ]
        broken = [(name, b"\xff" if name == "ce_type" else what) for name, what in said]
        await post(
            bootstrap,
            topics,
            Sent("", 0, 0, key, value, more),
            Sent("", 0, 0, str(good).encode(), value, broken),
            foreign(good, "intake", 1),
        )
        await service.quiet()
        assert (await service.world.tally(strange), await service.world.tally(good)) == (1, 1)
        assert await rows(service.pool, "select count(*) from aside") == [(1,)]
        assert await on_the_topic(bootstrap, f"{topics}.rejected") == []
