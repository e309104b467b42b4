"""What processing publishes: who answers for a case, which clocks run on it, how it comes to rest and wakes again."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared.schemas.base import Event, Part
from shared.schemas.codes import ClockName, ClosingReason, DecliningReason, ReopeningReason, Urgency
from shared.schemas.privacy import CorrespondenceIfAny, Plain, Pseudonym


class ComplaintAssigned(Event):
    """A named person owns the case; they have yet to start or decline."""

    type: ClassVar[str] = "processing.complaint-assigned.v1"
    owner: Pseudonym[str]
    unit: Plain[str | None] = None


class AssignmentDeclined(Event):
    """The person named does not take the case."""

    type: ClassVar[str] = "processing.assignment-declined.v1"
    owner: Pseudonym[str]
    reason: Plain[DecliningReason]
    remark: CorrespondenceIfAny = None


class HandlingStarted(Event):
    """The owner works on the case."""

    type: ClassVar[str] = "processing.handling-started.v1"
    owner: Pseudonym[str]


class CaseAdopted(Event):
    """A handler takes a case of history into our own hands: from this moment clocks run and customers are told."""

    type: ClassVar[str] = "processing.case-adopted.v1"
    owner: Pseudonym[str]


class ClockStarted(Event):
    """A deadline runs: from where, to when, and when its owner is reminded; later calendars never move it.

    target counts business days of the named calendar version.
    """

    type: ClassVar[str] = "processing.clock-started.v1"
    clock: Plain[ClockName]
    started_at: Plain[datetime]
    due: Plain[datetime]
    warn_at: Plain[datetime]
    target: Plain[int]
    calendar_version: Plain[str]
    round: Plain[int] = 1


class ReminderSent(Event):
    """The owner was reminded that a clock is about to run out."""

    type: ClassVar[str] = "processing.reminder-sent.v1"
    clock: Plain[ClockName]
    owner: Pseudonym[str | None] = None


class ComplaintEscalated(Event):
    """A clock ran out: the next level answers for it now. The due moment stays where it was."""

    type: ClassVar[str] = "processing.complaint-escalated.v1"
    clock: Plain[ClockName]
    level: Plain[int]
    kind: Plain[str] = "time"


class ObjectionSettled(Event):
    """What the customer objected to was looked into: the finding. objection is the id of the fact that raised it."""

    type: ClassVar[str] = "processing.objection-settled.v1"
    objection: Plain[UUID]
    finding: Plain[str]


class ComplaintClosed(Event):
    """The case is at rest. Where the source closed it: outcome is its own word, fact the event that told us."""

    type: ClassVar[str] = "processing.complaint-closed.v1"
    reason: Plain[ClosingReason]
    outcome: Plain[str | None] = None
    fact: Plain[UUID | None] = None


class ComplaintReopened(Event):
    """The case is awake again, for the number-th time; fact is the event that made it necessary, if one did."""

    type: ClassVar[str] = "processing.complaint-reopened.v1"
    reason: Plain[ReopeningReason]
    number: Plain[int]
    fact: Plain[UUID | None] = None


class ClockTarget(Part):
    """Business days that a clock allows, by urgency, and the share of them after which the owner is reminded."""

    clock: Plain[ClockName]
    urgency: Plain[Urgency]
    business_days: Plain[int]
    warn_percent: Plain[int]


class DeadlinePolicyPublished(Event):
    """The deadlines that clocks started from now on are given (complaints.management)."""

    type: ClassVar[str] = "processing.deadline-policy-published.v1"
    name: Plain[str]
    version: Plain[str]
    targets: list[ClockTarget]


class CalendarPublished(Event):
    """The business days that clocks started from now on count by (complaints.management).

    weekdays are ISO numbers, Monday = 1; cut_off is the local time after which a receipt counts as the next day's.
    """

    type: ClassVar[str] = "processing.calendar-published.v1"
    name: Plain[str]
    version: Plain[str]
    weekdays: Plain[list[int]]
    cut_off: Plain[str]
