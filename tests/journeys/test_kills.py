"""Whatever is killed, nothing that was acknowledged is lost, doubled or put out of order."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from redress.stack import Stack
from tests.journeys.conftest import throw_away_stack
from tests.journeys.killing import (
    Posting,
    disorder,
    ends_of,
    plan,
    read_all,
    received_in,
    received_on,
    settled,
    strike,
)
from tests.waiting import until

SERVICES = ("intake", "processing", "reporting")
VICTIMS = (*SERVICES, "kafka", "postgres")
TOPIC = "complaints.cases"
COMPLAINTS = 2000


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of its own: what is killed here is nobody else's."""
    stack = throw_away_stack()
    try:
        stack.up()
        yield stack
    finally:
        stack.destroy()


async def killed_while_posting(stack: Stack, seed: int, times: int) -> None:
    posting = Posting(stack, COMPLAINTS, f"run-{seed}-{times}", ceiling=0.1)
    known_before = received_on(await asyncio.to_thread(read_all, stack.env["KAFKA_BOOTSTRAP"], TOPIC))
    async with asyncio.TaskGroup() as group:  # a poster that fails ends the wait for the next kill
        group.create_task(posting.post_all())
        shares = [await strike(stack, posting, blow) for blow in plan(seed, VICTIMS, times)]
        last_kill, posting.ceiling = time.monotonic(), 1.0
    assert all(0.1 <= share <= 0.9 for share in shares), shares
    await everything_settles(stack, last_kill + 60)
    records = await asyncio.to_thread(read_all, stack.env["KAFKA_BOOTSTRAP"], TOPIC)
    acknowledged = set(posting.acknowledged.values())
    assert len(acknowledged) == COMPLAINTS
    assert received_on(records) - known_before == acknowledged
    assert disorder(records) == []
    for service in SERVICES:
        here = await received_in(stack.env[f"PG_DSN_{service.upper()}"])
        assert here - known_before == acknowledged, service


async def everything_settles(stack: Stack, deadline: float) -> None:
    """All gates closed, nothing held, the outboxes empty and every record read before the deadline."""

    async def open_ones() -> dict[str, str]:
        ends = await asyncio.to_thread(ends_of, stack.env["KAFKA_BOOTSTRAP"], TOPIC)
        found = {name: await settled(stack.env[f"PG_DSN_{name.upper()}"], ends, TOPIC) for name in SERVICES}
        return {name: what for name, what in found.items() if what}

    async def all_closed() -> bool:
        return not await open_ones()

    try:
        await until(all_closed, deadline - time.monotonic())
    except AssertionError:
        pytest.fail(f"not settled in time: {await open_ones()}")


@pytest.mark.timeout(600)
async def test_killing_every_process_once_loses_doubles_and_reorders_nothing(stack: Stack) -> None:
    await killed_while_posting(stack, seed=1, times=1)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [2, 3, 4])
async def test_killing_every_process_three_times_loses_doubles_and_reorders_nothing(
    stack: Stack, seed: int
) -> None:
    await killed_while_posting(stack, seed, times=3)
