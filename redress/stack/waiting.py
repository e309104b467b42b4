"""Asking again until something is so, with an end."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def until(so: Callable[[], bool], patience: float, pause: float = 0.05) -> bool:
    """Whether it became so within `patience` seconds."""
    end = time.monotonic() + patience
    while not so():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run asynchronous work to its end, also when the caller sits inside a running loop."""
    with ThreadPoolExecutor(1, "redress-stack") as pool:
        return pool.submit(asyncio.run, work).result()
