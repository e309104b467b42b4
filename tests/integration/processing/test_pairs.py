"""Two facts that missed each other on the real log, in both orders: the case ends alike (docs/pairs.md, 1 to 3).

While the service is unheard its decision stands in its outbox, and what intake says meanwhile is accepted before it.
"""

from typing import Any
from uuid import UUID

import pytest

from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from shared.schemas.base import Dated
from shared.schemas.codes import FactKind
from tests.conftest import Database
from tests.integration.processing.world import Handling, fact, in_days, with_clocks, worked
from tests.unit.processing.stories import classified, kept
from tests.waiting import until


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
