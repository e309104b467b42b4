"""Waiting for a condition with a deadline, the only way in which a test waits."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object | Awaitable[object]], patience: float = 30.0) -> None:
    """Asks again until the condition holds; fails with its last answer after so many seconds."""
    end = time.monotonic() + patience
    while not (answer := await _asked(condition)):
        assert time.monotonic() < end, f"still not so after {patience} s: {answer!r}"
        await asyncio.sleep(0.01)


async def _asked(condition: Callable[[], object | Awaitable[object]]) -> object:
    answer = condition()
    return await answer if inspect.isawaitable(answer) else answer
