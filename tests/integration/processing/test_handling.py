"""A case is worked by HTTP, and what handling owes it is done by itself."""

import pytest

from shared.runtime.auth import Role, undeclared_routes
from shared.runtime.ids import fresh_id
from shared.schemas.base import Dated
from shared.schemas.codes import FactKind
from tests.integration.processing.world import Handling, fact, in_days, with_clocks, worked
from tests.unit.processing.stories import classified, kept, received
from tests.waiting import until


async def test_a_received_complaint_gets_its_clocks_and_stands_on_the_worklist(service: Handling) -> None:
    case = fresh_id()
    await service.told(case, received, classified)
    found = await with_clocks(service, case)
    assert {clock["clock"] for clock in found["clocks"]} == {"acknowledgement", "final-answer"}
    token = f"processing:{case}:2"
    listed = await service.ask("lea", Role.LEAD, "GET", "/v1/worklist?limit=500", Redress_Token=token)
    page = listed.json()
    assert [row["next_due"] for row in page["items"] if row["case_id"] == str(case)] == [found["next_due"]]


async def test_a_case_goes_its_way_from_assignment_to_rest_and_wakes_again(service: Handling) -> None:
    case = await worked(service)
    (objection,) = await service.told(case, fact(FactKind.DISPUTED))
    token = f"intake:{case}:3"
    refused = await service.ask(
        "eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"}, Redress_Token=token
    )
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:redress:problem:open-objections"
    assert str(objection) in refused.json()["detail"]
    settled = await service.ask(
        "eva",
        Role.OWN,
        "POST",
        f"/v1/cases/{case}/objections/{objection}/settlement",
        {"finding": "unfounded"},
    )
    closed = await service.ask("eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    reopened = await service.ask(
        "lea", Role.LEAD, "POST", f"/v1/cases/{case}/reopening", {"reason": "customer"}
    )
    for answer in (settled, closed, reopened):
        assert answer.status_code == 200, answer.text
    found = await service.reached(case, stage="in-progress", reopened=1)
    assert found["owner"] == "eva"

    async def second_round() -> bool:
        clocks = (await service.case(case))["clocks"]
        return [clock["round"] for clock in clocks if clock["clock"] == "final-answer"] == [2]

    await until(second_round)


