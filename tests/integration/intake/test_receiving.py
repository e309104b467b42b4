"""A complaint is received over HTTP with its number at once, and the same request again is answered alike."""

import asyncio
import json
from typing import Any
from uuid import uuid5

import pytest

from services.intake.domain.identity import read_case_number
from shared.runtime.auth import Role, undeclared_routes
from shared.runtime.ids import NAMESPACE, fresh_id
from tests.integration.intake.world import World

CANARY = "canary-4b1d narrative"
BODY = {
    "channel": "e-mail",
    "narrative": CANARY,
    "name": "Erika Canary-4b1d",
    "email": "erika@canary-4b1d.example",
    "product": "parcel",
    "category": ["delivery", "late"],
    "wish": ["refund"],
}


def sourced(**more: Any) -> dict[str, Any]:
    return {**BODY, "source_system": "shop", "source_reference": str(fresh_id()), **more}


async def test_a_complaint_has_its_number_address_tag_and_token_at_once(world: World) -> None:
    answer = await world.post(BODY)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said["result"] == "new"
    assert read_case_number(said["case_number"]) == said["case_number"]
    assert answer.headers["Location"] == f"/v1/complaints/{said['case_id']}"
    assert answer.headers["ETag"] == '"intake:3"'
    assert answer.headers["Redress-Token"] == f"intake:{said['case_id']}:3"


async def test_whoever_brings_the_token_reads_what_was_written(world: World) -> None:
    posted = await world.post(BODY)
    token = posted.headers["Redress-Token"]
    answer = await world.ask(
        Role.INT, "GET", f"/v1/complaints/{posted.json()['case_id']}", Redress_Token=token
    )
    said = answer.json()
    assert said["personal"]["narrative"] == CANARY
    assert (said["state"], said["classification"]["urgency"]) == ("classified", "P4")
    assert said["freshness"]["fresh"]


async def test_the_same_key_and_body_is_one_complaint_and_another_body_is_refused(world: World) -> None:
    key = str(fresh_id())
    first, second = await asyncio.gather(
        *(world.post(BODY, Idempotency_Key=key) for _ in range(2)), return_exceptions=False
    )
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    other = await world.post({**BODY, "product": "letter"}, Idempotency_Key=key)
    assert other.status_code == 422
    assert other.json()["type"].endswith("idempotency-key-reused")


async def test_a_key_is_not_used_for_two_references(world: World) -> None:
    key = str(fresh_id())
    assert (await world.post(sourced(), Idempotency_Key=key)).status_code == 201
    assert (await world.post(sourced(), Idempotency_Key=key)).status_code == 422


async def test_a_reference_again_is_known_and_with_other_content_a_named_change(world: World) -> None:
    body = sourced()
    first = (await world.post(body)).json()
    again = await world.post(body)
    assert (again.status_code, again.json()["result"]) == (201, "new")
    by_key = await world.post(body, Idempotency_Key=str(fresh_id()))
    assert by_key.status_code == 200
    assert by_key.json() == {**first, "result": "known"}
    changed = await world.post({**body, "product": "letter", "narrative": "Other."})
    assert changed.status_code == 200
    assert (changed.json()["result"], changed.json()["changed"]) == ("changed", ["product", "narrative"])
    back = await world.post(body)
    assert back.json()["result"] == "new"
    now = await world.read(first["case_id"], Redress_Token=changed.headers["Redress-Token"])
    assert (now["product"], now["personal"]["narrative"], now["corrections"]) == ("letter", "Other.", 1)


async def test_a_category_given_here_is_not_undone_by_the_source(world: World) -> None:
    body = sourced()
    case = (await world.post(body)).json()["case_id"]
    await world.read(case)
    path = f"/v1/cases/{case}/classification"
    done = await world.ask(Role.INT, "POST", path, {"category": ["goods", "defect"], "severity": 4})
    assert done.json() == {"case_id": case, "events": ["intake.complaint-classified.v2"]}
    changed = await world.post({**body, "product": "letter"})
    assert changed.json()["changed"] == ["product"]
    now = await world.read(case, Redress_Token=changed.headers["Redress-Token"])
    assert (now["classification"]["category"], now["classification"]["urgency"]) == (
        ["goods", "defect"],
        "P2",
    )


async def test_nothing_personal_reaches_topic_or_tables_in_clear(world: World) -> None:
    case = (await world.post(BODY)).json()["case_id"]
    await world.read(case)
    assert "canary-4b1d" not in json.dumps(await world.published("cases"))
    tables = await world.running.parts.pool.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    for table in tables:
        rows = await world.running.parts.pool.fetch(f'select * from "{table[0]}"')
        assert b"canary-4b1d" not in b"".join(_bytes(value) for row in rows for value in row.values())


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


