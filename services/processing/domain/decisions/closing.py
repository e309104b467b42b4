"""Bringing a case to rest, by a person or because its source did, and waking it."""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from services.processing.domain.decisions.standing import (
    LEADERS,
    SYSTEM,
    Right,
    received,
    require_ours,
    require_right,
)
from services.processing.domain.occasion import Occasion
from shared.case import Case
from shared.case.ownership import Handling
from shared.case.provenance import SourceFact
from shared.case.record import Record
from shared.schemas.base import Dated, Decided
from shared.schemas.codes import ClosingReason, FactKind, ReopeningReason
from shared.schemas.processing import ComplaintClosed, ComplaintReopened
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class Close:
    """outcome is a code."""

    reason: ClosingReason
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class CloseBySource:
    """fact is the id of the event in which the source said so."""

    fact: UUID


@dataclass(frozen=True, slots=True)
class Reopen:
    """fact is the id of the event that made it necessary, if one did."""

    reason: ReopeningReason
    fact: UUID | None = None


Command: TypeAlias = Close | CloseBySource | Reopen

MAY_CLOSE = Right(anywhere=LEADERS, own=frozenset({"OWN"}))
MAY_REOPEN = Right(anywhere=LEADERS, own=frozenset({"OWN"}))


def decide(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    match command:
        case Close():
            return _close(command, case, occasion)
        case CloseBySource():
            return _close_by_source(command, case)
        case Reopen(ReopeningReason.LATE_FACT):
            return _repair(command, case, occasion)
        case Reopen():
            return _reopen(command, case, occasion)


def _close(command: Close, case: Case, occasion: Occasion) -> list[Decided]:
    require_ours(case)
    require_right(MAY_CLOSE, case, occasion)
    if command.reason is ClosingReason.BY_SOURCE:
        raise Refused("by-source", "Only what the source said closes a case by source: name your own reason.")
    if not case.course.open:
        return []
    if occasion.role not in MAY_CLOSE.anywhere and not isinstance(case.ownership, Handling):
        raise Refused("not-started", "Start handling the case before you close it.")
    if case.objections.open:
        names = ", ".join(sorted(map(str, case.objections.open)))
        raise Refused("open-objections", f"Settle what the customer objected to first: {names}.")
    return [ComplaintClosed(reason=command.reason, outcome=command.outcome)]


def closing_fact(case: Case) -> SourceFact | None:
    """What the source said last about its closing, if that is not placed and in order: received, answered, closed.

    Only an answer told before it counts: one told later cannot be waited for, and whether this service has read it yet
    must make no difference.
    """
    closed = case.provenance.latest(FactKind.CLOSED)
    if not isinstance(case.record, Record) or case.provenance.ours or closed is None:
        return None
    before = case.provenance.facts[: case.provenance.facts.index(closed)]
    answers = (fact.occurred_at for fact in before if fact.kind is FactKind.ANSWERED)
    earliest = max([case.record.occurred_at, *answers])
    return closed if closed.event not in case.provenance.placed and closed.occurred_at >= earliest else None


def _close_by_source(command: CloseBySource, case: Case) -> list[Decided]:
    received(case)
    if command.fact in case.provenance.placed:
        return []
    fact = closing_fact(case)
    if fact is None or fact.event != command.fact:
        raise Refused(
            "not-placed",
            "The source's closing is out of order, not its last word, or the case is ours by now.",
        )
    closed = ComplaintClosed(reason=ClosingReason.BY_SOURCE, outcome=fact.label, fact=fact.event)
    return [Dated(closed, fact.occurred_at)]


def _repair(command: Reopen, case: Case, occasion: Occasion) -> list[Decided]:
    """A closing and an objection missed each other: what was not known then wakes the case."""
    require_ours(case)
    if occasion.role != SYSTEM:
        raise Refused("late-fact", "A late fact is found by the system: name your own reason.")
    late = command.fact in case.objections.open and not case.course.open
    return [_reopened(command, case)] if late else []


def _reopen(command: Reopen, case: Case, occasion: Occasion) -> list[Decided]:
    require_ours(case)
    require_right(MAY_REOPEN, case, occasion)
    if command.fact and command.fact not in {fact.event for fact in case.provenance.facts}:
        raise Refused("unknown-fact", "The case has no such fact: leave it out or name one of its facts.")
    return [] if case.course.open else [_reopened(command, case)]


def _reopened(command: Reopen, case: Case) -> ComplaintReopened:
    return ComplaintReopened(reason=command.reason, number=case.course.reopened + 1, fact=command.fact)
