"""Two facts that missed each other on the real log, in both orders: the case ends alike (docs/pairs.md).

While the service is unheard its decision stands in its outbox, and what intake says meanwhile is accepted before it.
"""

from typing import Any, TypeAlias
from uuid import UUID

import pytest

from shared.case import Case
from shared.case.record import Record
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from shared.schemas.base import Dated, Decided
from shared.schemas.codes import ErasureBasis, FactKind, Urgency
from shared.schemas.envelope import read
from shared.schemas.intake import ComplaintDataCorrected, ErasureOrdered, PersonalDataErased
from shared.schemas.privacy import DataGroup, Kept, Sealed
from shared.schemas.processing import AssignmentDeclined
from tests.conftest import Database
from tests.integration.processing.world import Handling, fact, in_days, with_clocks, worked
from tests.unit.processing.stories import classified, kept, received
from tests.waiting import until

Asked: TypeAlias = tuple[Any, ...]
"""Who asks in which role for what."""
again = classified.model_copy(update={"category": ["cards", "limit"], "urgency": Urgency.P1})


async def accepted(service: Handling, case: UUID) -> list[str]:
    """The types of the case's events in the order in which everybody accepts them."""
    rows = await service.running.parts.pool.fetch(
        """select e.body from case_log l
           join events e using (case_id, publisher, sequence, id) where case_id = $1 order by n""",
        case,
    )
    return [row["body"].split(b'"type":"')[1].split(b'"')[0].decode() for row in rows]


async def all_accepted(service: Handling, case: UUID) -> list[str]:
    async def read_back() -> object:
        return await service.running.parts.pool.fetchval(
            "select version = (select sum(n) from unnest(gate) n) from cases where id = $1", case
        )

    await until(read_back)
    return await accepted(service, case)


async def told_of(service: Handling, case: UUID) -> None:
    async def there() -> bool:
        return len((await service.case(case))["facts"]) == 1

    await until(there)


async def missing_each_other(
    service: Handling, database: Database, case: UUID, unheard: bool, decision: Asked, *said: Decided
) -> list[str]:
    """Handling decides and intake says something, neither knowing of the other; unheard: intake is accepted first.

    The types of the case's events in accepted order.
    """
    if unheard:
        async with service.unheard(database.owner_dsn):
            await granted(service, decision)
            await service.told(case, *said)
            await heard(service, case)
    else:
        await granted(service, decision)
        await all_accepted(service, case)
        await service.told(case, *said)
        await heard(service, case)
    return await all_accepted(service, case)


async def granted(service: Handling, decision: Asked) -> None:
    answer = await service.ask(*decision)
    assert answer.status_code == 200, answer.text


async def heard(service: Handling, case: UUID) -> None:
    """Handling has read all that intake said of the case."""

    async def read() -> object:
        gate = await service.running.parts.pool.fetchval("select gate from cases where id = $1", case)
        return gate and gate[0] == service.sequences[case]

    await until(read)


async def state(service: Handling, case: UUID) -> Case:
    _, found = await service.running.parts.office.look(case)
    return found


async def in_second_round(service: Handling, case: UUID) -> dict[str, Any]:
    async def there() -> bool:
        clocks = (await service.case(case))["clocks"]
        return [clock["round"] for clock in clocks if clock["clock"] == "final-answer"] == [2]

    await until(there)
    return await service.case(case)


