"""What intake publishes: a complaint is received, registered, classified, corrected, told about by others, erased."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.schemas.base import Event, Part
from shared.schemas.codes import Channel, ErasureBasis, FactKind, Origin, Urgency, Wish
from shared.schemas.privacy import ContactIfAny, DataGroup, NarrativeIfAny, Plain, Pseudonym


class ComplaintReceived(Event):
    """Somebody's dissatisfaction was accepted as a complaint; the case number is theirs from now on.

    received_on is the civil date of the receipt in time_zone: months and deadlines count from it.
    """

    type: ClassVar[str] = "intake.complaint-received.v1"
    case_number: Plain[str]
    origin: Plain[Origin]
    channel: Plain[Channel]
    language: Plain[str]
    time_zone: Plain[str]
    received_on: Plain[date]
    entity: Plain[str]
    unit: Plain[str | None] = None
    restricted: Plain[bool] = False
    source_system: Plain[str | None] = None
    source_reference: Pseudonym[str | None] = None
    subject_id: Pseudonym[UUID]
    receiver: Pseudonym[str | None] = None
    contactable: Plain[bool]
    annoyance: Plain[int | None] = Field(default=None, ge=1, le=5)
    name: ContactIfAny = None
    email: ContactIfAny = None
    phone: ContactIfAny = None
    customer_number: ContactIfAny = None


class ProblemItem(Part):
    """One problem of a complaint; exactly one is primary."""

    number: Plain[int]
    primary: Plain[bool]
    narrative: NarrativeIfAny = None


class ComplaintRegistered(Event):
    """The mandatory record (who, what, wish) is complete, or its gaps are named.

    details is what else the source said: a JSON object of texts under the source's own names.
    """

    type: ClassVar[str] = "intake.complaint-registered.v1"
    items: list[ProblemItem]
    product: Plain[str | None] = None
    sub_product: Plain[str | None] = None
    wish: Plain[list[Wish]]
    gaps: Plain[list[str]] = Field(default_factory=list)
    details: NarrativeIfAny = None


class ComplaintClassified(Event):
    """A problem item has its category under a version of the category scheme, with the urgency that follows.

    category is the path from the root, codes of the scheme.
    """

    type: ClassVar[str] = "intake.complaint-classified.v2"
    item: Plain[int]
    category: Plain[list[str]]
    scheme_version: Plain[str]
    severity: Plain[int | None] = Field(default=None, ge=1, le=5)
    urgency: Plain[Urgency]


class UpstreamFactReceived(Event):
    """An upstream system says what happened to the complaint over there; its owner here decides what follows.

    label is the source's own word; stated says whether the source named the moment (else it is that of its message).
    """

    type: ClassVar[str] = "intake.upstream-fact-received.v1"
    kind: Plain[FactKind]
    source_system: Plain[str]
    label: Plain[str | None] = None
    timely: Plain[bool | None] = None
    stated: Plain[bool] = True


class ComplaintDataCorrected(Event):
    """Named fields of the record have another value from now on; the old value stays in the log."""

    type: ClassVar[str] = "intake.complaint-data-corrected.v1"
    fields: Plain[list[str]]
    reason: Plain[str]
    channel: Plain[Channel | None] = None
    received_on: Plain[date | None] = None
    product: Plain[str | None] = None
    sub_product: Plain[str | None] = None
    category: Plain[list[str] | None] = None
    wish: Plain[list[Wish] | None] = None
    name: ContactIfAny = None
    email: ContactIfAny = None
    phone: ContactIfAny = None
    customer_number: ContactIfAny = None
    narrative: NarrativeIfAny = None
    details: NarrativeIfAny = None


class ErasureOrdered(Event):
    """The data keys of the complainant in this case are to be destroyed."""

    type: ClassVar[str] = "intake.erasure-ordered.v1"
    basis: Plain[ErasureBasis]
    groups: Plain[list[DataGroup]]


class PersonalDataErased(Event):
    """The keys are destroyed and no process holds a copy any more: what they sealed is unreadable for ever.

    order is the id of the ErasureOrdered that asked for it.
    """

    type: ClassVar[str] = "intake.personal-data-erased.v1"
    order: Plain[UUID]
    basis: Plain[ErasureBasis]
    groups: Plain[list[DataGroup]]
    kids: Pseudonym[list[str]]


class Category(Part):
    """One node of a category scheme: its path of codes and its name in both languages."""

    path: Plain[list[str]]
    german: Plain[str]
    english: Plain[str]


class CategorySchemePublished(Event):
    """A version of the category scheme is in force from now on (complaints.management)."""

    type: ClassVar[str] = "intake.category-scheme-published.v1"
    name: Plain[str]
    version: Plain[str]
    categories: list[Category]
