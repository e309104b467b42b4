"""The register over HTTP: pages, filters, counts and CSV, each of no more than its reader may see."""

import csv
import io
from typing import Any
from uuid import UUID

import pytest

from shared.runtime.auth import Role, undeclared_routes
from shared.schemas.codes import Channel
from tests.integration.reporting.log import received, registered, whole_case
from tests.integration.reporting.world import Reporting


@pytest.fixture(scope="module")
async def cases(service: Reporting) -> list[UUID]:
    restricted = received("2026-RRRRRRRR-1").model_copy(update={"restricted": True})
    told = await service.log.tell(
        whole_case("2026-AAAAAAAA-1", "cards", Channel.PHONE),
        whole_case("2026-BBBBBBBB-1", "cards", Channel.EMAIL),
        [received("2026-CCCCCCCC-1", Channel.EMAIL, unit="branch"), registered("=mortgage()")],
        [restricted, registered("cards")],
    )
    await service.reads(*told)
    return told


def numbers(body: dict[str, object]) -> list[str]:
    items = body["items"]
    assert isinstance(items, list)
    return [item["case_number"] for item in items]


async def test_every_route_says_who_may_call_it(service: Reporting) -> None:
    assert undeclared_routes(service.app) == []


async def test_pages_show_each_complaint_once_whatever_their_size(
    service: Reporting, cases: list[UUID]
) -> None:
    whole = numbers(await service.told("/v1/register"))
    pages, cursor = [], None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        page = await service.told("/v1/register", limit=1, **more)
        pages += numbers(page)
        cursor = page["next"]
        if not cursor:
            break
    assert pages == whole
    assert len(set(whole)) == len(cases)


async def test_a_row_has_the_columns_of_the_register(service: Reporting, cases: list[UUID]) -> None:
    (row,) = (await service.told("/v1/register", case_number="2026-AAAAAAAA-1"))["items"]
    assert row["case_id"] == str(cases[0])
    assert (row["received_on"], row["month"]) == ("2026-03-02", "2026-03")
    assert (row["stage"], row["owner"], row["product"]) == ("in-progress", "eva", "cards")
    assert (row["channel"], row["category"]) == ("phone", "cards/fees")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"product": "cards"}, 3),
        ({"channel": "e-mail"}, 2),
        ({"state": "in-progress", "channel": "e-mail"}, 1),
        ({"received_from": "2026-03-02", "received_to": "2026-03-02"}, 4),
        ({"received_from": "2026-03-03"}, 0),
        ({"owner": "eva"}, 2),
        ({"disputed": "true"}, 0),
    ],
)
async def test_filters_narrow_the_list(
    service: Reporting, cases: list[UUID], asked: dict[str, Any], found: int
) -> None:
    assert len(numbers(await service.told("/v1/register", **asked))) == found


async def test_counts_by_each_column_add_up_to_one_total(service: Reporting, cases: list[UUID]) -> None:
    told = await service.told("/v1/register/counts", by="month,product,channel,state")
    assert told["total"] == 4
    for counted in told["by"].values():
        assert counted["total"] == 4
        assert sum(row["count"] for row in counted["rows"]) == 4
    assert told["by"]["product"]["rows"] == [
        {"value": "=mortgage()", "count": 1},
        {"value": "cards", "count": 3},
    ]
    assert told["by"]["channel"]["rows"] == [{"value": "e-mail", "count": 2}, {"value": "phone", "count": 2}]


async def test_whoever_may_not_see_a_case_does_not_find_it_counted(
    service: Reporting, cases: list[UUID]
) -> None:
    for role, seen in [(Role.AUD, 4), (Role.CM, 4), (Role.QM, 3), (Role.OWN, 3)]:
        assert (await service.told("/v1/register/counts", role))["total"] == seen
        assert len(numbers(await service.told("/v1/register", role))) == seen
    assert (await service.ask("/v1/register", Role.UPS)).status_code == 403


async def test_counts_by_something_else_are_refused(service: Reporting) -> None:
    answer = await service.ask("/v1/register/counts", by="month,name")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:redress:problem:invalid")


async def test_the_csv_has_every_complaint_and_no_formula(service: Reporting, cases: list[UUID]) -> None:
    answer = await service.ask("/v1/register", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(row["case_number"] for row in rows) == sorted(numbers(await service.told("/v1/register")))
    assert {row["product"] for row in rows} == {"cards", "'=mortgage()"}
    assert {row["disputed"] for row in rows} == {"no"}


async def test_a_malformed_cursor_is_refused(service: Reporting) -> None:
    assert (await service.ask("/v1/register", cursor="bm9uZQ")).status_code == 400


async def test_a_case_that_was_only_told_about_is_nobodys_to_see(service: Reporting) -> None:
    (case,) = await service.log.tell(whole_case("2026-DDDDDDDD-1")[3:])
    body = service.log.body(case, received("2026-DDDDDDDD-1"), sequence=2)
    await service.log.publish([body])
    (other,) = await service.log.tell(whole_case("2026-EEEEEEEE-1")[:1])
    await service.reads(other)
    assert (await service.ask(f"/v1/cases/{case}/replay")).status_code == 404
