"""Cases as the log holds them, always the same ones: a pinned seed, the published classes, bytes of a usual size."""

import random
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from uuid import UUID

from aiokafka import ConsumerRecord

from services.intake.domain.identity import case_number
from shared.runtime.gate import NOTHING
from shared.runtime.ids import fresh_id
from shared.schemas.base import PUBLISHERS, Actor, Event
from shared.schemas.codes import (
    Channel,
    ClockName,
    ClosingReason,
    FactKind,
    Origin,
    ReopeningReason,
    Urgency,
    Wish,
)
from shared.schemas.envelope import Draft, headers, serialised
from shared.schemas.intake import (
    ComplaintClassified,
    ComplaintReceived,
    ComplaintRegistered,
    ProblemItem,
    UpstreamFactReceived,
)
from shared.schemas.privacy import Sealed
from shared.schemas.processing import (
    ClockStarted,
    ComplaintAssigned,
    ComplaintClosed,
    ComplaintEscalated,
    ComplaintReopened,
    HandlingStarted,
    ObjectionSettled,
    ReminderSent,
)

SEED = 2026
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OWNER = "u-4711"
PRODUCTS = ("Credit reporting", "Debt collection", "Mortgage", "Credit card", "Bank account or service")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
AT_ONCE = 400
"""Cases that are in work at the same time."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One event of a case with its place and its bytes."""

    case: UUID
    publisher: int
    sequence: int
    id: UUID
    type: str
    body: bytes

    @property
    def stored(self) -> tuple[object, ...]:
        """Its row in `events`, as somebody else's."""
        return self.case, self.publisher, self.sequence, self.id, None, self.body


def sealed(rng: random.Random, length: int) -> Sealed:
    """As long as a sealed text of that length; nobody opens it."""
    text = [urlsafe_b64encode(rng.randbytes(size)).decode().rstrip("=") for size in (12, length + 16)]
    return Sealed(v=1, kid=str(UUID(int=rng.getrandbits(128))), nonce=text[0], ct=text[1])


def clock(name: ClockName, rounds: int = 1) -> ClockStarted:
    return ClockStarted(
        clock=name,
        started_at=NOON,
        due=NOON + timedelta(days=14),
        warn_at=NOON + timedelta(days=11),
        target=10,
        calendar_version="business-days-1",
        round=rounds,
    )


def story(rng: random.Random) -> Iterator[Event]:
    """What happens to one complaint. With 5 to 8 events it is assigned, with 10 closed, then reopened for ever."""
    yield _received(rng)
    yield _registered(rng)
    yield ComplaintClassified(
        item=1,
        category=["finance", "fees-and-interest"],
        scheme_version="1",
        severity=rng.randint(1, 5),
        urgency=Urgency.P3,
    )
    yield clock(ClockName.ACKNOWLEDGEMENT)
    yield ComplaintAssigned(owner=OWNER, unit="cards")
    yield clock(ClockName.FINAL_ANSWER)
    yield ReminderSent(clock=ClockName.ACKNOWLEDGEMENT, owner=OWNER)
    yield UpstreamFactReceived(kind=FactKind.FORWARDED, source_system="crm", label="Forwarded")
    yield HandlingStarted(owner=OWNER)
    yield ComplaintClosed(reason=ClosingReason.ANSWERED)
    for number in count(1):
        yield UpstreamFactReceived(kind=FactKind.DISPUTED, source_system="crm", label="Disputed")
        yield ComplaintReopened(reason=ReopeningReason.CUSTOMER, number=number)
        yield clock(ClockName.FINAL_ANSWER, number + 1)
        yield ComplaintEscalated(clock=ClockName.FINAL_ANSWER, level=1)
        yield ObjectionSettled(objection=UUID(int=number), finding="unfounded")
        yield ComplaintClosed(reason=ClosingReason.RESOLVED)


