"""From a command to stored events: load the case, fold, decide, seal, append; decide again if it moved on meanwhile.

Once per command: a command id is spent by the events that carry it. Whoever asks again gets those events, and every
answer is a function of them, so it is the same after a rebuild. A refusal spends nothing.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from shared.runtime.ids import Ids, fresh_id
from shared.runtime.sealing import Sealer
from shared.runtime.store import CaseParked, CaseStore, Change, Conflict, Loaded, Stored
from shared.runtime.telemetry import APPEND_CONFLICTS
from shared.schemas.base import PUBLISHERS, Actor, Dated, Decided, Event, Recorded
from shared.schemas.envelope import Draft, read, serialised
from shared.schemas.refused import Refused

S = TypeVar("S")
Decide: TypeAlias = Callable[[S], Awaitable[Sequence[Decided]]]
SubjectOf: TypeAlias = Callable[[S, Sequence[Event]], UUID | None]
MOST_TRIES = 5


class CatchingUp(Exception):
    """The service has not yet read its own past: it decides nothing before it has."""


class KeyReused(Exception):
    """The command id was spent by a request with another body."""


class Stale(Exception):
    """The case is not as the caller saw it: own is the last own sequence now."""

    def __init__(self, own: int) -> None:
        super().__init__(f"the own sequence is {own}")
        self.own = own


@dataclass(frozen=True, slots=True)
class Order:
    """All about a command but its content: which case, under which id, by whom, when, under which conditions.

    if_match is the own sequence that the caller saw; fingerprint the SHA-256 of the request's body.
    """

    case: UUID
    command: UUID
    actor: Actor
    now: datetime
    log: str = "cases"
    causation: str | None = None
    policy_version: str | None = None
    traceparent: str | None = None
    fingerprint: bytes | None = None
    if_match: frozenset[int] | None = None
    past_forks: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The events that the command made, now or when it was first given; none if there was nothing to do."""

    case: UUID
    events: tuple[Recorded, ...]
    own: int
    new: bool


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """What was decided about a case in the state in which it stood."""

    order: Order
    loaded: Loaded
    state: S
    decided: Sequence[Decided]


