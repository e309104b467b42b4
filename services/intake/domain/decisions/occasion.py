"""What a decision is given from outside: when, by whom, under which scheme. The application makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.intake.domain import told
from services.intake.domain.scheme import Scheme
from services.intake.domain.told import Told
from shared.schemas.base import Actor


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new complaint is given: its number, and whose data keys seal what is personal in it."""

    case_number: str
    subject_id: UUID


@dataclass(frozen=True, slots=True)
class Occasion:
    """previous: the record's personal values that can still be read; told: what the source said before."""

    now: datetime
    actor: Actor
    scheme: Scheme
    opening: Opening | None = None
    previous: Mapping[str, str] = field(default_factory=dict, repr=False)
    told: Told = told.initial
