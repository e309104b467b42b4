"""Starting before the others are there: ask again with back-off, and say what is being waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger()
FIRST, LONGEST = 0.1, 5.0


class Patience:
    """What a process waits for at the moment, for its readiness and its log; None when for nothing."""

    def __init__(self) -> None:
        self.waiting_for: str | None = "its start"

    async def until(self, what: str, ask: Callable[[], Awaitable[T]], longest: float = LONGEST) -> T:
        """The answer of ask, which raises as long as the other side is not there; asked every longest seconds in the
        end."""
        self.waiting_for, pause = what, FIRST
        while True:
            try:
                answer = await ask()
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the other side may pass
                if pause >= longest or pause == FIRST:
                    log.warning("waiting", waiting_for=what, error=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(longest, pause * 2)
            else:
                self.waiting_for = None
                return answer
