"""What reporting publishes: what auditors found out about the log itself."""

from typing import ClassVar
from uuid import UUID

from shared.schemas.base import Event, Part
from shared.schemas.privacy import Plain


class NamedFork(Part):
    """A record that claims a place in the case which another one holds: where it stands in the log."""

    publisher: Plain[str]
    sequence: Plain[int]
    id: Plain[UUID]
    partition: Plain[int]
    offset: Plain[int]


class ForkAcknowledged(Event):
    """An auditor looked into records with a doubled sequence: they stay refused, and the case goes on."""

    type: ClassVar[str] = "reporting.fork-acknowledged.v1"
    forks: list[NamedFork]
    finding: Plain[str]
