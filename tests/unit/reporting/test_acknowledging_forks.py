"""Records that claim a place in a case that is taken are acknowledged by an auditor, all at once."""

from uuid import UUID

import pytest

from services.reporting.domain.decisions.forks import AcknowledgeFork, decide
from shared.case import Case
from shared.schemas.refused import Refused
from shared.schemas.reporting import ForkAcknowledged, NamedFork

fork = NamedFork(publisher="intake", sequence=2, id=UUID(int=1), partition=0, offset=7)


def test_an_auditor_acknowledges_every_open_fork() -> None:
    assert decide(AcknowledgeFork((fork,), "stray-producer"), Case()) == [
        ForkAcknowledged(forks=[fork], finding="stray-producer")
    ]


def test_nothing_is_acknowledged_where_nothing_is_forked() -> None:
    with pytest.raises(Refused) as refused:
        decide(AcknowledgeFork((), "stray-producer"), Case())
    assert refused.value.code == "not-forked"
