"""Every event type of the log: its class, its topic, who publishes and who reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.schemas import intake, processing, reporting
from shared.schemas.base import Event
from shared.schemas.retired import UPCASTERS


@dataclass(frozen=True, slots=True)
class Entry:
    """One event type. consumers are the services that fold or project it; every service keeps it."""

    event: type[Event]
    topic: str
    publisher: str
    consumers: tuple[str, ...]
    retired: bool = False


ALL = ("intake", "processing", "reporting")

_CASE_EVENTS: tuple[type[Event], ...] = (
    intake.ComplaintReceived,
    intake.ComplaintRegistered,
    intake.ComplaintClassified,
    intake.UpstreamFactReceived,
    intake.ComplaintDataCorrected,
    intake.ErasureOrdered,
    intake.PersonalDataErased,
    processing.ComplaintAssigned,
    processing.AssignmentDeclined,
    processing.HandlingStarted,
    processing.CaseAdopted,
    processing.ClockStarted,
    processing.ReminderSent,
    processing.ComplaintEscalated,
    processing.ObjectionSettled,
    processing.ComplaintClosed,
    processing.ComplaintReopened,
    reporting.ForkAcknowledged,
)
_MANAGEMENT_EVENTS: Mapping[type[Event], tuple[str, ...]] = {
    intake.CategorySchemePublished: ("intake",),
    processing.DeadlinePolicyPublished: ("processing",),
    processing.CalendarPublished: ("processing",),
}

CATALOGUE: Mapping[str, Entry] = {
    event.type: Entry(event, topic, event.publisher(), consumers, event in UPCASTERS)
    for event, topic, consumers in (
        *((event, "cases", ALL) for event in (*_CASE_EVENTS, *UPCASTERS)),
        *((event, "management", consumers) for event, consumers in _MANAGEMENT_EVENTS.items()),
    )
}
