"""An upstream system tells what happened to a complaint over there."""

from dataclasses import dataclass
from datetime import datetime

from services.intake.domain.decisions.occasion import Occasion
from services.intake.domain.decisions.refusal import FieldRefused
from shared.case import Case
from shared.case.provenance import Provenance
from shared.case.record import NotReceived
from shared.schemas.base import Dated, Decided
from shared.schemas.codes import FactKind
from shared.schemas.intake import UpstreamFactReceived
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class Fact:
    """stated: the source named the moment itself; else it is that of its message, or now where that has none."""

    kind: FactKind
    label: str | None = None
    timely: bool | None = None
    occurred_at: datetime | None = None
    stated: bool = True


@dataclass(frozen=True, slots=True)
class RecordFact:
    source_system: str
    fact: Fact


def decide(command: RecordFact, case: Case, occasion: Occasion) -> list[Decided]:
    if isinstance(case.record, NotReceived):
        raise Refused("unknown-complaint", "There is no such complaint; send the complaint before its facts.")
    refuse_future_fact(command.fact, "occurred_at", occasion)
    if known(command.fact, case.provenance):
        return []
    return [received(command.fact, command.source_system, occasion)]


def refuse_future_fact(fact: Fact, field: str, occasion: Occasion) -> None:
    if fact.occurred_at is not None and fact.occurred_at > occasion.now:
        raise FieldRefused(
            field, "in-the-future", "A fact cannot have happened in the future; check the date."
        )


def known(fact: Fact, provenance: Provenance) -> bool:
    """Whether the source said this before: the same at that moment, or last of this kind where it names no moment."""
    if fact.stated and fact.occurred_at is not None:
        return any(
            (said.kind, said.label, said.timely, said.occurred_at)
            == (fact.kind, fact.label, fact.timely, fact.occurred_at)
            for said in provenance.facts
        )
    last = provenance.latest(fact.kind)
    return last is not None and (last.label, last.timely) == (fact.label, fact.timely)


def received(fact: Fact, source_system: str, occasion: Occasion) -> Dated:
    event = UpstreamFactReceived(
        kind=fact.kind,
        source_system=source_system,
        label=fact.label,
        timely=fact.timely,
        stated=fact.stated and fact.occurred_at is not None,
    )
    return Dated(event, fact.occurred_at or occasion.now)
