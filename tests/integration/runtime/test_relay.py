"""The relay on the real servers: at least once, never out of order, by one leader, whatever breaks in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from shared.runtime.ids import fresh_id
from shared.runtime.postgres import Pool
from shared.runtime.relay import VANISHING, NoSuchEvent, Relay, backlog, sweep
from shared.runtime.store import Change, Loaded
from tests.conftest import Database, make_topics
from tests.faults import KafkaProxy, before_kafka, before_postgres, commits, produces
from tests.integration.runtime.live import Service, on_the_topic, rows, running, sequences
from tests.integration.runtime.world import World, draft, foreign, note
from tests.waiting import until

CASES, EACH = 6, 5
OPEN = """
select extract(epoch from clock_timestamp() - xact_start) from pg_stat_activity
where application_name = 'redress-relay-processing' and state = 'idle in transaction'"""


@pytest.fixture
async def topics(bootstrap: str) -> str:
    return await make_topics(bootstrap, f"relay-{fresh_id()}")


@pytest.fixture(autouse=True)
async def empty(owner_pool: Pool) -> None:
    await owner_pool.execute(
        "truncate outbox, sent, cases, events, case_log, positions, kept, aside, marks, tally, notes"
    )


@asynccontextmanager
async def relaying(*relays: Relay) -> AsyncIterator[None]:
    for relay in relays:
        await relay.start()
    try:
        yield
    finally:
        for relay in relays:
            await relay.stop()


async def filled(world: World, cases: int = CASES, each: int = EACH) -> list[Loaded]:
    """Cases with events that nobody has published yet."""
    new = [fresh_id() for _ in range(cases)]
    for _ in range(each):
        for case in new:
            await world.say(case)
    return [await world.store.load(case) for case in new]


async def all_out(pool: Pool) -> bool:
    return not await pool.fetchval("select count(*) from outbox")


def whole(numbers: list[int]) -> bool:
    """Every sequence is there, and none came before the first appearance of its predecessor."""
    first = list(dict.fromkeys(numbers))
    return first == list(range(1, EACH + 1))


async def test_what_was_stored_is_published_byte_for_byte_with_the_headers_of_the_gate(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    cases = await filled(world)
    async with relaying(Relay(database.dsn, bootstrap, topics, "processing")):
        await until(lambda: all_out(world.pool))
    records = await on_the_topic(bootstrap, f"{topics}.cases")
    for loaded in cases:
        mine = [record for record in records if record.key == str(loaded.case).encode()]
        assert [record.value for record in mine] == [event.body for event in loaded.events]
        assert len({record.partition for record in mine}) == 1
        said = dict(mine[0].headers)
        assert (said["ce_source"], said["ce_sequence"]) == (b"/services/processing", b"0000000001")
        assert (said["ce_id"], said["ce_type"]) == (
            str(loaded.events[0].id).encode(),
            b"processing.objection-settled.v1",
        )
    notes = await rows(world.pool, "select log, part, off, case_id, sequence from sent")
    assert set(notes) == {
        (0, r.partition, r.offset, fresh, int(orjson.loads(r.value)["sequence"]))
        for r in records
        for fresh in [loaded.case for loaded in cases if str(loaded.case).encode() == r.key]
    }


async def test_a_notice_goes_to_its_topic_and_leaves_no_note(
    bootstrap: str, database: Database, pool: Pool, topics: str
) -> None:
    case = fresh_id()
    body = foreign(case, "processing", 1)
    await pool.execute(
        "insert into outbox (topic, case_id, sequence, body) values ('rejected', $1, 0, $2)", case, body
    )
    async with relaying(Relay(database.dsn, bootstrap, topics, "processing")):
        await until(lambda: all_out(pool))
    (record,) = await on_the_topic(bootstrap, f"{topics}.rejected")
    assert (record.key, record.value, dict(record.headers)["ce_sequence"]) == (
        str(case).encode(),
        body,
        b"0000000000",
    )
    assert not await rows(pool, "select * from sent")


async def test_the_backlog_tells_how_long_the_broker_has_been_silent(world: World) -> None:
    await filled(world, 1, 2)
    await world.pool.execute("update outbox set at = now() - interval '7 s' where sequence = 1")
    waits = await backlog(world.pool)
    assert (waits.depth, 7 <= waits.oldest < 60) == (2, True)


async def test_of_two_relays_one_leads_and_the_other_takes_over_when_the_leader_is_cut_off(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    proxy, through = before_postgres(database.dsn)
    async with proxy:
        one = Relay(through(), bootstrap, topics, "processing")
        two = Relay(database.dsn, bootstrap, topics, "processing")
        async with relaying(one):
            await until(lambda: one.leads)
            async with relaying(two):
                first = await filled(world)
                await until(lambda: all_out(world.pool))
                assert (one.leads, two.leads) == (True, False)
                proxy.stall()  # it believes in its leadership, and nobody hears it any more
                await world.pool.execute(
                    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
                )  # which the server does by itself after VANISHING
                second = await filled(world)
                await until(lambda: two.leads)
                await until(lambda: all_out(world.pool))
                proxy.heal()
                third = await filled(world)
                await until(lambda: all_out(world.pool))
                assert (one.leads, two.leads) == (False, True)
    records = await on_the_topic(bootstrap, f"{topics}.cases")
    assert all(
        sequences(records, loaded.case) == list(range(1, EACH + 1)) for loaded in (*first, *second, *third)
    )


async def test_a_session_that_leads_is_one_that_the_server_forgets_within_fifteen_seconds(
    bootstrap: str, database: Database, pool: Pool, topics: str
) -> None:
    relay = Relay(database.dsn, bootstrap, topics, "processing")
    async with relaying(relay):
        await until(lambda: relay.leads)
        said = "select application_name from pg_stat_activity a join pg_locks l using (pid) where locktype = 'advisory'"
        assert await pool.fetchval(said) == "redress-relay-processing"
    keepalives = [int(VANISHING[f"tcp_keepalives_{name}"]) for name in ("idle", "interval", "count")]
    assert keepalives[0] + keepalives[1] * keepalives[2] <= 15
    assert int(VANISHING["idle_in_transaction_session_timeout"]) <= 15_000
    assert int(VANISHING["idle_session_timeout"]) <= 15_000
    assert int(VANISHING["transaction_timeout"]) <= 15_000


@pytest.mark.chaos
async def test_a_leader_that_vanished_is_followed_within_fifteen_seconds(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    proxy, through = before_postgres(database.dsn)
    async with proxy:
        one = Relay(through(), bootstrap, topics, "processing")
        two = Relay(database.dsn, bootstrap, topics, "processing")
        async with relaying(one):
            await until(lambda: one.leads)
            async with relaying(two):
                proxy.stall()
                await filled(world)
                await until(lambda: two.leads, 16)
                await until(lambda: all_out(world.pool))
                proxy.heal()


async def test_a_producer_that_fails_amid_a_batch_is_replaced_and_the_batch_comes_whole_and_in_order(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    proxy = before_kafka(bootstrap)
    async with proxy:
        service = Service(bootstrap, database.dsn, topics, broker_of_relay=f"127.0.0.1:{proxy.port}")
        async with running(service, publishes=False):
            cases = await filled(world)
            proxy.swallow_answer(produces)
            cut = asyncio.create_task(_cut_for(proxy))
            await service.relay.start()
            await cut
            await service.quiet()
            gates = [(await world.store.load(loaded.case)).gate[1] for loaded in cases]
            assert gates == [EACH] * CASES
            assert await rows(
                world.pool, "select count(*) from cases where parked is not null or forks > 0"
            ) == [(0,)]
    records = await on_the_topic(bootstrap, f"{topics}.cases")
    assert all(whole(sequences(records, loaded.case)) for loaded in cases)
    assert len(records) > CASES * EACH  # what was acknowledged to nobody came a second time


async def _cut_for(proxy: KafkaProxy) -> None:
    """Once the answer to the first records was lost, nobody reaches the broker until the relay has given up."""
    await proxy.swallowed.wait()
    proxy.refuse()
    await asyncio.sleep(
        1.5
    )  # longer than the relay's patience with Kafka: the fault itself, not a way of waiting
    proxy.heal()


async def test_a_lost_answer_to_the_commit_sends_nothing_out_of_order(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    proxy, through = before_postgres(database.dsn)
    async with proxy:
        proxy.swallow_answer(commits)
        cases = await filled(world)
        async with relaying(Relay(through(), bootstrap, topics, "processing")):
            await until(proxy.swallowed.is_set)
            await until(lambda: all_out(world.pool))
    records = await on_the_topic(bootstrap, f"{topics}.cases")
    assert all(sequences(records, loaded.case) == list(range(1, EACH + 1)) for loaded in cases)


async def test_no_transaction_waits_for_a_broker_that_is_away(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    proxy = before_kafka(bootstrap)
    async with proxy:
        relay = Relay(database.dsn, f"127.0.0.1:{proxy.port}", topics, "processing", longest=0.5)
        async with relaying(relay):
            await filled(world)
            await until(lambda: all_out(world.pool))
            proxy.stall()
            await filled(world, 1)
            await until(lambda: world.pool.fetchval(OPEN))

            async def gave_up() -> bool:
                seconds = await world.pool.fetchval(OPEN)
                assert seconds is None or seconds < 2
                return seconds is None

            await until(gave_up)
            assert not await all_out(world.pool)
            proxy.heal()
            await until(lambda: all_out(world.pool))


async def test_an_event_that_the_topic_lost_is_published_again_and_nothing_else(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    service = Service(bootstrap, database.dsn, topics)
    async with running(service):
        cases = await filled(world, 3)
        service.relay.wake()
        await service.quiet()
        await service.relay.stop()
        lost = cases[0].case
        async with world.pool.acquire() as connection:  # as if the last record had never been in the topic
            await connection.execute("update cases set gate[2] = $2 where id = $1", lost, EACH - 1)
            assert await sweep(connection, topics, "processing") == 1
            assert await rows(world.pool, "select topic, case_id, sequence from outbox") == [
                ("cases", lost, EACH)
            ]
            assert await rows(world.pool, "select * from sent") == []
            assert await sweep(connection, topics, "processing") == 0


async def test_what_is_held_or_kept_aside_is_not_published_again(pool: Pool, world: World) -> None:
    case, *_ = await filled(world, 1, 3)
    await pool.execute("delete from outbox")
    await pool.execute("insert into positions values ('w.cases', 7, 10, 1)")
    for offset, event in enumerate(case.events):
        await pool.execute(
            "insert into sent values (0, 7, $1, $2, $3, $4)", offset, case.case, event.sequence, event.id
        )
    first, second, _ = case.events
    await pool.execute("insert into kept values ($1, 1, 1, $2, 'held', 0, 7, 0, '')", case.case, first.id)
    await pool.execute("insert into aside values ('w.cases', 7, 1, 'not stored', null, null)")
    assert second.sequence == 2
    assert await sweep(pool, "w", "processing") == 1
    assert await rows(pool, "select sequence from outbox") == [(3,)]


async def test_an_outbox_that_names_a_missing_event_stands_still_and_says_so(
    bootstrap: str, database: Database, pool: Pool, topics: str
) -> None:
    await pool.execute("insert into outbox (topic, case_id, sequence) values ('cases', $1, 1)", fresh_id())
    relay = Relay(database.dsn, bootstrap, topics, "processing")
    with pytest.raises(NoSuchEvent):
        await relay.step()
    await relay.stop()
    assert (await backlog(pool)).depth == 1


async def test_commands_are_published_within_moments_of_the_wake_up(
    bootstrap: str, database: Database, world: World, topics: str
) -> None:
    relay = Relay(database.dsn, bootstrap, topics, "processing")
    async with relaying(relay):
        case = fresh_id()
        change = Change(Loaded(case), [draft(case, note("processing", "now"))])
        await world.store.append(fresh_id(), change)
        relay.wake()
        await until(lambda: all_out(world.pool), 5)
