"""Bulk opening: many complaints in one go, each decided, sealed under keys of its own and appended for itself."""

import random
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from bench.corpus import NOON, PRODUCTS, SEED, TRACE
from bench.floors import copies
from bench.measuring import Figure, Run, Section, by_turns, rates, timed
from bench.place import Place
from services.intake.domain.decisions import decide
from services.intake.domain.decisions.occasion import Occasion, Opening
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.defaults import category_scheme
from services.intake.domain.identity import case_number, complaint_of_reference
from services.intake.domain.scheme import scheme_of
from shared.case import Case, fold
from shared.runtime.commands import Office, Order, Outcome
from shared.runtime.ids import fresh_id
from shared.runtime.keyring import Keyring
from shared.runtime.sealing import Sealer
from shared.runtime.store import PostgresCaseStore
from shared.schemas.base import Actor, Decided, Event
from shared.schemas.codes import Channel, Origin, Wish
from shared.schemas.intake import ComplaintReceived

SIZES = (500, 2_000)
COMPLAINTS_A_SECOND = 2_000
CRM = Actor("crm", "UPS", "upstream")
SCHEME = scheme_of(category_scheme())
WORDS = (
    "charged",
    "twice",
    "and",
    "nobody",
    "has",
    "answered",
    "since",
    "the",
    "letter",
    "came",
    "in",
    "March",
)


async def measure(place: Place) -> Section:
    figures: list[Figure] = []
    notes: list[str] = []
    async with place.pool("intake") as pool, place.keyring("intake") as keyring:
        opening = _Bulk(
            Office(PostgresCaseStore(pool, "intake"), Sealer(keyring), fold, _subject, _may_decide), keyring
        )
        for size in SIZES:
            total = max(size, place.many(COMPLAINTS_A_SECOND) // size * size)

            async def ours(size: int = size, total: int = total) -> Run:
                await place.empty("intake")
                batches = [opening.complaints(size) for _ in range(total // size)]
                return await timed(opening.open(batches))

            await ours()
            bodies = [row[0] for row in await pool.fetch("select body from events")]
            each = len(bodies) / total

            async def floor(size: int = size, bodies: list[bytes] = bodies, each: float = each) -> Run:
                await place.empty("intake")
                return await timed(copies(pool, bodies, int(size * each)))

            first, second = await by_turns(floor, ours)
            figures.append(rates(f"bulk opening, batches of {size:,}", "events/s", first, second))
            rate = sorted(run.rate for run in second)[len(second) // 2] / each
            notes.append(f"batches of {size:,}: {rate:,.0f} complaints/s, {each:.1f} events a complaint")
    notes.append(
        "with subjects and two new keys a complaint from the keyring; the floor is COPY of the same bytes"
    )
    return Section(figures, notes)


class _Bulk:
    """Opens complaints that nobody has heard of before, told by a source."""

    def __init__(self, office: Office[Case], keyring: Keyring) -> None:
        self.office, self.keyring, self.rng = office, keyring, random.Random(SEED)

    def complaints(self, count: int) -> list[tuple[UUID, Receive]]:
        told = (_complaint(self.rng) for _ in range(count))
        return [(complaint_of_reference("crm", one.source_reference or ""), one) for one in told]

    async def open(self, batches: Sequence[Sequence[tuple[UUID, Receive]]]) -> int:
        """Answers how many events were made."""
        made = 0
        for batch in batches:
            subjects = await self.keyring.subjects_for({case: told.email for case, told in batch})
            orders = [(_order(case), self._deciding(told, subjects[case])) for case, told in batch]
            outcomes = await self.office.carry_out_each(orders)
            made += sum(len(outcome.events) for outcome in outcomes if isinstance(outcome, Outcome))
        return made

    def _deciding(self, told: Receive, subject: UUID) -> Callable[[Case], Awaitable[Sequence[Decided]]]:
        occasion = Occasion(NOON, CRM, SCHEME, Opening(case_number(2026, self.rng.randbytes(5)), subject))

        async def deciding(case: Case) -> Sequence[Decided]:
            return decide(told, case, occasion)

        return deciding


def _order(case: UUID) -> Order:
    return Order(case, fresh_id(), CRM, NOON, traceparent=TRACE)


def _complaint(rng: random.Random) -> Receive:
    number = rng.getrandbits(60)
    return Receive(
        origin=Origin.LIVE,
        channel=rng.choice(list(Channel)),
        language="en",
        time_zone="Europe/Berlin",
        entity="default",
        source_system="crm",
        source_reference=str(number),
        product=rng.choice(PRODUCTS),
        wish=(Wish.REFUND,),
        category=("finance", "fees-and-interest"),
        severity=rng.randint(1, 5),
        name=f"Erika Muster {number % 997}",
        email=f"erika.{number}@example.org",
        narrative=" ".join(rng.choices(WORDS, k=rng.randint(20, 80))),
        details={"state": "TX", "zip": "770XX"},
    )


def _subject(_: Case, events: Sequence[Event]) -> UUID | None:
    received = (event.subject_id for event in events if isinstance(event, ComplaintReceived))
    return next(received, None)


def _may_decide() -> None:
    """There is nothing to catch up with."""
