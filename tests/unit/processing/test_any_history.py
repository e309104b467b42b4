"""What must hold for every history, whether commands can lead to it or not."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given as forall
from hypothesis import strategies as st

from services.processing.domain.decisions import Command, decide
from services.processing.domain.decisions.adopting import Adopt
from services.processing.domain.decisions.assigning import Assign, Decline, StartHandling
from services.processing.domain.decisions.closing import Close, CloseBySource, Reopen
from services.processing.domain.decisions.minding_clocks import Escalate, Remind, StartClock
from services.processing.domain.decisions.settling import SettleObjection
from services.processing.domain.next_steps import next_steps
from services.processing.domain.occasion import Occasion
from services.processing.domain.owed import Owed, owed
from shared.case import Case
from shared.schemas.base import Decided
from shared.schemas.codes import ClosingReason, DecliningReason, ReopeningReason
from shared.schemas.refused import Refused
from tests.unit.processing.stories import (
    AGENT,
    AUDITOR,
    EVA,
    LEAD,
    MAX,
    SYS,
    classified,
    kept,
    received,
)
from tests.unit.specification import (
    NOON,
    Written,
    any_history,
    any_written,
    case_of,
    clocks,
    ids,
    people,
    recorded,
)

END = NOON + timedelta(days=100)

any_command: st.SearchStrategy[Command] = st.one_of(
    st.builds(Assign, people, st.none() | st.just("claims")),
    st.builds(Decline, st.sampled_from(DecliningReason)),
    st.just(StartHandling()),
    st.just(Adopt()),
    st.builds(StartClock, clocks),
    st.builds(Remind, clocks),
    st.builds(Escalate, clocks),
    st.builds(SettleObjection, ids, st.just("justified")),
    st.builds(Close, st.sampled_from(ClosingReason)),
    st.builds(CloseBySource, ids),
    st.builds(Reopen, st.sampled_from(ReopeningReason), st.none() | ids),
)
any_occasion = st.sampled_from([EVA, MAX, LEAD, AGENT, AUDITOR, SYS]).map(lambda one: replace(one, now=END))


def attempt(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    try:
        return decide(command, case, occasion)
    except Refused as refused:
        return [] if refused.code and refused.sentence.endswith(".") else _mute(refused)


def _mute(refused: Refused) -> list[Decided]:
    raise AssertionError(f"{refused.code!r} says too little: {refused.sentence!r}")


def granted_and_ended(work: Owed, history: list[Decided | Written]) -> None:
    done = decide(work.command, case_of(*history), replace(SYS, now=max(work.due, NOON)))
    assert done
    after = owed(case_of(*history, *done))
    assert (work.what, work.cause) not in [(left.what, left.cause) for left in after]


@forall(any_history)
def test_any_order_of_events_folds_and_what_is_owed_is_granted_when_due_and_ends_there(
    history: list[Written],
) -> None:
    work = list(owed(case_of(*history)))
    assert len({(each.what, each.cause) for each in work}) == len(work)
    for each in work:
        granted_and_ended(each, list(history))


@forall(st.sampled_from([received, kept]), any_history)
def test_the_same_once_a_complaint_is_received_and_classified(first: Decided, history: list[Written]) -> None:
    whole = [first, classified, *history]
    for each in owed(case_of(*whole)):
        granted_and_ended(each, whole)


@forall(
    st.sampled_from([received, kept]),
    st.lists(st.tuples(any_command, any_occasion) | any_written, max_size=15),
)
def test_whatever_people_and_other_systems_do_work_comes_to_an_end(
    first: Decided, happening: list[tuple[Command, Occasion] | Written]
) -> None:
    history: list[Decided | Written] = [first]
    for what in happening:
        if isinstance(what, Written):
            if recorded([what])[0].publisher != "processing":
                history.append(what)
        else:
            history += attempt(what[0], case_of(*history), what[1])
    for _ in range(12):
        due = list(owed(case_of(*history)))
        if not due:
            return
        history += decide(due[0].command, case_of(*history), replace(SYS, now=max(due[0].due, END)))
    raise AssertionError(f"still owed: {list(owed(case_of(*history)))}")


@forall(any_history, any_command, any_occasion)
def test_any_command_in_any_state_is_granted_or_refused_in_a_sentence(
    history: list[Written], command: Command, occasion: Occasion
) -> None:
    assert isinstance(attempt(command, case_of(*history), occasion), list)


@forall(any_history, any_command, any_occasion)
def test_deciding_again_adds_nothing(history: list[Written], command: Command, occasion: Occasion) -> None:
    if done := attempt(command, case_of(*history), occasion):
        assert attempt(command, case_of(*history, *done), occasion) == []


@forall(any_history, any_occasion)
def test_a_step_is_offered_to_whoever_may_take_it_only(history: list[Written], occasion: Occasion) -> None:
    steps = next_steps(case_of(*history), occasion, [occasion.role])
    assert len(set(steps)) == len(steps)
    if occasion.role == "AUD":
        assert steps == []