class Office(Generic[S]):
    """Where one service decides about its cases.

    check raises CatchingUp while nothing may be decided; subject_of names whose data key seals an event.
    """

    def __init__(
        self,
        store: CaseStore,
        sealer: Sealer,
        fold: Callable[[Iterable[Recorded]], S],
        subject_of: SubjectOf[S],
        check: Callable[[], None],
        ids: Ids = fresh_id,
        appended: Callable[[], None] = lambda: None,
    ) -> None:
        self.store, self.sealer, self.fold, self.subject_of = store, sealer, fold, subject_of
        self.check, self.ids, self.appended = check, ids, appended

    async def look(self, case: UUID) -> tuple[Loaded, S]:
        """The case as it stands here, and its state."""
        loaded = await self.store.load(case)
        return loaded, self.state(loaded)

    def state(self, loaded: Loaded) -> S:
        """The fold of what is held. Raises CaseParked where it must not be folded."""
        if loaded.parked or loaded.forks:
            raise CaseParked(loaded.case, loaded.parked or "forked")
        return self.fold(read(event.body) for event in loaded.events)

    async def carry_out(self, order: Order, decide: Decide[S]) -> Outcome:
        """Raises Refused, Conflict, CaseParked, CatchingUp, KeyReused, Stale, TooLarge."""
        self.check()
        for attempt in range(1, MOST_TRIES + 1):
            loaded = await self.store.load(order.case)
            if spent := loaded.answer(order.command):
                return await self._spent(order, spent)
            self._stands(order, loaded)
            state = self._state_for(order, loaded)
            decided = await decide(state)
            if not decided:
                return Outcome(order.case, (), loaded.own, new=False)
            (change,) = await self.changes([Decision(order, loaded, state, decided)])
            try:
                await self.store.append(order.command, change)
            except Conflict:
                APPEND_CONFLICTS.labels(self.store.publisher).inc()
                if attempt == MOST_TRIES:
                    raise
                continue
            self.appended()
            return self._just_made(change)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def carry_out_each(
        self, orders: Sequence[tuple[Order, Decide[S]]]
    ) -> list[Outcome | Refused | CaseParked]:
        """Many cases, each for itself: one load, one sealing, one append; what lost a race is decided singly.

        Answers in the order asked. A case that is asked for twice is decided twice, one after the other.
        """
        self.check()
        first: dict[UUID, int] = {}
        for position, (order, _) in enumerate(orders):
            first.setdefault(order.case, position)
        done = await self._each_at_once([(n, *orders[n]) for n in first.values()])
        answers: list[Outcome | Refused | CaseParked] = []
        for position, (order, decide) in enumerate(orders):
            answers.append(done[position] if position in done else await self._singly(order, decide))
        return answers

    async def changes(self, decisions: Sequence[Decision[S]]) -> list[Change]:
        """The decisions with ids and times, sealed in one go and serialised: ready to be appended."""
        placed = []
        for decision in decisions:
            order = decision.order
            events = [one.event if isinstance(one, Dated) else one for one in decision.decided]
            subject = self.subject_of(decision.state, events) or order.case
            for one, event in zip(decision.decided, events, strict=True):
                occurred = one.occurred_at if isinstance(one, Dated) else order.now
                placed.append((order, self.ids(), subject, event, occurred))
        sealed = await self.sealer.seal(
            [(made_id, subject, o.case, event) for o, made_id, subject, event, _ in placed]
        )
        drafts: dict[UUID, list[Draft]] = {}
        for (order, event_id, _, _, occurred), event in zip(placed, sealed, strict=True):
            drafts.setdefault(order.command, []).append(_draft(order, event_id, event, occurred))
        return [_change(decision, drafts[decision.order.command]) for decision in decisions]

    def _state_for(self, order: Order, loaded: Loaded) -> S:
        if order.past_forks and not loaded.parked:
            return self.fold(read(event.body) for event in loaded.events)
        return self.state(loaded)

    def _stands(self, order: Order, loaded: Loaded) -> None:
        if order.if_match is not None and loaded.own not in order.if_match:
            raise Stale(loaded.own)

    async def _spent(self, order: Order, spent: Sequence[Stored]) -> Outcome:
        if order.fingerprint is not None:
            asked = await self.store.fingerprint(order.command)
            if asked is not None and asked != order.fingerprint:
                raise KeyReused
        return made(order.case, spent, new=False)

    async def _each_at_once(
        self, orders: Sequence[tuple[int, Order, Decide[S]]]
    ) -> dict[int, Outcome | Refused | CaseParked]:
        present = await self.store.load_many([order.case for _, order, _ in orders])
        done: dict[int, Outcome | Refused | CaseParked] = {}
        decided: list[Decision[S]] = []
        places: dict[UUID, int] = {}
        for position, order, decide in orders:
            loaded = present.get(order.case, Loaded(order.case))
            answer = await self._decided(order, loaded, decide)
            if isinstance(answer, Decision):
                decided.append(answer)
                places[order.case] = position
            else:
                done[position] = answer
        changes = await self.changes(decided)
        asked = {
            one.order.case: (one.order.command, change) for one, change in zip(decided, changes, strict=True)
        }
        won = await self.store.append_each(asked)
        self.appended()
        return done | {places[case]: self._just_made(asked[case][1]) for case in won}

    def _just_made(self, change: Change) -> Outcome:
        """What `made` answers for these events, without reading back what has just been written."""
        loaded, drafts = change.loaded, change.drafts
        seen = loaded.seen(PUBLISHERS.index(self.store.publisher))
        events = tuple(draft.recorded(n, seen) for n, draft in enumerate(drafts, loaded.own + 1))
        return Outcome(loaded.case, events, loaded.own + len(drafts), new=True)

    async def _decided(
        self, order: Order, loaded: Loaded, decide: Decide[S]
    ) -> Outcome | Refused | CaseParked | Decision[S]:
        if spent := loaded.answer(order.command):
            return made(order.case, spent, new=False)
        try:
            state = self._state_for(order, loaded)
            decided = await decide(state)
        except (Refused, CaseParked) as refusal:
            return refusal
        if not decided:
            return Outcome(order.case, (), loaded.own, new=False)
        return Decision(order, loaded, state, decided)

    async def _singly(self, order: Order, decide: Decide[S]) -> Outcome | Refused | CaseParked:
        try:
            return await self.carry_out(order, decide)
        except (Refused, CaseParked) as refusal:
            return refusal


def made(case: UUID, events: Sequence[Stored], *, new: bool) -> Outcome:
    """What a command's stored events answer, the first time and every time after."""
    return Outcome(case, tuple(read(event.body) for event in events), events[-1].sequence, new)


def _change(decision: Decision[S], drafts: Sequence[Draft]) -> Change:
    order = decision.order
    return Change(decision.loaded, drafts, order.log, order.fingerprint, order.past_forks)


def _draft(order: Order, event_id: UUID, event: Event, occurred: datetime) -> Draft:
    return Draft(
        id=event_id,
        subject=order.case,
        type=event.type,
        data=serialised(event),
        event=event,
        time=order.now,
        occurred_at=min(occurred, order.now),
        actor=order.actor,
        command=order.command,
        correlation=order.case,
        causation=order.causation,
        policy_version=order.policy_version,
        traceparent=order.traceparent,
    )
