"""What people, systems and operators do in the journeys, and where one looks for what came of it."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from redress.client import Client
from redress.issuer.tokens import issue_token
from redress.stack import Stack
from redress.stack.layout import REPOSITORY
from shared.runtime.auth import Role
from shared.runtime.clock import system_clock
from shared.runtime.ids import fresh_id
from tests.journeys.killing import ends_of
from tests.waiting import until

SERVICES = ("intake", "processing", "reporting")
CASES, INBOUND, REJECTED = (f"complaints.{name}" for name in ("cases", "inbound", "rejected"))


class Member(Client):
    """A caller whose token names units, as a member of some of them has it."""

    def __init__(self, values: Mapping[str, str], role: Role, sub: str, units: Sequence[str]) -> None:
        super().__init__(values, role, sub)
        self._key, self._issuer, self._units = Path(values["OIDC_KEY_FILE"]), values["OIDC_ISSUER"], units

    def _token(self) -> str:
        return issue_token(self._key, self._issuer, [self.role], self.sub, units=self._units)


@dataclass(frozen=True, slots=True)
class Opened:
    """A complaint that was received; token is what its answer gave for reading one's own writes."""

    case: str
    number: str
    token: str


def body(**said: Any) -> dict[str, Any]:
    """A complaint that lacks nothing."""
    return {
        "channel": "phone",
        "language": "de",
        "product": "Kaffeemaschine",
        "category": ["goods", "defect"],
        "severity": 3,
        "narrative": "Die Maschine leckt seit dem ersten Tag.",
        "name": "Brigitte Beispiel",
        "email": "brigitte@example.org",
        "wish": ["repair"],
        "unit": "customer-care",
        **said,
    }


def receive(who: Client, *, key: str | None = None, **said: Any) -> Opened:
    """Posts a complaint by HTTP."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = who.ask("intake", "POST", "/v1/complaints", json=body(**said), headers=headers)
    told = answer.json()
    return Opened(told["case_id"], told["case_number"], answer.headers["Redress-Token"])


def tell(
    who: Client,
    case: str,
    what: str,
    said: Mapping[str, Any] | None = None,
    *,
    token: str = "",
    accept: tuple[int, ...] = (),
    **headers: str,
) -> httpx.Response:
    """A command on a case at processing; headers by their names with underscores."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Redress-Token"] = token
    path = f"/v1/cases/{case}/{what}"
    return who.ask("processing", "POST", path, json=said, headers=sent, accept=accept)


def seen(who: Client, service: str, path: str, token: str = "", **params: str) -> dict[str, Any]:
    """What a service shows once it has read what the token names."""
    headers = {"Redress-Token": token} if token else {}
    return dict(who.ask(service, "GET", path, headers=headers, params=params).json())


def problem(answer: httpx.Response) -> tuple[int, str]:
    """A refusal's status and code."""
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def upstream(reference: str, source: str = "web-shop", **said: Any) -> dict[str, Any]:
    """A complaint as an upstream system posts it."""
    return {
        "specversion": "1.0",
        "id": str(fresh_id()),
        "source": source,
        "subject": reference,
        "type": "upstream.complaint.v1",
        "time": system_clock().isoformat(),
        "data": body(**said),
    }


@dataclass(frozen=True, slots=True)
class Record:
    """What a plain producer sends, and where it shall stand."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


def publish(stack: Stack, topic: str, records: Iterable[Record]) -> list[tuple[int, int]]:
    """Partition and offset of each record, once the broker has them all."""
    places: dict[int, tuple[int, int]] = {}
    producer = Producer({"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP"], "acks": "all", "linger.ms": 2})

    def noted(number: int) -> Any:
        def done(error: object, message: Message) -> None:
            assert error is None, error
            places[number] = message.partition(), message.offset()

        return done

    for number, record in enumerate(records):
        where = {} if record.partition is None else {"partition": record.partition}
        producer.produce(
            topic, record.value, record.key, headers=list(record.headers), on_delivery=noted(number), **where
        )
    assert producer.flush(30) == 0
    return [places[number] for number in sorted(places)]


def post(stack: Stack, event: Mapping[str, Any], partition: int | None = None) -> tuple[int, int]:
    """Posts an upstream event to complaints.inbound under its usual key."""
    key = f"{event['source']}/{event['subject']}".encode()
    (place,) = publish(stack, INBOUND, [Record(key, orjson.dumps(event), partition=partition)])
    return place


def everything_on(bootstrap: str, topic: str) -> Iterator[Message]:
    """Every record of a topic that a consumer can still read."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "plain-reader", "enable.auto.commit": False}
    )
    try:
        left: dict[int, int] = {}
        start = []
        for number in consumer.list_topics(topic, 10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
            if low < high:
                left[number] = high
                start.append(TopicPartition(topic, number, low))
        consumer.assign(start)
        while left:
            for message in consumer.consume(2000, 0.05):  # it waits as long for as many, at the end in vain
                assert message.error() is None, message.error()
                yield message
                if message.offset() + 1 >= left.get(message.partition(), 1 << 62):
                    del left[message.partition()]
    finally:
        consumer.close()


def environment(stack: Stack) -> dict[str, str]:
    """What an operator's shell has who works with this stack and no other."""
    others = {name: value for name, value in os.environ.items() if name not in stack.env}
    return {**others, "REDRESS_RUN": str(stack.layout.run)}


def redress(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, as an operator of this stack has it."""
    return subprocess.run(
        [sys.executable, "-m", "redress", *arguments],
        cwd=REPOSITORY,
        env=environment(stack),
        capture_output=True,
        text=True,
        check=False,
    )


async def query(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """What a database answers on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def everything_is_read(stack: Stack, patience: float = 60.0) -> None:
    """Waits until every service has published, read and folded all that there is, and owes nothing that is due."""
    with Client(stack.env, Role.OPS) as client:

        async def settled() -> bool:
            states = [client.ask(name, "GET", "/v1/operations/state").json() for name in SERVICES]
            if any(state["lag"] or state["outbox_depth"] or state["marked"] for state in states):
                return False
            ends = _ends(stack)  # a service knows them as they were a second ago
            at_end = all(
                state["positions"].get(part, 0) >= end for state in states for part, end in ends.items()
            )
            return at_end and not any([await _due(stack, name) for name in SERVICES])

        await until(settled, patience)


def _ends(stack: Stack) -> dict[str, int]:
    ends = ends_of(stack.env["KAFKA_BOOTSTRAP"], CASES)
    return {f"{CASES}/{part}": end for part, end in ends.items()}


async def _due(stack: Stack, service: str) -> int:
    """Owed work whose moment has come; that of an erasure waits for a minute of its own."""
    question = "select count(*) from owed where state = 'due' and due <= now() and what <> 'erasure'"
    ((count,),) = await query(stack.env[f"PG_DSN_{service.upper()}"], question)
    return int(count)


async def gate_of(stack: Stack, service: str, case: str) -> asyncpg.Record | None:
    """What a service holds of a case: how far each publisher was accepted, forks, and why it is parked."""
    question = "select gate, forks, parked from cases where id = $1"
    found = await query(stack.env[f"PG_DSN_{service.upper()}"], question, UUID(case))
    return found[0] if found else None