@pytest.mark.parametrize("unheard", [False, True], ids=["closing first", "objection first"])
async def test_a_closing_and_an_objection(service: Handling, database: Database, unheard: bool) -> None:
    case = await worked(service)
    closing = ("eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    if unheard:
        async with service.unheard(database.owner_dsn):
            assert (await service.ask(*closing)).status_code == 200
            await service.told(case, fact(FactKind.DISPUTED))
            await service.reached(case, reopened=1)
    else:
        assert (await service.ask(*closing)).status_code == 200
        await all_accepted(service, case)
        await service.told(case, fact(FactKind.DISPUTED))
    found = await in_second_round(service, case)
    order = await all_accepted(service, case)
    objected, closed = (
        order.index(name) for name in ("intake.upstream-fact-received.v1", "processing.complaint-closed.v1")
    )
    assert (objected < closed) is unheard
    assert order[-2:] == ["processing.complaint-reopened.v1", "processing.clock-started.v1"]
    assert (found["stage"], found["reopened"], found["owner"]) == ("in-progress", 1, "eva")
    assert [each["open"] for each in found["facts"]] == [True]
    assert found["next_steps"] == ["assignment", "settlement"]


@pytest.mark.parametrize("unheard", [False, True], ids=["adoption first", "told first"])
async def test_an_adoption_and_a_closing_told_by_the_source(
    service: Handling, database: Database, unheard: bool
) -> None:
    case = fresh_id()
    await service.told(case, Dated(kept, in_days(-90)), classified)
    await service.reached(case, stage="classified")
    adoption = ("eva", Role.OWN, "POST", f"/v1/cases/{case}/adoption")
    if unheard:
        async with service.unheard(database.owner_dsn):
            assert (await service.ask(*adoption)).status_code == 200
            await service.told(case, fact(FactKind.CLOSED, days_ago=80))
            await told_of(service, case)
    else:
        assert (await service.ask(*adoption)).status_code == 200
        await all_accepted(service, case)
        await service.told(case, fact(FactKind.CLOSED, days_ago=80))
        await told_of(service, case)
    found = await with_clocks(service, case)
    order = await all_accepted(service, case)
    told, adopted = (
        order.index(name) for name in ("intake.upstream-fact-received.v1", "processing.case-adopted.v1")
    )
    assert (told < adopted) is unheard
    assert "processing.complaint-closed.v1" not in order
    assert (found["stage"], found["owner"]) == ("in-progress", "eva")


@pytest.mark.parametrize("unheard", [False, True], ids=["closing first", "next word first"])
async def test_a_closing_by_the_source_and_its_next_word(
    service: Handling, database: Database, unheard: bool
) -> None:
    case = fresh_id()
    first, second = fact(FactKind.CLOSED, 80, "explained"), fact(FactKind.CLOSED, 70, "refunded")
    if unheard:
        async with service.unheard(database.owner_dsn):
            await service.told(case, Dated(kept, in_days(-90)), first)
            await service.reached(case, stage="closed")
            await service.told(case, second)
            await service.reached(case, outcome="refunded")
    else:
        await service.told(case, Dated(kept, in_days(-90)), first)
        await service.reached(case, stage="closed")
        await all_accepted(service, case)
        await service.told(case, second)
    found = await service.reached(case, outcome="refunded")
    order = await all_accepted(service, case)
    closed = "processing.complaint-closed.v1"
    assert order[-2:] == ([closed, closed] if unheard else ["intake.upstream-fact-received.v1", closed])
    assert order.count(closed) == 2
    assert (found["stage"], found["closing_reason"]) == ("closed", "by-source")


@pytest.mark.parametrize("unheard", [False, True], ids=["adoption first", "objection first"])
async def test_an_objection_and_an_adoption(service: Handling, database: Database, unheard: bool) -> None:
    case = fresh_id()
    await service.told(case, Dated(kept, in_days(-90)), classified)
    await service.reached(case, stage="classified")
    adoption = ("eva", Role.OWN, "POST", f"/v1/cases/{case}/adoption")
    order = await missing_each_other(
        service, database, case, unheard, adoption, fact(FactKind.DISPUTED, days_ago=80)
    )
    objected = order.index("intake.upstream-fact-received.v1")
    assert (objected < order.index("processing.case-adopted.v1")) is unheard
    found = await with_clocks(service, case)
    assert (found["stage"], found["owner"], found["reopened"]) == ("in-progress", "eva", 0)
    assert [each["open"] for each in found["facts"]] == [True]
    refused = await service.ask("eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:redress:problem:open-objections")


@pytest.mark.parametrize("unheard", [False, True], ids=["assignment first", "classification first"])
async def test_another_classification_and_an_assignment(
    service: Handling, database: Database, unheard: bool
) -> None:
    case = fresh_id()
    await service.told(case, received, classified)
    await with_clocks(service, case)
    assignment = ("lea", Role.LEAD, "POST", f"/v1/cases/{case}/assignment", {"owner": "eva"})
    order = await missing_each_other(service, database, case, unheard, assignment, again)
    seen_again = len(order) - 1 - order[::-1].index("intake.complaint-classified.v2")
    assert (seen_again < order.index("processing.complaint-assigned.v1")) is unheard
    found = await service.case(case)
    assert (found["stage"], found["owner"]) == ("assigned", "eva")
    assert (found["category"], found["urgency"]) == (["cards", "limit"], "P1")


@pytest.mark.parametrize("unheard", [False, True], ids=["clock first", "urgency first"])
async def test_a_new_urgency_and_a_clock_that_starts(
    service: Handling, database: Database, unheard: bool
) -> None:
    case = fresh_id()
    if unheard:
        async with service.unheard(database.owner_dsn):
            await service.told(case, received, classified)
            before = (await with_clocks(service, case))["clocks"]
            await service.told(case, again)
            await heard(service, case)
    else:
        await service.told(case, received, classified)
        before = (await with_clocks(service, case))["clocks"]
        await all_accepted(service, case)
        await service.told(case, again)
        await heard(service, case)
    order = await all_accepted(service, case)
    seen_again = len(order) - 1 - order[::-1].index("intake.complaint-classified.v2")
    assert (seen_again < order.index("processing.clock-started.v1")) is unheard
    found = await service.case(case)
    assert (found["urgency"], found["clocks"]) == ("P1", before)


@pytest.mark.parametrize("unheard", [False, True], ids=["closing first", "classification first"])
async def test_another_classification_and_a_closing(
    service: Handling, database: Database, unheard: bool
) -> None:
    case = await worked(service)
    closing = ("eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    order = await missing_each_other(service, database, case, unheard, closing, again)
    seen_again = len(order) - 1 - order[::-1].index("intake.complaint-classified.v2")
    assert (seen_again < order.index("processing.complaint-closed.v1")) is unheard
    found = await service.case(case)
    assert (found["stage"], found["reopened"], found["category"]) == ("closed", 0, ["cards", "limit"])
    assert {clock["result"] for clock in found["clocks"]} == {"met"}


@pytest.mark.parametrize("unheard", [False, True], ids=["closing first", "correction first"])
async def test_a_correction_and_a_closing(service: Handling, database: Database, unheard: bool) -> None:
    case = await worked(service)
    corrected = ComplaintDataCorrected(fields=["channel"], reason="upstream-changed", channel="phone")
    closing = ("eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    order = await missing_each_other(service, database, case, unheard, closing, corrected)
    told = order.index("intake.complaint-data-corrected.v1")
    assert (told < order.index("processing.complaint-closed.v1")) is unheard
    found = await service.case(case)
    assert (found["stage"], found["reopened"]) == ("closed", 0)
    record = (await state(service, case)).record
    assert isinstance(record, Record)
    assert (record.channel, record.corrections) == ("phone", 1)


@pytest.mark.parametrize("unheard", [False, True], ids=["remark first", "erasure first"])
async def test_a_remark_and_an_erasure(service: Handling, database: Database, unheard: bool) -> None:
    case, groups = fresh_id(), list(DataGroup)
    await service.told(case, received, classified)
    await with_clocks(service, case)
    await granted(service, ("lea", Role.LEAD, "POST", f"/v1/cases/{case}/assignment", {"owner": "eva"}))
    await all_accepted(service, case)
    (order_id,) = await service.told(case, ErasureOrdered(basis=ErasureBasis.REQUEST, groups=groups))
    body = {"reason": "absent", "remark": "She told me about her illness."}
    declining = ("eva", Role.OWN, "POST", f"/v1/cases/{case}/declining", body)
    erased = PersonalDataErased(order=order_id, basis=ErasureBasis.REQUEST, groups=groups, kids=[])
    parts = service.running.parts
    if unheard:  # the keys are gone before the remark is sealed
        await parts.keyring.destroy(received.subject_id, [case], None)
        await parts.sealer.forget()
    order = await missing_each_other(service, database, case, unheard, declining, erased)
    if not unheard:
        await parts.keyring.destroy(received.subject_id, [case], None)
        await parts.sealer.forget()
    gone = order.index("intake.personal-data-erased.v1")
    assert (gone < order.index("processing.assignment-declined.v1")) is unheard
    loaded = await parts.store.load(case)
    events = [read(event.body) for event in loaded.events]
    (remark,) = [
        Kept(recorded.id, "remark", recorded.event.remark)
        for recorded in events
        if isinstance(recorded.event, AssignmentDeclined) and isinstance(recorded.event.remark, Sealed)
    ]
    assert await parts.sealer.unseal([remark]) == [None]
    found = await state(service, case)
    assert (found.privacy.erased, found.privacy.ordered) == (frozenset(DataGroup), {})
    assert (await service.case(case))["owner"] is None


@pytest.mark.parametrize("unheard", [False, True], ids=["closing first", "answer first"])
async def test_a_closing_by_the_source_and_an_answer_told_afterwards(
    service: Handling, database: Database, unheard: bool
) -> None:
    case = fresh_id()
    closing, answer = fact(FactKind.CLOSED, 80), fact(FactKind.ANSWERED, 70)
    if unheard:
        async with service.unheard(database.owner_dsn):
            await service.told(case, Dated(kept, in_days(-90)), closing)
            await service.reached(case, stage="closed")
            await service.told(case, answer)
            await heard(service, case)
    else:
        await service.told(case, Dated(kept, in_days(-90)), closing)
        await service.reached(case, stage="closed")
        await all_accepted(service, case)
        await service.told(case, answer)
        await heard(service, case)
    order = await all_accepted(service, case)
    assert (order[-1] == "processing.complaint-closed.v1") is unheard
    found = await service.case(case)
    assert (found["stage"], found["closing_reason"], len(found["facts"])) == ("closed", "by-source", 2)
