"""The register's row of a case: the same however the log is cut into batches, and as everybody else folds the case."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.reporting.projections.register import REGISTER, Row, fold
from shared.case import clocks, ownership
from shared.case import fold as fold_case
from shared.case.course import Stage
from shared.case.record import Record
from shared.schemas.base import Event, Recorded
from shared.schemas.codes import (
    Channel,
    ClockName,
    ErasureBasis,
    FactKind,
    Origin,
    Urgency,
    Wish,
)
from shared.schemas.intake import (
    ComplaintClassified,
    ComplaintDataCorrected,
    ComplaintReceived,
    ComplaintRegistered,
    PersonalDataErased,
    ProblemItem,
    UpstreamFactReceived,
)
from shared.schemas.privacy import DataGroup
from shared.schemas.processing import ComplaintAssigned, ComplaintEscalated
from tests.unit.specification import CASE, EVENTS, Written, any_history, recorded

received = ComplaintReceived(
    case_number="2026-ABCDEFGH-1",
    origin=Origin.LIVE,
    channel=Channel.LETTER,
    language="de",
    time_zone="Europe/Berlin",
    received_on=date(2026, 2, 28),
    entity="default",
    unit="branch",
    subject_id=UUID(int=77),
    contactable=True,
    source_system="crm",
    source_reference="4711",
)
registered = ComplaintRegistered(
    items=[ProblemItem(number=1, primary=True)], product="cards", sub_product="credit", wish=[Wish.REFUND]
)
classified = ComplaintClassified(item=1, category=["fees", "late"], scheme_version="1", urgency=Urgency.P3)


def row_of(*events: Event) -> Row:
    (row,) = fold((), recorded(events))
    return row


def in_batches(history: Sequence[Recorded], cuts: Sequence[int]) -> tuple[Row, ...]:
    rows: tuple[Row, ...] = ()
    places = [0, *sorted(cut % (len(history) + 1) for cut in cuts), len(history)]
    for start, end in zip(places, places[1:], strict=False):
        rows = fold(rows, history[start:end])
    return rows


@given(any_history, st.lists(st.integers(0, 20), max_size=4))
def test_the_row_is_the_same_however_the_log_is_cut(happened: list[Written], cuts: list[int]) -> None:
    history = recorded(happened)
    assert in_batches(history, cuts) == fold((), history)


received_first = st.builds(
    lambda first, others: [first, *others],
    EVENTS[ComplaintReceived],
    st.lists(st.one_of(*EVENTS.values()), max_size=12),
)


@given(received_first)
def test_the_row_agrees_with_the_case_as_everybody_folds_it(happened: list[Event]) -> None:
    history = recorded(happened)
    case, (row,) = fold_case(history), fold((), history)
    record = case.record
    assert isinstance(record, Record)

    assert (row.stage, row.reopened) == (case.course.stage, case.course.reopened)
    assert (row.closed_at, row.closing_reason) == (case.course.closed_at, case.course.closed_for)
    assert row.outcome == case.course.outcome
    assert row.owner == ownership.owner_of(case.ownership)
    assert row.channel == record.channel
    assert row.received_on == record.received_on
    assert row.product == (record.registration.product if record.registration else row.product)
    due = {name: clock.due for name, clock in case.clocks.items()}
    assert row.acknowledgement_due == due.get(ClockName.ACKNOWLEDGEMENT)
    assert row.final_answer_due == due.get(ClockName.FINAL_ANSWER)
    if set(ClockName) == set(due):
        assert row.escalation_level == clocks.escalation_level(case.clocks)


def test_a_registered_and_classified_complaint_has_its_columns() -> None:
    row = row_of(received, registered, classified)

    assert (row.case_id, row.case_number) == (CASE, "2026-ABCDEFGH-1")
    assert (row.received_on, row.month) == (date(2026, 2, 28), "2026-02")
    assert (row.product, row.sub_product, row.category) == ("cards", "credit", "fees/late")
    assert (row.source_system, row.source_reference) == ("crm", "4711")
    assert (row.stage, row.owner_unit, row.owner) == (Stage.CLASSIFIED, "branch", None)


def test_what_came_before_the_complaint_is_not_lost() -> None:
    early = [
        ComplaintAssigned(owner="eva", unit="claims"),
        UpstreamFactReceived(kind=FactKind.DISPUTED, source_system="crm", timely=False),
    ]
    row = row_of(*early, received)

    assert (row.owner, row.owner_unit, row.disputed, row.source_timely) == ("eva", "claims", True, False)
    assert row.stage is Stage.ASSIGNED
    assert row.case_number == "2026-ABCDEFGH-1"


def test_a_corrected_date_of_receipt_moves_the_case_to_its_month() -> None:
    moved = ComplaintDataCorrected(fields=["received_on"], reason="stamp", received_on=date(2026, 1, 31))
    row = row_of(received, moved)
    assert (row.received_on, row.month) == (date(2026, 1, 31), "2026-01")


def test_an_erasure_changes_no_column() -> None:
    erased = PersonalDataErased(
        order=UUID(int=1), basis=ErasureBasis.REQUEST, groups=[DataGroup.CONTACT], kids=["kid"]
    )
    assert row_of(received, registered, classified, erased) == row_of(received, registered, classified)


def test_the_escalation_level_is_that_of_the_worse_clock() -> None:
    row = row_of(
        received,
        ComplaintEscalated(clock=ClockName.ACKNOWLEDGEMENT, level=2),
        ComplaintEscalated(clock=ClockName.FINAL_ANSWER, level=1),
    )
    assert row.escalation_level == 2


def test_every_column_can_be_kept_in_a_table() -> None:
    assert set(REGISTER.columns.values()) == {"uuid", "text", "date", "timestamptz", "boolean", "bigint"}
