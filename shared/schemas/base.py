"""What every published event has in common: the fact itself, and how it came to be known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import UnionType
from typing import Any, ClassVar, TypeAlias, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.schemas.privacy import Privacy

PUBLISHERS = ("intake", "processing", "reaction", "controlling", "reporting")
"""The index is stored in databases: only ever add at the end."""


class Part(BaseModel):
    """A group of classed fields inside an event, such as one problem item."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if not any(isinstance(mark, Privacy) for mark in field.metadata) and not list(
                parts_of(field.annotation)
            ):
                raise TypeError(f"{cls.__name__}.{name} has no privacy class")


class Event(Part):
    """A fact, named in the past tense, that nobody may change.

    Readers ignore fields that they do not know; writers cannot add any (the type checker refuses them).
    """

    type: ClassVar[str]
    """<publisher>.<event-in-kebab>.v<n>"""

    @classmethod
    def publisher(cls) -> str:
        return cls.type.partition(".")[0]


def parts_of(annotation: Any) -> Iterator[type[Part]]:
    """The Part classes that an annotation mentions, at any depth of list, tuple or union."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    elif get_origin(annotation) in (list, tuple, Union, UnionType):
        for inner in get_args(annotation):
            yield from parts_of(inner)


@dataclass(frozen=True, slots=True)
class Dated:
    """An event that a decision places at another moment than its own: a letter that arrived on Monday."""

    event: Event
    occurred_at: datetime


Decided: TypeAlias = Event | Dated
"""What decide answers: an event that happens now, or one that happened then."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a pseudonymous id, the role at the time, and what kind of actor (human, system, upstream)."""

    id: str
    role: str
    kind: str
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the log has it: what happened, and under which id, when and by whom. Folds read nothing else.

    occurred_at is when it happened in the world, time when it was recorded; both timezone-aware.
    """

    id: UUID
    subject: UUID
    type: str
    publisher: str
    sequence: int
    time: datetime
    occurred_at: datetime
    actor: Actor
    command: UUID
    correlation: UUID
    causation: str | None
    seen: str
    policy_version: str | None
    traceparent: str | None
    event: Event
