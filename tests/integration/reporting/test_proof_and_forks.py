"""The proof over HTTP, and a doubled sequence that parks its case until an auditor has looked into it."""

import base64
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from shared.runtime.auth import Role
from tests.integration.reporting.log import assigned, registered, whole_case
from tests.integration.reporting.world import Reporting
from tests.waiting import until


@pytest.fixture(scope="module")
async def case(service: Reporting) -> UUID:
    told, _ = await service.log.tell(whole_case("2026-AAAAAAAA-1"), whole_case("2026-BBBBBBBB-1"))
    await service.reads(told)
    return told


async def test_anybody_can_compute_the_hashes_of_a_case_from_its_exact_bytes(
    service: Reporting, case: UUID
) -> None:
    pages, cursor = [], None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        told = await service.told(f"/v1/cases/{case}/events", limit=2, **more)
        pages += told["items"]
        cursor = told["next"]
        if not cursor:
            break

    end = sha256(f"redress/{told['topic']}/{case}".encode()).digest()
    assert told["genesis"] == end.hex()
    for number, item in enumerate(pages, start=1):
        end = sha256(end + base64.b64decode(item["body"])).digest()
        assert (item["number"], item["hash"]) == (number, end.hex())
    assert len(pages) == 5


async def test_events_as_json_are_the_events(service: Reporting, case: UUID) -> None:
    items = (await service.told(f"/v1/cases/{case}/events", format="json"))["items"]
    assert [item["json"]["subject"] for item in items] == [str(case)] * 5
    assert items[0]["headers"]["ce_id"] == items[0]["json"]["id"]


def lines(answer: httpx.Response) -> list[dict[str, object]]:
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line) for line in answer.text.splitlines()]


async def test_a_verification_ends_with_its_result(service: Reporting, case: UUID) -> None:
    result = lines(await service.ask("/v1/verification", method="POST"))[-1]["result"]
    assert isinstance(result, dict)
    assert (result["holds"], result["findings"]) == (True, [])
    assert result["records"] >= 10


@pytest.mark.parametrize("role", [Role.DPO, Role.CM, Role.OPS])
async def test_only_an_auditor_verifies(service: Reporting, role: Role) -> None:
    assert (await service.ask("/v1/verification", role, method="POST")).status_code == 403


async def test_nothing_is_acknowledged_where_nothing_is_forked(service: Reporting, case: UUID) -> None:
    answer = await acknowledge(service, case)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:redress:problem:not-forked")


async def acknowledge(service: Reporting, case: UUID, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"finding": "stray-producer"}
    path = f"/v1/cases/{case}/forks/acknowledgement"
    return await service.ask(path, method="POST", body=body, headers=headers)


async def test_a_doubled_sequence_parks_the_case_until_an_auditor_acknowledges_it(service: Reporting) -> None:
    case, other = await service.log.tell(whole_case("2026-FFFFFFFF-1")[:2], whole_case("2026-GGGGGGGG-1")[:2])
    await service.log.publish([service.log.body(case, registered("forged"), sequence=2)])
    await service.log.publish([service.log.body(case, assigned)])
    await service.reads(other)

    async def parked() -> bool:
        return bool((await service.told(f"/v1/cases/{case}/replay"))["parked"] == "forked")

    await until(parked)
    (fork,) = (await service.told(f"/v1/cases/{case}/forks"))["items"]
    assert (fork["event"], fork["acknowledged"]) == ("intake:2", False)
    assert (await service.told(f"/v1/cases/{other}/replay"))["parked"] is None

    done = await acknowledge(service, case, key="once")
    again = await acknowledge(service, case, key="once")

    assert done.status_code == 200, done.text
    assert again.json() == done.json()
    assert done.headers["etag"] == '"reporting:1"'

    async def free() -> bool:
        return (await service.told(f"/v1/cases/{case}/replay"))["parked"] is None

    await until(free)
    told = await service.told(f"/v1/cases/{case}/replay", step="true")
    assert told["steps"][-1]["sentence"]["en"].startswith("Doubled sequence was acknowledged")
    assert told["state"]["record.registration.product"] == "cards"
    (row,) = (await service.told("/v1/register", case_number="2026-FFFFFFFF-1"))["items"]
    assert (row["product"], row["owner"]) == ("cards", "eva")
    (fork,) = (await service.told(f"/v1/cases/{case}/forks"))["items"]
    assert fork["acknowledged"]
    result = lines(await service.ask("/v1/verification", method="POST"))[-1]["result"]
    assert isinstance(result, dict)
    assert result["holds"]


async def test_a_finding_is_a_code_and_no_text_about_people(service: Reporting, case: UUID) -> None:
    path = f"/v1/cases/{case}/forks/acknowledgement"
    answer = await service.ask(path, method="POST", body={"finding": "Herr Schmidt war es"})
    assert answer.status_code == 422
    assert "Schmidt" not in answer.text
