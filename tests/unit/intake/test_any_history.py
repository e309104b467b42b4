"""What must hold for every history, whether commands can lead to it or not."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from hypothesis import given as forall
from hypothesis import strategies as st

from services.intake.domain.decisions import Command, decide
from services.intake.domain.decisions.classifying import Classify
from services.intake.domain.decisions.erasing import ConfirmErasure, OrderErasure
from services.intake.domain.decisions.occasion import Occasion
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.telling import Fact, RecordFact
from services.intake.domain.owed import owed
from shared.schemas.codes import Channel, ErasureBasis, FactKind, Wish
from shared.schemas.privacy import DataGroup
from shared.schemas.refused import Refused
from tests.unit.intake.stories import CRM, LATE, Log, parcel
from tests.unit.specification import NOON, Written, any_history, case_of, event_id

texts = st.none() | st.sampled_from(["one", "two"])
categories = st.none() | st.sampled_from([LATE, ("safety", "injury"), ("no", "such")])
degrees = st.none() | st.integers(1, 5)
days = st.integers(-3, 3).map(lambda days: NOON + timedelta(days=days))
facts = st.builds(
    Fact,
    kind=st.sampled_from(FactKind),
    label=texts,
    timely=st.none() | st.booleans(),
    occurred_at=st.none() | days,
    stated=st.booleans(),
)
any_receive: st.SearchStrategy[Receive] = st.builds(
    replace,
    st.just(parcel),
    channel=st.sampled_from([Channel.PHONE, Channel.LETTER]),
    occurred_at=st.none() | days,
    product=texts,
    sub_product=texts,
    wish=st.lists(st.sampled_from(Wish), max_size=2, unique=True).map(tuple),
    category=categories,
    severity=degrees,
    name=texts,
    phone=texts,
    narrative=texts,
    details=st.dictionaries(st.sampled_from(["state", "order"]), st.sampled_from(["one", "two"])),
    facts=st.lists(facts, max_size=3, unique_by=lambda fact: fact.kind).map(tuple),
)
any_command: st.SearchStrategy[Command] = st.one_of(
    any_receive,
    st.builds(Classify, category=categories.map(lambda path: path or LATE), severity=degrees),
    st.builds(RecordFact, source_system=st.just("shop"), fact=facts),
    st.builds(
        OrderErasure,
        basis=st.sampled_from(ErasureBasis),
        groups=st.frozensets(st.sampled_from(DataGroup), min_size=1),
    ),
    st.builds(ConfirmErasure, order=st.integers(1, 12).map(event_id), kids=st.just(("kid",))),
)
LONG_AFTER = replace(CRM, now=NOON + timedelta(days=10_000))


@forall(any_history, any_command)
def test_every_command_in_every_history_gives_events_or_a_refusal(
    history: list[Written], command: Command
) -> None:
    with suppress(Refused):
        assert isinstance(decide(command, case_of(*history), LONG_AFTER), list)


@forall(any_history)
def test_whatever_is_owed_is_granted_when_due_and_ends_there(history: list[Written]) -> None:
    for work in owed(case_of(*history)):
        now: Occasion = replace(CRM, now=work.due)
        done = decide(work.command, case_of(*history), now)
        assert done
        left = owed(case_of(*history, *(Written(event, work.due) for event in done)))
        assert (work.what, work.cause) not in [(other.what, other.cause) for other in left]


@forall(st.lists(any_command, max_size=8))
def test_deciding_again_adds_nothing(commands: list[Command]) -> None:
    log = Log()
    for command in [parcel, *commands]:
        try:
            log.when(command, LONG_AFTER)
        except Refused:
            continue
        assert log.when(command, LONG_AFTER) == []


@forall(st.lists(any_command, max_size=8))
def test_what_commands_made_owes_only_ordered_erasures(commands: list[Command]) -> None:
    log = Log()
    for command in [parcel, *commands]:
        try:
            log.when(command, LONG_AFTER)
        except Refused:
            continue
    assert {work.what for work in owed(log.case)} <= {"erasure"}
