"""Event types that nobody publishes any more, and the pure functions that read them as their successors."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from shared.schemas.base import Event
from shared.schemas.codes import Urgency
from shared.schemas.intake import ComplaintClassified
from shared.schemas.privacy import Plain


class ComplaintClassifiedV1(Event):
    """A classification before a complaint could have several problem items: one category, written as a/b/c."""

    type: ClassVar[str] = "intake.complaint-classified.v1"
    category: Plain[str]
    scheme_version: Plain[str]
    urgency: Plain[Urgency]


def _classified(old: Event) -> Event:
    assert isinstance(old, ComplaintClassifiedV1)
    return ComplaintClassified(
        item=1,
        category=old.category.split("/"),
        scheme_version=old.scheme_version,
        severity=None,
        urgency=old.urgency,
    )


UPCASTERS: Mapping[type[Event], Callable[[Event], Event]] = {ComplaintClassifiedV1: _classified}
"""Retired class -> how its events are read today. An upcaster may lead to a class that is retired itself."""


def upcast(event: Event) -> Event:
    """The event as today's folds know it; unchanged where its type is current."""
    while step := UPCASTERS.get(type(event)):
        event = step(event)
    return event
