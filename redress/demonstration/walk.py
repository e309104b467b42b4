"""The demonstration's day, step by step: receive, handle, let one run late, wake one, take over history."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from aiokafka import AIOKafkaProducer

from redress.client import Client
from redress.demonstration import complaints
from redress.failures import Failure
from redress.telling import Say
from services.intake.domain.identity import complaint_of_reference
from shared.runtime.auth import Role
from shared.runtime.clock import system_clock
from shared.runtime.ids import fresh_id
from shared.schemas.topics import topic_name

PATIENCE = 60.0
LATE_BY = timedelta(days=40)
LATE, DECLINED, REOPENED, HANDLED = 2, 4, 6, 10
"""Which of the complaints run late, are declined once, are reopened; and how many are handled at all."""


@dataclass(frozen=True, slots=True)
class Received:
    """A complaint of this demonstration."""

    case: str
    number: str


class Day:
    """Acts as the company's people; run keeps one demonstration apart from the next."""

    def __init__(self, values: dict[str, str], say: Say) -> None:
        self.values, self.say = values, say
        self.run = fresh_id().hex[-8:]
        self.desk = Client(values, Role.INT, "desk-1")
        self.lead = Client(values, Role.LEAD, "lead-1")
        self.owners = [Client(values, Role.OWN, f"handler-{n}") for n in (1, 2, 3)]

    def receive(self) -> list[Received]:
        """Complaints by HTTP, German and English; one of them is a letter that lay about for weeks."""
        received = []
        for place, body in enumerate(complaints.by_http()):
            if place == LATE:
                body["occurred_at"] = (system_clock() - LATE_BY).isoformat()
            answer = self._command(self.desk, "intake", "/v1/complaints", body, f"complaint-{place}")
            received.append(Received(answer["case_id"], answer["case_number"]))
        self.say(f"received {len(received)} complaints by HTTP, the first is {received[0].number}")
        return received

    def receive_from_the_shop(self) -> list[UUID]:
        """The same through Kafka, as the web shop posts them."""
        events = list(complaints.by_kafka(self.run))
        asyncio.run(self._post(events))
        cases = [complaint_of_reference(event["source"], event["subject"]) for event in events]
        for case in cases:
            self._reaches(str(case), ("received", "registered", "classified"))
        self.say(f"received {len(cases)} complaints from the web shop through {self._inbound()}")
        return cases

    def handle(self, received: list[Received]) -> None:
        """Ten cases from assignment to rest; one is declined first, one runs late, one is woken again."""
        for place, one in enumerate(received[:HANDLED]):
            self._reaches(one.case, ("classified",))
            self._handle(place, one)
        self.say(
            f"handled {HANDLED} cases: assigned, started, closed; {received[DECLINED].number} declined once"
        )
        self._wake(received[REOPENED])

    def _handle(self, place: int, one: Received) -> None:
        owner = self.owners[place % len(self.owners)]
        self._on(self.lead, one, "assignment", {"owner": owner.sub, "unit": "customer-care"})
        if place == DECLINED:
            self._on(owner, one, "declining", {"reason": "overloaded"})
            owner = self.owners[(place + 1) % len(self.owners)]
            self._on(self.lead, one, "assignment", {"owner": owner.sub}, "again")
        self._on(owner, one, "start")
        if place == LATE:
            self._until(
                lambda: self._case(self.lead, one.case)["escalation_level"] > 0, f"escalation of {one.number}"
            )
            self.say(
                f"{one.number} arrived {LATE_BY.days} days ago: its clocks ran out, it was escalated to level 1"
            )
        self._on(owner, one, "closing", {"reason": "answered"})

    def _wake(self, one: Received) -> None:
        self._on(self.lead, one, "reopening", {"reason": "customer"})
        self.say(f"{one.number} was reopened: the customer was not content")

    # -- asking

    def _on(
        self, who: Client, one: Received, what: str, body: dict[str, Any] | None = None, key: str = ""
    ) -> None:
        path = f"/v1/cases/{one.case}/{what}"
        self._command(who, "processing", path, body, f"{one.case}-{what}-{key}")

    def _command(
        self, who: Client, service: str, path: str, body: dict[str, Any] | None, key: str
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": f"demo-{self.run}-{key}"}
        answer = who.ask(service, "POST", path, headers=headers, json=body)
        return dict(answer.json())

    def _case(self, who: Client, case: str) -> dict[str, Any]:
        answer = who.ask("processing", "GET", f"/v1/cases/{case}", accept=(404,))
        return dict(answer.json()) if answer.is_success else {}

    def _reaches(self, case: str, stages: tuple[str, ...]) -> None:
        self._until(lambda: self._case(self.lead, case).get("stage") in stages, f"case {case}")

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Failure(
                    f"waited {PATIENCE:.0f} s in vain for {what}", "see `redress status` and .run/logs"
                )
            time.sleep(0.05)

    # -- posting through Kafka

    def _inbound(self) -> str:
        return topic_name(self.values["TOPIC_PREFIX"], "inbound")

    async def _post(self, events: Iterable[dict[str, Any]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.values["KAFKA_BOOTSTRAP"], acks="all")
        await producer.start()
        try:
            for event in events:
                said = {**event, "time": system_clock().isoformat()}
                key = f"{event['source']}/{event['subject']}".encode()
                await producer.send_and_wait(self._inbound(), orjson.dumps(said), key=key)
        finally:
            await producer.stop()


def file_to_import(folder: Path) -> tuple[Path, str]:
    """The published complaints beside the project where they are, else a file made up in the same columns."""
    from redress.demonstration.generated import write
    from redress.stack.layout import REPOSITORY

    published = REPOSITORY.parent / "shared" / "data" / "cfpb_2016_349.csv"
    if published.is_file():
        return published, "published complaints of the CFPB"
    return write(folder / "generated_complaints.csv"), "a generated file in the columns of the CFPB's export"