async def test_a_closing_that_an_objection_missed_is_repaired(service: Handling) -> None:
    case = await worked(service)
    closed = await service.ask("eva", Role.OWN, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    assert closed.status_code == 200, closed.text
    await service.told(case, fact(FactKind.DISPUTED))
    found = await service.reached(case, stage="in-progress", reopened=1)
    assert found["next_steps"] == ["assignment", "settlement"]


async def test_a_complaint_that_was_keyed_late_is_reminded_of_and_escalated_at_once(
    service: Handling,
) -> None:
    case = fresh_id()
    await service.told(case, Dated(received, in_days(-60)), classified)
    token = f"processing:{case}:6"

    async def all_said() -> bool:
        clocks = (await service.case(case)).get("clocks", [])
        return [(clock["reminded"], clock["level"]) for clock in clocks] == [(True, 1), (True, 1)]

    await until(all_said)
    listed = await service.ask(
        "lea", Role.LEAD, "GET", "/v1/worklist?overdue=true&limit=500", Redress_Token=token
    )
    page = listed.json()
    assert str(case) in [row["case_id"] for row in page["items"]]


async def test_history_is_closed_by_its_source_and_opened_by_whoever_adopts_it(service: Handling) -> None:
    case = fresh_id()
    await service.told(case, Dated(kept, in_days(-90)), classified, fact(FactKind.CLOSED, days_ago=80))
    found = await service.reached(case, stage="closed")
    assert (found["closing_reason"], found["outcome"], found["clocks"]) == (
        "by-source",
        "closed-with-explanation",
        [],
    )
    adopted = await service.ask("eva", Role.OWN, "POST", f"/v1/cases/{case}/adoption")
    assert adopted.status_code == 200, adopted.text
    found = await with_clocks(service, case)
    assert (found["stage"], found["owner"]) == ("in-progress", "eva")


async def test_the_same_key_acts_once_and_is_answered_alike(service: Handling) -> None:
    case = await worked(service)
    asked = (
        "lea",
        Role.LEAD,
        "POST",
        f"/v1/cases/{case}/assignment",
        {"owner": "max"},
    )
    first = await service.ask(*asked, Idempotency_Key="k1")
    again = await service.ask(*asked, Idempotency_Key="k1")
    assert first.json() == again.json()
    assert first.headers["etag"] == again.headers["etag"]
    other = await service.ask(*asked[:4], {"owner": "eva"}, Idempotency_Key="k1")
    assert (other.status_code, other.json()["type"]) == (422, "urn:redress:problem:idempotency-key-reused")


async def test_a_write_against_an_old_state_is_refused(service: Handling) -> None:
    case = await worked(service)
    seen = await service.ask("lea", Role.LEAD, "GET", f"/v1/cases/{case}")
    path = f"/v1/cases/{case}/assignment"
    first = await service.ask("lea", Role.LEAD, "POST", path, {"owner": "max"}, If_Match=seen.headers["etag"])
    late = await service.ask("lea", Role.LEAD, "POST", path, {"owner": "kim"}, If_Match=seen.headers["etag"])
    assert (first.status_code, late.status_code) == (200, 412)


async def test_whoever_has_written_reads_it_on_the_worklist(service: Handling) -> None:
    case = await worked(service)
    answer = await service.ask("lea", Role.LEAD, "POST", f"/v1/cases/{case}/assignment", {"owner": "kim"})
    token = answer.headers["redress-token"]
    page = await service.ask("kim", Role.OWN, "GET", "/v1/worklist?owner=kim&limit=500", Redress_Token=token)
    assert page.headers["redress-fresh"] == "true"
    assert str(case) in [row["case_id"] for row in page.json()["items"]]


async def test_a_remark_is_nowhere_in_clear(service: Handling) -> None:
    case = fresh_id()
    await service.told(case, received, classified)
    await service.reached(case, stage="classified")
    await service.ask("lea", Role.LEAD, "POST", f"/v1/cases/{case}/assignment", {"owner": "eva"})
    declined = await service.ask(
        "eva",
        Role.OWN,
        "POST",
        f"/v1/cases/{case}/declining",
        {"reason": "absent", "remark": "canary in the mine"},
    )
    assert declined.status_code == 200, declined.text
    bodies = await service.running.parts.pool.fetch("select body from events where case_id = $1", case)
    assert bodies
    assert not any(b"canary" in row["body"] for row in bodies)


@pytest.mark.parametrize(
    ("who", "role", "status"), [("max", Role.OWN, 409), ("aud", Role.AUD, 403), ("ina", Role.INT, 403)]
)
async def test_only_who_may_close_closes(service: Handling, who: str, role: Role, status: int) -> None:
    case = await worked(service)
    answer = await service.ask(who, role, "POST", f"/v1/cases/{case}/closing", {"reason": "answered"})
    assert answer.status_code == status


async def test_a_restricted_case_is_not_there_for_others(service: Handling) -> None:
    case = fresh_id()
    await service.told(case, received.model_copy(update={"restricted": True}), classified)
    await until(lambda: service.case(case, "cm", Role.CM))
    assert await service.case(case, "lea", Role.LEAD) == {}
    answer = await service.ask("lea", Role.LEAD, "POST", f"/v1/cases/{case}/assignment", {"owner": "eva"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "answered", "outcome": "Mr Smith was right"}, "body.outcome"),
        ({"reason": "tired"}, "body.reason"),
        ({"reason": "answered", "why": "x"}, "body.why"),
        ({}, "body.reason"),
    ],
)
async def test_what_does_not_fit_is_refused_by_field(
    service: Handling, body: dict[str, str], field: str
) -> None:
    answer = await service.ask("lea", Role.LEAD, "POST", f"/v1/cases/{fresh_id()}/closing", body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["fields"]] == [field]


async def test_pages_of_the_worklist_follow_each_other(service: Handling) -> None:
    whole = (await service.ask("lea", Role.LEAD, "GET", "/v1/worklist?limit=500")).json()["items"]
    seen: list[str] = []
    path = "/v1/worklist?limit=2"
    while path:
        page = (await service.ask("lea", Role.LEAD, "GET", path)).json()
        seen += [row["case_id"] for row in page["items"]]
        path = page["next"] and f"/v1/worklist?limit=2&cursor={page['next']}"
    assert seen == [row["case_id"] for row in whole]
    assert (await service.ask("lea", Role.LEAD, "GET", "/v1/worklist?cursor=nonsense")).status_code == 400


async def test_its_events_reach_the_topic_and_are_read_back(service: Handling) -> None:
    case = await worked(service)

    async def read_back() -> bool:
        gate = await service.running.parts.pool.fetchrow(
            "select own, gate[2] as read from cases where id = $1", case
        )
        return gate is not None and gate["own"] == gate["read"]

    await until(read_back)


async def test_every_route_declares_who_may_call_it(service: Handling) -> None:
    assert undeclared_routes(service.app) == []
