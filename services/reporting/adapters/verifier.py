"""A process that checks some partitions for a verification: `python -m services.reporting.adapters.verifier`.

It is told what to do in one line on its standard input, and answers in lines on its standard output. Apart from the
service, so that the service goes on answering, and one for each processor.
"""

import asyncio
import gc
import sys
from dataclasses import dataclass

from pydantic import TypeAdapter

from services.reporting.adapters.ledger import PostgresLedger
from services.reporting.adapters.topics import KafkaTopics
from services.reporting.application.checking import Check, Checked, Stretch
from shared.runtime.postgres import connect_pool


@dataclass(frozen=True, slots=True)
class Task:
    """Where log and ledger are, and which partitions are to be checked."""

    bootstrap: str
    dsn: str
    stretches: list[Stretch]


@dataclass(frozen=True, slots=True)
class Line:
    """So many records and findings more, or a partition that is done."""

    records: int = 0
    findings: int = 0
    checked: Checked | None = None


TASK = TypeAdapter(Task)
LINE = TypeAdapter(Line)


def say(line: Line) -> None:
    sys.stdout.buffer.write(LINE.dump_json(line) + b"\n")
    sys.stdout.buffer.flush()


async def tell(records: int, findings: int) -> None:
    say(Line(records, findings))


async def work(task: Task) -> None:
    """Checks one partition after the other."""
    pool = await connect_pool(task.dsn, most=2, name="redress-verifier")
    try:
        async with KafkaTopics(task.bootstrap) as topics:
            await topics.take({stretch.topic for stretch in task.stretches})
            for stretch in task.stretches:
                say(Line(checked=await Check(topics, PostgresLedger(pool), stretch, tell).run()))
    finally:
        await pool.close()


def main() -> None:
    # Nothing here is ever garbage before the process ends, and looking for it costs a quarter of the time.
    gc.disable()
    asyncio.run(work(TASK.validate_json(sys.stdin.buffer.readline())))


if __name__ == "__main__":
    main()
