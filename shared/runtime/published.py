"""What is in force: the last published version of a management aggregate, such as a category scheme or a policy."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar, cast
from uuid import UUID

from shared.runtime.commands import Office, Order
from shared.runtime.ids import derived_id
from shared.runtime.owed import SYSTEM
from shared.runtime.store import CaseStore
from shared.schemas.base import Decided, Event, Recorded
from shared.schemas.envelope import read

E = TypeVar("E", bound=Event)
S = TypeVar("S")
REMEMBER = 1.0
"""Seconds for which a process goes on with the version that it read last."""


class NotPublished(Exception):
    """Nothing of that name is in force yet: the service has not finished its first start."""


class InForce(Generic[E]):
    """Reads the version in force from the service's own store. kind is the event's class, name the aggregate's."""

    def __init__(
        self, store: CaseStore, kind: type[E], name: str, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self.store, self.kind, self.aggregate = store, kind, aggregate_id(kind, name)
        self._ticks, self._asked, self._known = ticks, float("-inf"), cast(Recorded | None, None)

    async def recorded(self) -> Recorded:
        """The event that put the version in force. Raises NotPublished."""
        if self._known is None or self._ticks() - self._asked > REMEMBER:
            loaded = await self.store.load(self.aggregate)
            if not loaded.events:
                raise NotPublished(self.kind.type)
            self._known, self._asked = read(loaded.events[-1].body), self._ticks()
        return self._known

    async def event(self) -> E:
        """The version in force. Raises NotPublished."""
        return cast(E, (await self.recorded()).event)


def aggregate_id(kind: type[Event], name: str) -> UUID:
    """The aggregate that versions of this kind and name are published under."""
    return derived_id("aggregate", kind.type.rpartition(".v")[0], name)


async def publish_default(office: Office[S], event: Event, name: str, now: datetime) -> bool:
    """Publishes a shipped default once in the life of an installation; answers whether this was the time."""
    aggregate = aggregate_id(type(event), name)
    order = Order(aggregate, derived_id("default", type(event).type, name), SYSTEM, now, log="management")
    known = await office.store.load(aggregate)
    if known.events:
        return False

    async def decide(_: S) -> list[Decided]:
        return [event]

    return (await office.carry_out(order, decide)).new
