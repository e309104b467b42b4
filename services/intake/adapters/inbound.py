"""What upstream systems post to complaints.inbound: carried out batch by batch, and what cannot be is told back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.intake.adapters.desk import Desk
from services.intake.adapters.rejecting import Rejected
from services.intake.adapters.upstream import Message, Refusal, read_inbound, structured
from services.intake.application.acceptance import Answer
from services.intake.domain.decisions import Command
from services.intake.domain.decisions.refusal import FieldRefused
from services.intake.domain.identity import complaint_of_reference, content_command
from shared.runtime.commands import Order, Outcome
from shared.runtime.ids import derived_id
from shared.runtime.store import CaseParked
from shared.schemas.base import Actor
from shared.schemas.refused import Refused


class Record(Protocol):
    """As the client hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Inbound:
    """Acts on records so that the same ones again do no harm: what was carried out is known by its content."""

    desk: Desk

    async def take(self, records: Sequence[Record]) -> None:
        """Raises CatchingUp and Conflict, after which the same records are handed in again."""
        defaults = self.desk.defaults()
        read = [read_inbound(record.value, record.headers, record.key, defaults) for record in records]
        messages = [message for message in read if isinstance(message, Message)]
        key, now = await self.desk.content_key(), self.desk.running.clock()
        orders = [ordered(message, key, now) for message in messages]
        answers = iter(await self.desk.acceptance.carry_out_each(orders))
        refused = [
            _rejected(record, what if isinstance(what, Refusal) else _refusal(next(answers)))
            for record, what in zip(records, read, strict=True)
        ]
        await self.desk.rejections.reject([each for each in refused if each])


def ordered(message: Message, key: bytes, now: datetime, actor: Actor | None = None) -> tuple[Order, Command]:
    """The command under the id of its content, by the source system itself unless somebody hands it in for it."""
    source, reference, command = message.source_system, message.reference, message.command
    order = Order(
        case=complaint_of_reference(source, reference),
        command=content_command(source, reference, command, key),
        actor=actor or Actor(source, "UPS", "upstream"),
        now=now,
        causation=message.event_id,
        traceparent=message.traceparent,
    )
    return order, command


def _refusal(answer: Answer) -> tuple[str, str] | None:
    match answer:
        case Outcome():
            return None
        case FieldRefused():
            return answer.field, answer.code
        case Refused():
            return "body", answer.code
        case CaseParked():
            return "subject", "case-parked"


def _rejected(record: Record, refusal: Refusal | tuple[str, str] | None) -> Rejected | None:
    match refusal:
        case None:
            return None
        case Refusal():
            field, reason = refusal.field, refusal.reason
        case (field, reason):
            pass
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    raw = structured(record.value or b"", record.headers)
    return Rejected(derived_id("rejected", origin), origin, reason, field, raw, record.key)
