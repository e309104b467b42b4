"""Ordering that a complainant's data in a case become unreadable, and recording that they are."""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from services.intake.domain.decisions.occasion import Occasion
from shared.case import Case
from shared.case.record import NotReceived
from shared.schemas.base import Decided
from shared.schemas.codes import ErasureBasis
from shared.schemas.intake import ErasureOrdered, PersonalDataErased
from shared.schemas.privacy import DataGroup
from shared.schemas.refused import Refused


@dataclass(frozen=True, slots=True)
class OrderErasure:
    basis: ErasureBasis
    groups: frozenset[DataGroup] = frozenset(DataGroup)


@dataclass(frozen=True, slots=True)
class ConfirmErasure:
    """kids are the names of the keys that were destroyed for the order."""

    order: UUID
    kids: tuple[str, ...] = ()


Command: TypeAlias = OrderErasure | ConfirmErasure


def decide(command: Command, case: Case, _: Occasion) -> list[Decided]:
    privacy = case.privacy
    match command:
        case OrderErasure() if isinstance(case.record, NotReceived):
            raise Refused("unknown-complaint", "There is no such complaint.")
        case OrderErasure(basis, groups):
            left = groups - ordered_or_erased(case)
            return [ErasureOrdered(basis=basis, groups=sorted(left))] if left else []
        case ConfirmErasure(order_id) if order_id in privacy.done:
            return []
        case ConfirmErasure(order_id, kids) if order := privacy.ordered.get(order_id):
            return [
                PersonalDataErased(
                    order=order_id, basis=order.basis, groups=list(order.groups), kids=sorted(kids)
                )
            ]
        case ConfirmErasure():
            raise Refused("no-such-order", "Nobody ordered this erasure.")


def ordered_or_erased(case: Case) -> frozenset[DataGroup]:
    """The groups that nothing is added to any more."""
    ordered = (group for order in case.privacy.ordered.values() for group in order.groups)
    return case.privacy.erased.union(ordered)
