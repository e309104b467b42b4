"""Facts and occasions that the examples of handling are told with."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from services.processing.domain.decisions import Command, decide
from services.processing.domain.defaults import CALENDAR, DEADLINES
from services.processing.domain.occasion import Occasion, rules_of
from shared.schemas.base import Dated
from shared.schemas.codes import (
    Channel,
    ClockName,
    ClosingReason,
    DecliningReason,
    FactKind,
    Origin,
    ReopeningReason,
    Urgency,
)
from shared.schemas.intake import ComplaintClassified, ComplaintReceived, UpstreamFactReceived
from shared.schemas.processing import (
    AssignmentDeclined,
    CaseAdopted,
    ClockStarted,
    ComplaintAssigned,
    ComplaintClosed,
    ComplaintReopened,
    HandlingStarted,
    ObjectionSettled,
)
from tests.unit.specification import NOON, Specification

given: Specification[Command, Occasion] = Specification(decide)

LATER = NOON + timedelta(days=60)
EVA = Occasion(now=LATER, actor="eva", role="OWN", rules=rules_of(DEADLINES, CALENDAR))
MAX = replace(EVA, actor="max")
LEAD = replace(EVA, actor="lea", role="LEAD")
AGENT = replace(EVA, actor="ina", role="INT")
AUDITOR = replace(EVA, actor="aud", role="AUD")
SYS = replace(EVA, actor="processing", role="SYS")

received = ComplaintReceived(
    case_number="2026-ABCDEFGH-1",
    origin=Origin.LIVE,
    channel=Channel.EMAIL,
    language="de",
    time_zone="Europe/Berlin",
    received_on=date(2026, 3, 2),
    entity="default",
    unit="claims",
    subject_id=UUID(int=77),
    contactable=True,
)
kept = received.model_copy(update={"origin": Origin.HISTORY})
classified = ComplaintClassified(
    item=1, category=["cards", "fees"], scheme_version="1", severity=None, urgency=Urgency.P3
)
assigned = ComplaintAssigned(owner="eva", unit="claims")
declined = AssignmentDeclined(owner="eva", reason=DecliningReason.ABSENT)
started = HandlingStarted(owner="eva")
adopted = CaseAdopted(owner="eva")
closed = ComplaintClosed(reason=ClosingReason.ANSWERED)
reopened = ComplaintReopened(reason=ReopeningReason.CUSTOMER, number=1)
in_hand = (received, classified, assigned, started)
"""Four events: what comes next is the fifth."""

final_clock = ClockStarted(
    clock=ClockName.FINAL_ANSWER,
    started_at=NOON,
    due=datetime(2026, 3, 16, 22, 59, 59, tzinfo=UTC),
    warn_at=datetime(2026, 3, 12, 22, 59, 59, tzinfo=UTC),
    target=10,
    calendar_version="business-days-1",
)


def told(kind: FactKind, at: datetime = NOON, label: str | None = None) -> Dated:
    """What an upstream system says of that moment."""
    return Dated(UpstreamFactReceived(kind=kind, source_system="crm", label=label), at)


disputed = told(FactKind.DISPUTED)


def settled(objection: UUID) -> ObjectionSettled:
    return ObjectionSettled(objection=objection, finding="unfounded")
