"""The enumerations of the published language, by their codes (domain, sections 1 and 6)."""

from enum import StrEnum


class Origin(StrEnum):
    """Whether we handle the complaint or only keep what another system did with it."""

    LIVE = "live"
    HISTORY = "history"


class Channel(StrEnum):
    IN_PERSON = "in-person"
    PHONE = "phone"
    LETTER = "letter"
    FAX = "fax"
    EMAIL = "e-mail"
    WEB_FORM = "web-form"
    APP = "app"
    CHAT = "chat"
    SOCIAL_MEDIA = "social-media"
    OPINION_CARD = "opinion-card"
    FIELD_STAFF = "field-staff"
    REFERRAL = "referral"
    OTHER = "other"


class Wish(StrEnum):
    """The remedy that the complainant asks for."""

    REFUND = "refund"
    PRICE_CUT = "price-cut"
    REPAIR = "repair"
    REPLACEMENT = "replacement"
    REDO = "redo"
    INFORMATION = "information"
    APOLOGY = "apology"
    EXPLANATION = "explanation"
    DAMAGES = "damages"
    NOTHING = "nothing"
    NOT_STATED = "not-stated"


class Urgency(StrEnum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


class FactKind(StrEnum):
    """What an upstream system can tell about a complaint after it was made."""

    FORWARDED = "forwarded"
    ANSWERED = "answered"
    CLOSED = "closed"
    DISPUTED = "disputed"


class ClockName(StrEnum):
    ACKNOWLEDGEMENT = "acknowledgement"
    FINAL_ANSWER = "final-answer"


class ClosingReason(StrEnum):
    ANSWERED = "answered"
    RESOLVED = "resolved"
    NOT_REACHABLE = "not-reachable"
    BY_SOURCE = "by-source"


class ReopeningReason(StrEnum):
    CUSTOMER = "customer"
    NEW_FACTS = "new-facts"
    MISTAKE = "mistake"
    LATE_FACT = "late-fact"


class DecliningReason(StrEnum):
    ABSENT = "absent"
    OVERLOADED = "overloaded"
    NOT_COMPETENT = "not-competent"
    CONFLICT_OF_INTEREST = "conflict-of-interest"
    OTHER = "other"


class ErasureBasis(StrEnum):
    REQUEST = "gdpr-17"
    RETENTION_OVER = "retention-over"
