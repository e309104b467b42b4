"""An erasure is ordered, owed until its keys are destroyed, and confirmed once."""

from uuid import UUID

import pytest

from services.intake.domain.decisions.erasing import ConfirmErasure, OrderErasure
from services.intake.domain.owed import owed
from shared.schemas.codes import ErasureBasis
from shared.schemas.intake import ErasureOrdered, PersonalDataErased
from shared.schemas.privacy import DataGroup
from shared.schemas.refused import Refused
from tests.unit.intake.stories import INA, Log, given, parcel

ORDER = OrderErasure(ErasureBasis.REQUEST)
CONTACT = OrderErasure(ErasureBasis.REQUEST, frozenset({DataGroup.CONTACT}))


def received() -> Log:
    log = Log()
    log.when(parcel)
    return log


def test_an_erasure_takes_every_group_unless_told_otherwise() -> None:
    assert received().when(ORDER, INA) == [
        ErasureOrdered(basis=ErasureBasis.REQUEST, groups=sorted(DataGroup))
    ]


def test_what_is_ordered_already_is_not_ordered_again() -> None:
    log = received()
    log.when(CONTACT, INA)
    assert log.when(CONTACT, INA) == []
    (rest,) = log.when(ORDER, INA)
    assert isinstance(rest, ErasureOrdered)
    assert DataGroup.CONTACT not in rest.groups


def test_an_ordered_erasure_is_owed_at_once_and_ends_with_its_confirmation() -> None:
    log = received()
    log.when(ORDER, INA)
    (work,) = owed(log.case)
    assert (work.what, work.cause, work.due) == ("erasure", str(log.history[-1].id), log.history[-1].time)
    assert log.when(ConfirmErasure(log.history[-1].id, ("b", "a")), INA) == [
        PersonalDataErased(
            order=log.history[-2].id, basis=ErasureBasis.REQUEST, groups=sorted(DataGroup), kids=["a", "b"]
        )
    ]
    assert list(owed(log.case)) == []


def test_confirming_twice_is_one_confirmation() -> None:
    log = received()
    log.when(ORDER, INA)
    confirm = ConfirmErasure(log.history[-1].id)
    log.when(confirm, INA)
    assert log.when(confirm, INA) == []


def test_nothing_is_confirmed_that_nobody_ordered() -> None:
    with pytest.raises(Refused, match="ordered"):
        received().when(ConfirmErasure(UUID(int=9)), INA)


def test_an_unknown_complaint_cannot_be_erased() -> None:
    with pytest.raises(Refused, match="no such complaint"):
        given().when(ORDER, INA)
