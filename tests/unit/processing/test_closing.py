"""A case comes to rest when nothing is open, by a person or because its source says so, and can be woken."""

from datetime import timedelta

import pytest

from services.processing.domain.decisions.closing import Close, CloseBySource, Reopen
from services.processing.domain.decisions.settling import SettleObjection
from services.processing.domain.occasion import Occasion
from shared.schemas.base import Dated, Decided
from shared.schemas.codes import ClosingReason, FactKind, ReopeningReason
from shared.schemas.processing import ComplaintClosed, ComplaintReopened
from shared.schemas.refused import Refused
from tests.unit.processing.stories import (
    AGENT,
    EVA,
    LEAD,
    MAX,
    SYS,
    adopted,
    assigned,
    classified,
    closed,
    disputed,
    given,
    in_hand,
    kept,
    received,
    reopened,
    settled,
    told,
)
from tests.unit.specification import NOON, event_id

close = Close(ClosingReason.ANSWERED)
RECEIPT = NOON + timedelta(minutes=1)


@pytest.mark.parametrize("who", [EVA, LEAD])
def test_the_owner_or_a_leader_closes_the_case(who: Occasion) -> None:
    assert given(*in_hand).when(close, who) == [closed]


def test_closing_twice_is_one_closing() -> None:
    assert given(*in_hand, closed).when(close, EVA) == []


def test_a_case_is_not_closed_while_the_customer_objects() -> None:
    with pytest.raises(Refused, match=str(event_id(5))) as refused:
        given(*in_hand, disputed).when(close, LEAD)
    assert refused.value.code == "open-objections"


def test_it_can_be_once_the_objection_is_settled() -> None:
    objection = event_id(5)
    assert given(*in_hand, disputed).when(SettleObjection(objection, "unfounded"), EVA) == [
        settled(objection)
    ]
    assert given(*in_hand, disputed, settled(objection)).when(close, EVA) == [closed]


@pytest.mark.parametrize(
    ("history", "command", "who", "code"),
    [
        ((), close, EVA, "unknown-case"),
        ((kept, classified), close, LEAD, "history"),
        (in_hand, close, MAX, "not-yours"),
        (in_hand, close, AGENT, "role-missing"),
        ((received, classified, assigned), close, EVA, "not-started"),
        (in_hand, Close(ClosingReason.BY_SOURCE), LEAD, "by-source"),
    ],
)
def test_what_is_not_closed(history: tuple[Decided, ...], command: Close, who: Occasion, code: str) -> None:
    with pytest.raises(Refused) as refused:
        given(*history).when(command, who)
    assert refused.value.code == code


def by_source(label: str | None, fact: int) -> ComplaintClosed:
    return ComplaintClosed(reason=ClosingReason.BY_SOURCE, outcome=label, fact=event_id(fact))


def test_the_source_closes_its_case_when_and_as_it_says() -> None:
    then = RECEIPT + timedelta(days=9)
    history = (kept, classified, told(FactKind.CLOSED, then, "Closed with explanation"))
    assert given(*history).when(CloseBySource(event_id(3)), SYS) == [
        Dated(by_source("Closed with explanation", 3), then)
    ]


def test_what_the_source_says_last_about_its_closing_counts() -> None:
    earlier, later = (told(FactKind.CLOSED, RECEIPT + timedelta(days=n)) for n in (2, 9))
    history = (kept, earlier, Dated(by_source(None, 2), earlier.occurred_at), later)
    assert given(*history).when(CloseBySource(event_id(4)), SYS) == [
        Dated(by_source(None, 4), later.occurred_at)
    ]
    assert given(*history).when(CloseBySource(event_id(2)), SYS) == []


