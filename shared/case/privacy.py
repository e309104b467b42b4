"""Whether the complainant's data in this case is readable, ordered to be erased, or erased."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from shared.schemas.base import Recorded
from shared.schemas.codes import ErasureBasis
from shared.schemas.intake import ErasureOrdered, PersonalDataErased
from shared.schemas.privacy import DataGroup


@dataclass(frozen=True, slots=True)
class Order:
    """An erasure that was ordered and is not confirmed yet."""

    at: datetime
    basis: ErasureBasis
    groups: tuple[DataGroup, ...]


@dataclass(frozen=True, slots=True)
class Privacy:
    """Orders still open by the id of their event, orders done, and the groups that are unreadable for ever."""

    ordered: Mapping[UUID, Order] = field(default_factory=dict)
    done: frozenset[UUID] = frozenset()
    erased: frozenset[DataGroup] = frozenset()


initial = Privacy()


def evolve(privacy: Privacy, recorded: Recorded) -> Privacy:
    match recorded.event:
        case ErasureOrdered(basis=basis, groups=groups) if recorded.id not in privacy.done:
            order = Order(recorded.time, basis, tuple(groups))
            return replace(privacy, ordered={**privacy.ordered, recorded.id: order})
        case PersonalDataErased(order=order_id, groups=groups):
            return Privacy(
                {by: order for by, order in privacy.ordered.items() if by != order_id},
                privacy.done | {order_id},
                privacy.erased | set(groups),
            )
    return privacy
