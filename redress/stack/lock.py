"""One change of a stack at a time."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redress.failures import NotRunning
from redress.stack import waiting
from redress.stack.layout import Layout

PATIENCE = 300.0


@contextmanager
def locked(layout: Layout, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the stack's lock; the kernel frees it however the holder ends."""
    layout.make()
    with layout.lock.open("a") as file:

        def mine() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not mine():
            say(f"another command changes the stack in {layout.run}; waiting for it")
            if not waiting.until(mine, PATIENCE, 0.1):
                raise NotRunning(
                    f"Another command has held {layout.lock} for {PATIENCE:.0f} s.",
                    "See what `redress up` or `down` still runs.",
                )
        yield
