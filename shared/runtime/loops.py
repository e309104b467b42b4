"""Work that never ends: a step again and again, slower while there is nothing to do, stopped between two steps."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from shared.runtime.postgres import database_is_away

log = structlog.get_logger()
LONGEST_BACK_OFF = 5.0


class Loop:
    """Repeats step, which answers how much it did. Rests longer the longer nothing was done; wake ends a rest.

    rest_least and rest_most are seconds. An error is logged and tried again with back-off: a loop never ends by one.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[int]],
        *,
        rest_least: float = 0.02,
        rest_most: float = 0.5,
    ) -> None:
        self.name, self.step = name, step
        self.least, self.most = rest_least, rest_most
        self._wake, self._stopping = asyncio.Event(), False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """There may be something to do now."""
        self._wake.set()

    async def stop(self, within: float = 10.0) -> None:
        """Lets the step in hand finish; after so many seconds it is cut off, which it must survive as a crash would."""
        self._stopping = True
        self._wake.set()
        if self._task:
            _, late = await asyncio.wait([self._task], timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        rest, back_off = self.least, 0.1
        while not self._stopping:
            self._wake.clear()
            try:
                done = await self.step()
                back_off = 0.1
            except Exception as error:  # noqa: BLE001 - the loop is what keeps the service alive
                away = database_is_away(error)
                note = log.warning if away else log.error
                note("a step failed and is tried again", worker=self.name, exc_info=error)
                await self._rest(back_off)
                back_off = min(LONGEST_BACK_OFF, back_off * 2)
                continue
            rest = self.least if done else min(self.most, rest * 1.5)
            if not done:
                await self._rest(rest)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
