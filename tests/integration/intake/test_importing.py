"""Rows of a file are received as history; the same rows again are known, and one changed cell is named."""

import base64
import json
from typing import Any

from services.intake.domain.identity import complaint_of_reference
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from tests.integration.intake.world import World
from tests.waiting import until

RESPONSE = "Closed with explanation"


def row(line: int, reference: str, **more: Any) -> dict[str, Any]:
    complaint = {
        "source_system": "cfpb",
        "source_reference": reference,
        "channel": "web-form",
        "time_zone": "America/New_York",
        "occurred_at": "2016-09-12T00:00:00-04:00",
        "product": "Mortgage",
        "category": ["finance", "loan-servicing"],
        "facts": [
            {"kind": "closed", "label": RESPONSE, "occurred_at": "2016-09-13T00:00:00-04:00", "stated": False}
        ],
        "details": {"state": "TX"},
        **more,
    }
    return {"line": line, "complaint": complaint}


async def imported(world: World, *rows: dict[str, Any], role: Role = Role.INT) -> dict[str, Any]:
    answer = await world.ask(role, "POST", "/v1/imports", {"rows": rows})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_rows_are_new_then_known_then_changed_by_name(world: World) -> None:
    references = [str(fresh_id()) for _ in range(50)]
    rows = [row(n, reference) for n, reference in enumerate(references, 2)]
    first = await imported(world, *rows)
    assert (first["new"], first["known"], first["changed"], first["refused"]) == (50, 0, 0, 0)
    assert [answer["line"] for answer in first["rows"]] == list(range(2, 52))
    again = await imported(world, *rows)
    assert (again["new"], again["known"]) == (0, 50)
    rows[7] = row(9, references[7], details={"state": "CA"}, product="Credit card")
    changed = await imported(world, *rows)
    assert (changed["known"], changed["changed"]) == (49, 1)
    assert changed["rows"][7]["changed"] == ["product", "state"]
    rows[7] = row(9, references[7])
    assert (await imported(world, *rows))["known"] == 50


async def test_an_import_by_another_person_knows_what_was_imported(world: World) -> None:
    reference = str(fresh_id())
    await imported(world, row(2, reference))
    assert (await imported(world, row(2, reference), role=Role.CM))["known"] == 1


async def test_an_imported_row_is_history_with_the_facts_of_its_source(world: World) -> None:
    reference = str(fresh_id())
    await imported(world, row(2, reference))
    case = str(complaint_of_reference("cfpb", reference))
    read = await world.read(case)
    assert (read["origin"], read["received_on"], read["receiver"]) == ("history", "2016-09-12", None)
    assert read["facts"] == [
        {"kind": "closed", "occurred_at": "2016-09-13T04:00:00+00:00", "label": RESPONSE, "timely": None}
    ]
    assert json.loads(read["personal"]["details"]) == {"state": "TX"}
    assert await world.running.parts.pool.fetchval("select count(*) from owed where case_id = $1", case) == 0


async def test_one_row_twice_in_a_request_is_new_and_known(world: World) -> None:
    reference = str(fresh_id())
    answer = await imported(world, row(2, reference), row(3, reference), row(4, reference, product="Card"))
    assert [each["result"] for each in answer["rows"]] == ["new", "known", "changed"]


async def test_rows_that_cannot_be_taken_are_refused_alone_and_told_back(world: World) -> None:
    before = {notice["id"] for notice in await world.published("rejected")}
    raw = base64.b64encode(b"a,b\xff").decode()
    answer = await imported(
        world,
        row(2, str(fresh_id())),
        row(3, str(fresh_id()), channel="pigeon"),
        row(4, str(fresh_id()), occurred_at="09/12/2016"),
        row(5, str(fresh_id()), entity="another"),
        {"line": 6, "unreadable": {"field": "company", "reason": "not-utf-8", "raw": raw}},
        {"line": 7},
        {"line": 8, "unreadable": {"field": "columns", "reason": "not-csv", "raw": "ü"}},
    )
    told = [(each.get("field"), each.get("reason")) for each in answer["rows"]]
    assert told == [
        (None, None),
        ("channel", "unknown-value"),
        ("occurred_at", "not-a-moment"),
        ("entity", "not-yours"),
        ("company", "not-utf-8"),
        ("body", "not-an-object"),
        ("columns", "not-csv"),
    ]
    assert answer["refused"] == 6

    async def noticed() -> bool:
        return len(await world.published("rejected")) == len(before) + 6

    await until(noticed)
    notices = [notice for notice in await world.published("rejected") if notice["id"] not in before]
    assert sorted(notice["data"]["line"] for notice in notices) == [3, 4, 5, 6, 7, 8]
    assert {notice["data"]["origin"] for notice in notices} == {"import"}


async def test_a_request_takes_five_hundred_rows_at_most(world: World) -> None:
    rows = [row(n, "r") for n in range(501)]
    answer = await world.ask(Role.INT, "POST", "/v1/imports", {"rows": rows})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "body.rows")