async def test_a_case_is_found_by_its_number_however_it_is_typed(world: World) -> None:
    posted = (await world.post(BODY)).json()
    await world.read(posted["case_id"])
    typed = posted["case_number"].lower().replace("-", "")
    found = (await world.ask(Role.CM, "GET", f"/v1/complaints?case_number={typed}")).json()
    assert found["items"] == [{"case_id": posted["case_id"], "case_number": posted["case_number"]}]
    wrong = await world.ask(Role.CM, "GET", "/v1/complaints?case_number=2026-AAAAAAAA-A")
    assert (wrong.status_code, wrong.json()["fields"][0]["field"]) == (422, "query.case_number")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**BODY, "channel": "pigeon"}, "body.channel"),
        ({**BODY, "occurred_at": "2999-01-01T00:00:00Z"}, "body.occurred_at"),
        ({**BODY, "narative": "x"}, "body.narative"),
        ({**BODY, "entity": "another"}, "body.entity"),
        ({**BODY, "source_system": "shop"}, "body"),
        ({**BODY, "details": {"a": "x" * 4001}}, "body.details.a"),
    ],
)
async def test_what_is_refused_names_its_field(world: World, body: dict[str, Any], field: str) -> None:
    answer = await world.post(body)
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in answer.json()["fields"]] == [field]
    assert CANARY not in answer.text


async def test_if_match_guards_a_classification(world: World) -> None:
    posted = await world.post(BODY)
    case = posted.json()["case_id"]
    await world.read(case)
    path, body = f"/v1/cases/{case}/classification", {"category": ["goods"]}
    stale = await world.ask(Role.INT, "POST", path, body, If_Match='"intake:2"')
    assert stale.status_code == 412
    done = await world.ask(Role.INT, "POST", path, body, If_Match=posted.headers["ETag"])
    assert (done.status_code, done.headers["ETag"]) == (200, '"intake:4"')


async def test_facts_are_recorded_once(world: World) -> None:
    case = (await world.post(sourced())).json()["case_id"]
    path, fact = f"/v1/cases/{case}/facts", {"kind": "answered", "occurred_at": "2026-01-02T00:00:00Z"}
    first = await world.ask(Role.UPS, "POST", path, fact)
    assert first.json()["events"] == ["intake.upstream-fact-received.v1"]
    assert (await world.ask(Role.UPS, "POST", path, fact)).json()["events"] == []
    future = await world.ask(
        Role.UPS, "POST", path, {"kind": "closed", "occurred_at": "2999-01-02T00:00:00Z"}
    )
    assert (future.status_code, future.json()["fields"][0]["field"]) == (422, "body.occurred_at")
    unknown = await world.ask(Role.UPS, "POST", f"/v1/cases/{fresh_id()}/facts", fact)
    assert unknown.status_code == 404


async def test_the_scheme_in_force_is_told_in_both_languages(world: World) -> None:
    scheme = (await world.ask(Role.UPS, "GET", "/v1/category-schemes/current")).json()
    assert scheme["version"] == "1"
    assert {"path": ["delivery"], "german": "Lieferung", "english": "Delivery"} in scheme["categories"]


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        (Role.AUD, "POST", "/v1/complaints"),
        (Role.OWN, "POST", "/v1/imports"),
        (Role.UPS, "GET", "/v1/complaints?case_number=x"),
        (Role.AUD, "POST", f"/v1/cases/{uuid5(NAMESPACE, 'x')}/classification"),
        (Role.CM, "POST", f"/v1/cases/{uuid5(NAMESPACE, 'x')}/erasure"),
        (Role.CM, "POST", f"/v1/subjects/{uuid5(NAMESPACE, 'x')}/erasure"),
    ],
)
async def test_what_a_role_may_not_do_is_refused(world: World, role: Role, method: str, path: str) -> None:
    assert (await world.ask(role, method, path, {})).status_code == 403


async def test_contact_employees_classify_their_own_cases_only(world: World) -> None:
    case = (await world.post(BODY, Role.CON)).json()["case_id"]
    await world.read(case)
    path, body = f"/v1/cases/{case}/classification", {"category": ["goods"]}
    assert (await world.ask(Role.CON, "POST", path, body, who="other")).status_code == 403
    assert (await world.ask(Role.CON, "POST", path, body)).status_code == 200


async def test_figures_are_read_without_personal_texts(world: World) -> None:
    case = (await world.post(BODY)).json()["case_id"]
    assert "personal" not in await world.read(case, Role.QM)


async def test_restricted_cases_are_seen_by_those_who_must(world: World) -> None:
    case = (await world.post({**BODY, "restricted": True})).json()["case_id"]
    await world.read(case, Role.CM)
    assert (await world.ask(Role.INT, "GET", f"/v1/complaints/{case}")).status_code == 404


async def test_every_route_says_who_may_call_it(world: World) -> None:
    assert undeclared_routes(world.app) == []