def _received(rng: random.Random) -> ComplaintReceived:
    return ComplaintReceived(
        case_number=case_number(2026, rng.randbytes(5)),
        origin=Origin.LIVE,
        channel=rng.choice(list(Channel)),
        language=rng.choice(("de", "en")),
        time_zone="Europe/Berlin",
        received_on=date(2026, rng.randint(1, 3), rng.randint(1, 28)),
        entity="default",
        unit="cards",
        source_system="crm",
        source_reference=str(rng.getrandbits(40)),
        subject_id=UUID(int=rng.getrandbits(128), version=4),
        contactable=True,
        name=sealed(rng, 15),
        email=sealed(rng, 25),
    )


def _registered(rng: random.Random) -> ComplaintRegistered:
    return ComplaintRegistered(
        items=[ProblemItem(number=1, primary=True, narrative=sealed(rng, rng.randint(80, 400)))],
        product=rng.choice(PRODUCTS),
        wish=[Wish.REFUND],
    )


@dataclass(slots=True)
class _Telling:
    """A case that is being told: how far each publisher has come."""

    case: UUID
    events: Iterator[Event]
    gate: list[int]

    def next(self) -> Fact | None:
        event = next(self.events, None)
        if event is None:
            return None
        publisher = PUBLISHERS.index(event.publisher())
        seen = " ".join(f"{PUBLISHERS[p]}:{n}" for p, n in enumerate(self.gate) if n and p != publisher)
        self.gate[publisher] += 1
        one = draft(self.case, event, NOON + timedelta(minutes=sum(self.gate)))
        body = one.body(self.gate[publisher], seen)
        return Fact(self.case, publisher, self.gate[publisher], one.id, one.type, body)


def draft(case: UUID, event: Event, time: datetime = NOON) -> Draft:
    """An event of usual size that lacks only its place."""
    return Draft(
        id=fresh_id(),
        subject=case,
        type=event.type,
        data=serialised(event),
        time=time,
        occurred_at=time,
        actor=Actor(OWNER, "OWN", "human"),
        command=fresh_id(),
        correlation=case,
        traceparent=TRACE,
    )


def _told(rng: random.Random, length: int) -> _Telling:
    case = UUID(int=rng.getrandbits(128), version=5)
    return _Telling(case, islice(story(rng), length), list(NOTHING))


def histories(cases: int, lengths: Sequence[int], seed: int = SEED) -> Iterator[list[Fact]]:
    """Whole cases, one after the other, their lengths by turns."""
    rng = random.Random(seed)
    for number in range(cases):
        telling = _told(rng, lengths[number % len(lengths)])
        yield [fact for _ in range(lengths[number % len(lengths)]) if (fact := telling.next())]


def traffic(events: int, length: int = 10) -> list[Fact]:
    """The events of many cases as they come in: each case in its order, some hundred cases mixed."""
    rng = random.Random(SEED)
    open_cases = [_told(rng, length) for _ in range(min(AT_ONCE, events // length + 1))]
    facts: list[Fact] = []
    while len(facts) < events:
        place = rng.randrange(len(open_cases))
        fact = open_cases[place].next()
        if fact is None:
            open_cases[place] = _told(rng, length)
        else:
            facts.append(fact)
    return facts


def records(facts: Sequence[Fact], topic: str, partitions: int) -> list[ConsumerRecord]:
    """The facts as a client would hand them over."""
    ends = [0] * partitions
    made = []
    for fact in facts:
        part = fact.case.int % partitions
        made.append(_record(fact, topic, part, ends[part]))
        ends[part] += 1
    return made


def _record(fact: Fact, topic: str, part: int, offset: int) -> ConsumerRecord:
    key, milliseconds = key_of(fact), int(NOON.timestamp() * 1000)
    sizes = len(key), len(fact.body)
    return ConsumerRecord(
        topic, part, offset, milliseconds, 0, key, fact.body, None, *sizes, headers_of(fact)
    )


def key_of(fact: Fact) -> bytes:
    return str(fact.case).encode()


def headers_of(fact: Fact) -> list[tuple[str, bytes]]:
    return headers(fact.type, fact.id, PUBLISHERS[fact.publisher], fact.sequence, TRACE)
