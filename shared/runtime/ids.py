"""The one place that makes identities: fresh ones in time order, and derived ones that meet when asked twice."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID, uuid5

import uuid_utils

Ids: TypeAlias = Callable[[], UUID]
NAMESPACE = UUID("6f1d9d2e-0a55-5c0e-9c0c-7f3f5f1a2b60")


def fresh_id() -> UUID:
    """A UUIDv7: ids made later sort later."""
    return UUID(int=uuid_utils.uuid7().int)


def derived_id(*parts: str) -> UUID:
    """UUIDv5 of the parts: the same parts give the same id, on every machine and for ever."""
    return uuid5(NAMESPACE, "\x1f".join(parts))
