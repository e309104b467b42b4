"""A log on the real broker: cases told by several services, and the reporting database that reads them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

from services.reporting.adapters.ledger import PostgresLedger
from services.reporting.adapters.topics import AT_ONCE, KafkaTopics
from services.reporting.app import BLUEPRINT
from services.reporting.application.checking import Stretch
from services.reporting.application.verifying import FEW, Checker, Result, Verification
from shared.runtime.ids import fresh_id
from shared.runtime.kafka import logs_of, start_producer
from shared.runtime.postgres import Pool
from shared.runtime.receive import Receiver, Span
from shared.schemas.base import Event
from shared.schemas.codes import Channel, Origin, Urgency, Wish
from shared.schemas.intake import ComplaintClassified, ComplaintReceived, ComplaintRegistered, ProblemItem
from shared.schemas.processing import ComplaintAssigned, HandlingStarted
from tests.integration.runtime.world import draft, published


def received(number: str, channel: Channel = Channel.PHONE, unit: str | None = "claims") -> ComplaintReceived:
    return ComplaintReceived(
        case_number=number,
        origin=Origin.LIVE,
        channel=channel,
        language="de",
        time_zone="Europe/Berlin",
        received_on=date(2026, 3, 2),
        entity="default",
        unit=unit,
        subject_id=UUID(int=77),
        contactable=True,
    )


def registered(product: str = "cards") -> ComplaintRegistered:
    items = [ProblemItem(number=1, primary=True)]
    return ComplaintRegistered(items=items, product=product, wish=[Wish.REFUND])


classified = ComplaintClassified(
    item=1, category=["cards", "fees"], scheme_version="1", severity=None, urgency=Urgency.P3
)
assigned = ComplaintAssigned(owner="eva", unit="claims")
started = HandlingStarted(owner="eva")


def whole_case(number: str, product: str = "cards", channel: Channel = Channel.PHONE) -> list[Event]:
    return [received(number, channel), registered(product), classified, assigned, started]


@dataclass
class Log:
    """What was published to the module's topics, read by one service that reads as reporting does."""

    bootstrap: str
    prefix: str
    pool: Pool
    batch: int = 3
    numbers: Counter[tuple[UUID, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.receiver = Receiver("reporting", logs_of(self.prefix), BLUEPRINT.projections, BLUEPRINT.witness)

    @property
    def names(self) -> list[str]:
        return sorted(logs_of(self.prefix))

    def body(self, case: UUID, event: Event, sequence: int | None = None) -> bytes:
        """The next event of its publisher in the case, or one that claims another place."""
        place = case, event.publisher()
        if sequence is None:
            self.numbers[place] += 1
            sequence = self.numbers[place]
        return draft(case, event).body(sequence, "")

    async def publish(self, bodies: Sequence[bytes]) -> None:
        """As the relays do, one after the other."""
        producer = await start_producer(self.bootstrap)
        try:
            for body in bodies:
                key, value, headers = published(body)
                await producer.send_and_wait(f"{self.prefix}.cases", value, key, headers=list(headers))
        finally:
            await producer.stop()

    async def tell(self, *cases: Sequence[Event]) -> list[UUID]:
        """Publishes whole cases, their events interleaved."""
        ids = [fresh_id() for _ in cases]
        longest = max(map(len, cases))
        turns = [(n, case) for n in range(longest) for case in zip(ids, cases, strict=True)]
        await self.publish([self.body(case, events[n]) for n, (case, events) in turns if n < len(events)])
        return ids

    async def read(self) -> None:
        """Reads everything that has not been read yet, in small batches."""
        async with KafkaTopics(self.bootstrap, self.batch) as topics:
            for stretch in await topics.stretches(self.names):
                await self._claim(stretch)
                async for records in topics.read(replace(stretch, start=await self._next(stretch))):
                    start, end = await self._next(stretch), records[-1].offset + 1
                    span = Span(stretch.topic, stretch.part, start, end, 1, stretch.end)
                    async with self.pool.acquire() as connection:
                        await self.receiver.receive(connection, records, [span])

    async def _claim(self, stretch: Stretch) -> None:
        claim = (
            "insert into positions (topic, part, next, epoch) values ($1, $2, 0, 1) on conflict do nothing"
        )
        await self.pool.execute(claim, stretch.topic, stretch.part)

    async def _next(self, stretch: Stretch) -> int:
        question = "select next from positions where topic = $1 and part = $2"
        following: int = await self.pool.fetchval(question, stretch.topic, stretch.part)
        return following

    async def verified(
        self, checker: Checker | None = None, few: int = FEW, at_once: int = AT_ONCE
    ) -> Result:
        """The whole log against the ledger."""
        async with KafkaTopics(self.bootstrap, at_once) as topics:
            ledger = PostgresLedger(self.pool)
            return await Verification(topics, ledger, checker=checker, few=few, patience=0).run(self.names)
