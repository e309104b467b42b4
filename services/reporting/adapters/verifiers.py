"""Partitions checked by as many processes as the machine has processors, the service's own left alone."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from services.reporting.adapters.verifier import LINE, TASK, Line, Task
from services.reporting.application.checking import Checked, Stretch, Tell

LONGEST_LINE = 64 * 1024 * 1024


class Broken(Exception):
    """A process ended before it had done what it was told."""


@dataclass(frozen=True, slots=True)
class Verifiers:
    """Implements Checker."""

    bootstrap: str
    dsn: str

    async def __call__(self, stretches: Sequence[Stretch], tell: Tell) -> AsyncIterator[Checked]:
        lines: asyncio.Queue[Line | BaseException] = asyncio.Queue()
        shares = shared_out(stretches, os.cpu_count() or 1)
        tasks = [asyncio.create_task(self._run(share, lines)) for share in shares]
        try:
            left = len(stretches)
            while left:
                line = await lines.get()
                if isinstance(line, BaseException):
                    raise line
                if line.checked:
                    left -= 1
                    yield line.checked
                else:
                    await tell(line.records, line.findings)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, share: list[Stretch], lines: "asyncio.Queue[Line | BaseException]") -> None:
        try:
            await self._follow(share, lines)
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the lines
            lines.put_nowait(error)

    async def _follow(self, share: list[Stretch], lines: "asyncio.Queue[Line | BaseException]") -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.reporting.adapters.verifier"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(TASK.dump_json(Task(self.bootstrap, self.dsn, share)) + b"\n")
            await process.stdin.drain()
            async for line in process.stdout:
                lines.put_nowait(LINE.validate_json(line))
            if code := await process.wait():
                raise Broken(f"a verifier ended with code {code}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def shared_out(stretches: Sequence[Stretch], processes: int) -> list[list[Stretch]]:
    """The partitions shared out so that nobody has much more to do than another; no share is empty."""
    shares: list[list[Stretch]] = [[] for _ in range(max(1, min(processes, len(stretches))))]
    for stretch in sorted(stretches, key=_size, reverse=True):
        min(shares, key=lambda share: sum(map(_size, share))).append(stretch)
    return [share for share in shares if share]


def _size(stretch: Stretch) -> int:
    return stretch.end - stretch.start
