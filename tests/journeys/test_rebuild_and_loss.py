"""What can be read again is disposable: projections made anew amid requests, databases lost and filled from the log."""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from redress.demonstration import generated
from redress.issuer.tokens import issue_token
from redress.stack import Stack
from redress.stack.layout import REPOSITORY
from services.intake.app import BLUEPRINT as INTAKE
from services.processing.app import BLUEPRINT as PROCESSING
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from shared.runtime.projections import checksum
from tests.journeys.acting import (
    CASES,
    SERVICES,
    body,
    environment,
    everything_is_read,
    query,
    redress,
)
from tests.journeys.conftest import throw_away_stack
from tests.journeys.killing import ends_of
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

RATE = 20
BEFORE_AND_AFTER = 20
ROWS = 1000
HANDLED = 10
LOST = {"intake": INTAKE, "processing": PROCESSING}


def bearer(stack: Stack, role: Role, sub: str) -> dict[str, str]:
    token = issue_token(stack.layout.issuer_key, stack.env["OIDC_ISSUER"], [role], sub)
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Traffic:
    """Complaints at a steady rate, and readers who ask the register without a pause; every answer is counted."""

    stack: Stack
    client: httpx.AsyncClient
    product: str = field(default_factory=lambda: f"Regenschirm {fresh_id()}")
    written: Counter[int] = field(default_factory=Counter)
    read: Counter[int] = field(default_factory=Counter)
    ended: bool = False

    async def write(self) -> None:
        headers, url = bearer(self.stack, Role.INT, "desk"), self.stack.env["INTAKE_URL"] + "/v1/complaints"
        async with asyncio.TaskGroup() as group:
            while not self.ended:
                group.create_task(self._post(url, headers))
                await asyncio.sleep(1 / RATE)

    async def _post(self, url: str, headers: dict[str, str]) -> None:
        answer = await self.client.post(url, json=body(product=self.product), headers=headers)
        self.written[answer.status_code] += 1

    async def ask(self, path: str) -> None:
        headers, url = bearer(self.stack, Role.QM, "quality"), self.stack.env["REPORTING_URL"] + path
        while not self.ended:
            answer = await self.client.get(url, headers=headers)
            self.read[answer.status_code] += 1

    async def flows(self) -> None:
        """Waits for some more complaints."""
        enough = self.written.total() + BEFORE_AND_AFTER
        await until(lambda: self.written.total() >= enough)


async def rebuilt(stack: Stack, service: str, projection: str) -> tuple[int, str]:
    """The command line beside everything else that goes on: its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "redress", "rebuild", service, projection),
        cwd=REPOSITORY,
        env=environment(stack),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_projection_is_made_anew_while_complaints_come_in_and_nobody_notices(stack: Stack) -> None:
    table = "select 'register'::regclass::oid"
    dsn = stack.env["PG_DSN_REPORTING"]
    before = await query(dsn, table)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        traffic = Traffic(stack, client)
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.write())
            for path in ("/v1/register?limit=20", "/v1/register/counts?by=month,product,channel,state"):
                group.create_task(traffic.ask(path))
            await traffic.flows()
            code, said = await rebuilt(stack, "reporting", "register")
            await traffic.flows()
            traffic.ended = True
    assert code == 0, said
    told = re.search(r"register: (\d+) rows, checksum before (-?\d+), after (-?\d+)", said)
    assert told, said
    assert int(told[1]) >= BEFORE_AND_AFTER
    assert told[2] == told[3]
    assert await query(dsn, table) != before  # another table answers now
    assert (set(traffic.written), set(traffic.read)) == ({201}, {200})
    await everything_is_read(stack)
    found = await query(dsn, "select count(*) from register where product = $1", traffic.product)
    assert found[0][0] == traffic.written.total()


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was asked under its key, and how it was answered."""

    service: str
    path: str
    said: dict[str, Any]
    role: Role
    sub: str
    key: str
    answer: tuple[int, bytes, str | None] = (0, b"", None)

    async def ask(self, stack: Stack, client: httpx.AsyncClient) -> httpx.Response:
        headers = {**bearer(stack, self.role, self.sub), "Idempotency-Key": self.key}
        url = stack.env[f"{self.service.upper()}_URL"] + self.path
        return await client.post(url, json=self.said, headers=headers)


def told(answer: httpx.Response) -> tuple[int, bytes, str | None]:
    return answer.status_code, answer.content, answer.headers.get("ETag")


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """A stack of its own: what is dropped here is nobody else's."""
    own = throw_away_stack()
    try:
        own.up()
        yield own
    finally:
        own.destroy()


