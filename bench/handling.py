"""Load, fold, decide, seal, append: one command of handling on a case of five to eight events."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import cycle
from uuid import UUID

from bench.corpus import NOON, OWNER, TRACE, histories
from bench.floors import inserts
from bench.measuring import Figure, Run, Section, by_turns, rates, writing
from bench.place import Place
from bench.seeding import seed
from services.processing.domain.decisions import Command, decide
from services.processing.domain.decisions.assigning import Assign, Decline, StartHandling
from services.processing.domain.decisions.closing import Close
from services.processing.domain.defaults import CALENDAR, DEADLINES
from services.processing.domain.occasion import Occasion, rules_of
from shared.case import Case, fold
from shared.case.record import Record
from shared.runtime.commands import Office, Order
from shared.runtime.ids import fresh_id
from shared.runtime.sealing import Sealer
from shared.runtime.store import PostgresCaseStore
from shared.schemas.base import Actor, Decided, Event
from shared.schemas.codes import ClosingReason, DecliningReason
from shared.schemas.privacy import Clear

GOALS = {1: 0.35, 16: 0.15}
LENGTHS = (5, 6, 7, 8)
CASES_A_SECOND = 2_000
NOW = NOON.replace(month=4)
RULES = rules_of(DEADLINES, CALENDAR)
OWN, LEAD = Actor(OWNER, "OWN", "human"), Actor("u-0815", "LEAD", "human")
Given = tuple[Command, Actor]

ASSIGN: Given = Assign("u-4712"), LEAD
START: Given = StartHandling(), OWN
CLOSE: Given = Close(ClosingReason.RESOLVED, "refund"), LEAD
DECLINE: Given = Decline(DecliningReason.OVERLOADED, Clear(text="On leave until Monday.")), OWN
A_DAY = (ASSIGN, START, ASSIGN, START, CLOSE, ASSIGN, START, ASSIGN, CLOSE, DECLINE)
"""Of ten commands one carries personal text, which makes a key of its case."""


async def measure(place: Place) -> Section:
    figures = [
        await _of(place, writers, A_DAY, "load + fold + decide + append", goal)
        for writers, goal in GOALS.items()
    ]
    figures.append(await _of(place, 16, (DECLINE,), "the same, every event with a new key", None))
    return Section(
        figures, ["cases of 5 to 8 events; one command in ten has personal text and makes its case's key"]
    )


async def _of(place: Place, writers: int, commands: Sequence[Given], what: str, goal: float | None) -> Figure:
    cases = list(histories(place.many(CASES_A_SECOND), LENGTHS))
    body = max((fact.body for fact in cases[0]), key=len)
    async with place.pool("processing", writers) as pool, place.keyring("processing") as keyring:
        store, sealer = PostgresCaseStore(pool, "processing"), Sealer(keyring)
        office = Office(store, sealer, fold, _subject, _may_decide)

        async def floor() -> Run:
            await place.empty("processing")
            return await writing(writers, place.seconds, inserts(pool, body))

        async def ours() -> Run:
            await place.empty("processing")
            known = await seed(pool, cases, "processing")
            await place.settle("processing")
            return await writing(writers, place.seconds, _commands(office, list(known), commands))

        first, second = await by_turns(floor, ours)
    named = "1 writer" if writers == 1 else f"{writers} writers"
    return rates(f"{what}, {named}", "commands/s", first, second, goal=goal)


def _commands(
    office: Office[Case], cases: Sequence[UUID], commands: Sequence[Given]
) -> Iterator[Awaitable[object]]:
    for case, (command, actor) in zip(cases, cycle(commands), strict=False):
        order = Order(case, fresh_id(), actor, NOW, traceparent=TRACE)
        yield office.carry_out(order, _deciding(command, actor))


def _deciding(command: Command, actor: Actor) -> Callable[[Case], Awaitable[Sequence[Decided]]]:
    occasion = Occasion(NOW, actor.id, actor.role, RULES)

    async def deciding(case: Case) -> Sequence[Decided]:
        return decide(command, case, occasion)

    return deciding


def _subject(case: Case, _: Sequence[Event]) -> UUID | None:
    return case.record.subject_id if isinstance(case.record, Record) else None


def _may_decide() -> None:
    """There is nothing to catch up with."""
