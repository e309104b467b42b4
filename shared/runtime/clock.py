"""The one place that knows what time it is."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, in UTC. Business time and real time are the same until a steerable clock takes this one's place."""
    return datetime.now(UTC)  # noqa: TID251 - this is the place