async def handled(stack: Stack, client: httpx.AsyncClient) -> list[Asked]:
    """Complaints under keys, each assigned, some started, closed and woken, under keys too."""
    asked: list[Asked] = []

    async def ask(service: str, path: str, said: dict[str, Any], role: Role, sub: str) -> httpx.Response:
        one = Asked(service, path, said, role, sub, f"key-{len(asked)}")

        async def done() -> httpx.Response | None:
            answer = await one.ask(stack, client)
            return answer if answer.is_success else None  # until processing has received the complaint

        answer = await client_answer(done)
        asked.append(Asked(service, path, said, role, sub, one.key, told(answer)))
        return answer

    for number in range(HANDLED):
        said = body(product=f"Lampe {number}", email=f"k{number}@example.org")
        opened = await ask("intake", "/v1/complaints", said, Role.INT, "desk")
        case = f"/v1/cases/{opened.json()['case_id']}"
        await ask("processing", f"{case}/assignment", {"owner": "eva"}, Role.LEAD, "lead")
        if number % 2:
            await ask("processing", f"{case}/closing", {"reason": "answered"}, Role.LEAD, "lead")
        if number % 4 == 3:
            await ask("processing", f"{case}/reopening", {"reason": "customer"}, Role.LEAD, "lead")
        await ask("intake", f"{case}/facts", {"kind": "forwarded"}, Role.CM, "manager")
    return asked


async def client_answer(done: Any) -> httpx.Response:
    """The first answer that is none of impatience."""
    found: list[httpx.Response] = []

    async def answered() -> bool:
        answer = await done()
        found.extend([answer] if answer is not None else [])
        return bool(found)

    await until(answered)
    return found[0]


async def kept(stack: Stack) -> dict[str, Any]:
    """What must be the same afterwards: checksums of the projections, and what is owed to whom, why and when."""
    said: dict[str, Any] = {}
    for service, blueprint in LOST.items():
        dsn = stack.env[f"PG_DSN_{service.upper()}"]
        connection = await asyncpg.connect(dsn)
        try:
            for projection in blueprint.projections:
                said[f"{service}.{projection.name}"] = await checksum(connection, projection)
        finally:
            await connection.close()
        owed = await query(dsn, "select case_id, what, cause, due from owed order by case_id, what, cause")
        said[f"{service} owes"] = [tuple(row) for row in owed]
    return said


@dataclass
class Impatient:
    """Asks the same again from the moment at which the port answers until the command is answered as it was before."""

    stack: Stack
    asked: Asked
    ends: dict[int, int]
    refusals: Counter[str] = field(default_factory=Counter)
    behind: dict[int, int] = field(default_factory=dict)

    async def ask(self, client: httpx.AsyncClient) -> httpx.Response:
        while True:
            try:
                answer = await self.asked.ask(self.stack, client)
            except httpx.TransportError:
                await asyncio.sleep(0.005)
                continue
            if answer.is_success:
                self.behind = await self._behind()
                return answer
            code = answer.json()["type"].rpartition(":")[2]
            self.refusals[f"{answer.status_code} {code}"] += 1
            await asyncio.sleep(0.005)

    async def _behind(self) -> dict[int, int]:
        question = "select part, next from positions where topic = $1"
        dsn = self.stack.env[f"PG_DSN_{self.asked.service.upper()}"]
        at = {row[0]: row[1] for row in await query(dsn, question, CASES)}
        return {part: end - at.get(part, 0) for part, end in self.ends.items() if at.get(part, 0) < end}


async def test_lost_databases_are_filled_from_the_log_and_every_answer_is_as_before(
    own: Stack, tmp_path: Path
) -> None:
    file = generated.write(tmp_path / "history.csv", ROWS)
    assert imported(own, file) == (ROWS, 0)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        asked = await handled(own, client)
        await everything_is_read(own)
        before, ends = await kept(own), ends_of(own.env["KAFKA_BOOTSTRAP"], CASES)
        assert before["processing owes"]
        own.processes.stop(*SERVICES)
        for service in LOST:
            await query(own.admin_dsn, f"drop database {service} with (force)")

        ways = ("/v1/complaints", "/facts", "/assignment")
        firsts = [next(one for one in asked if one.path.endswith(way)) for way in ways]
        impatient = [Impatient(own, one, ends) for one in firsts]
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(own.up))
            for one in impatient:
                group.create_task(one.ask(client))
        for one in impatient:
            assert set(one.refusals) == {"503 catching-up"}, one.refusals
            assert one.behind == {}

        await everything_is_read(own)
        assert await kept(own) == before
        for one in asked:
            assert told(await one.ask(own, client)) == one.answer, one
    assert imported(own, file) == (0, ROWS)
    await everything_is_read(own)
    assert ends_of(own.env["KAFKA_BOOTSTRAP"], CASES) == ends  # nothing was said twice, nothing anew


def imported(stack: Stack, file: Path) -> tuple[int, int]:
    """How many rows were new and how many known."""
    done = redress(stack, "import", str(file), "--profile", "cfpb", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    return result["new"], result["known"]