@pytest.mark.parametrize(
    "history",
    [
        (kept, told(FactKind.CLOSED, RECEIPT - timedelta(hours=1))),
        (
            told(FactKind.ANSWERED, RECEIPT + timedelta(days=2)),
            told(FactKind.CLOSED, RECEIPT + timedelta(days=1)),
            kept,
        ),
        (received, told(FactKind.CLOSED, RECEIPT)),
        (kept, told(FactKind.CLOSED, RECEIPT), adopted),
    ],
    ids=["closed before it was received", "closed before it was answered", "live", "adopted"],
)
def test_the_source_closes_nothing_out_of_order_and_no_case_of_ours(history: tuple[Decided, ...]) -> None:
    with pytest.raises(Refused) as refused:
        given(*history).when(CloseBySource(event_id(2)), SYS)
    assert refused.value.code == "not-placed"


def test_an_answer_told_after_the_closing_changes_nothing_whether_it_was_read_in_time_or_not() -> None:
    closed_then = told(FactKind.CLOSED, RECEIPT + timedelta(days=1))
    placed = Dated(by_source(None, 2), closed_then.occurred_at)
    answer = told(FactKind.ANSWERED, RECEIPT + timedelta(days=2))
    assert given(kept, closed_then).when(CloseBySource(event_id(2)), SYS) == [placed]
    assert given(kept, closed_then, answer).when(CloseBySource(event_id(2)), SYS) == [placed]
    assert given(kept, closed_then, placed, answer).when(CloseBySource(event_id(2)), SYS) == []


@pytest.mark.parametrize("who", [EVA, LEAD])
def test_the_owner_or_a_leader_wakes_the_case(who: Occasion) -> None:
    assert given(*in_hand, closed).when(Reopen(ReopeningReason.CUSTOMER), who) == [reopened]


def test_reopenings_are_counted() -> None:
    again = given(*in_hand, closed, reopened, closed).when(Reopen(ReopeningReason.MISTAKE), EVA)
    assert again == [ComplaintReopened(reason=ReopeningReason.MISTAKE, number=2)]


def test_an_open_case_is_awake_already() -> None:
    assert given(*in_hand).when(Reopen(ReopeningReason.CUSTOMER), EVA) == []


def test_a_reopening_names_the_fact_that_made_it_necessary() -> None:
    history = (*in_hand, told(FactKind.FORWARDED), closed)
    assert given(*history).when(Reopen(ReopeningReason.NEW_FACTS, event_id(5)), EVA) == [
        ComplaintReopened(reason=ReopeningReason.NEW_FACTS, number=1, fact=event_id(5))
    ]
    with pytest.raises(Refused) as refused:
        given(*history).when(Reopen(ReopeningReason.NEW_FACTS, event_id(1)), EVA)
    assert refused.value.code == "unknown-fact"


@pytest.mark.parametrize(
    ("history", "command", "who", "code"),
    [
        ((*in_hand, closed), Reopen(ReopeningReason.CUSTOMER), MAX, "not-yours"),
        ((*in_hand, closed, disputed), Reopen(ReopeningReason.LATE_FACT, event_id(6)), LEAD, "late-fact"),
        ((kept, closed), Reopen(ReopeningReason.CUSTOMER), LEAD, "history"),
    ],
)
def test_what_is_not_reopened(
    history: tuple[Decided, ...], command: Reopen, who: Occasion, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        given(*history).when(command, who)
    assert refused.value.code == code


def test_a_late_fact_that_is_settled_wakes_nothing() -> None:
    history = (*in_hand, disputed, settled(event_id(5)), closed)
    assert given(*history).when(Reopen(ReopeningReason.LATE_FACT, event_id(5)), SYS) == []


def test_an_objection_is_settled_once() -> None:
    objection = event_id(5)
    assert (
        given(*in_hand, disputed, settled(objection)).when(SettleObjection(objection, "justified"), EVA) == []
    )


@pytest.mark.parametrize(
    ("history", "who", "code"),
    [
        (in_hand, EVA, "unknown-objection"),
        ((*in_hand, disputed), MAX, "not-yours"),
        ((*in_hand, disputed, closed), EVA, "closed"),
    ],
)
def test_what_is_not_settled(history: tuple[Decided, ...], who: Occasion, code: str) -> None:
    with pytest.raises(Refused) as refused:
        given(*history).when(SettleObjection(event_id(5), "justified"), who)
    assert refused.value.code == code
