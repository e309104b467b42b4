"""What a request may ask for beside its body: idempotency, conditions, pages, freshness."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.auth import Principal
from shared.runtime.http.app import make_app
from shared.runtime.http.freshness import (
    AskedToken,
    Freshness,
    Written,
    asked_token,
    parse_token,
    render_token,
)
from shared.runtime.http.idempotency import IdempotencyKey, command_id, fingerprint, parse_key
from shared.runtime.http.pages import AskedPage, Cursor, page_of
from shared.runtime.http.preconditions import AskedIfMatch, IfMatch, etag, parse_if_match
from shared.runtime.http.problems import Problem
from shared.schemas.base import PUBLISHERS
from tests.unit.runtime.http_client import Caller

EVA = Principal("eva", frozenset())
MAX = Principal("max", frozenset())
CASE = UUID("0198c0de-0000-7000-8000-000000000001")
OTHER = UUID("0198c0de-0000-7000-8000-000000000002")
POSITION: Cursor[tuple[datetime, UUID]] = Cursor(tuple[datetime, UUID])
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
WRITTEN = st.builds(Written, st.sampled_from(PUBLISHERS), st.uuids(), st.integers(1, 2**63 - 1))


def code_of(refused: pytest.ExceptionInfo[Problem]) -> tuple[int, str]:
    return refused.value.status_code, refused.value.code


@given(VISIBLE)
def test_a_visible_key_is_taken_as_it_is(key: str) -> None:
    assert parse_key(key) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "a\n", "k" * 256, "\x7f"])
def test_another_key_is_refused(key: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_key(key)
    assert code_of(refused) == (400, "bad-idempotency-key")


def test_a_key_means_one_command_of_one_person_on_one_route() -> None:
    ids = {
        command_id(EVA, "POST /v1/a", "k"),
        command_id(EVA, "POST /v1/b", "k"),
        command_id(EVA, "POST /v1/a", "l"),
        command_id(MAX, "POST /v1/a", "k"),
    }
    assert len(ids) == 4
    assert command_id(EVA, "POST /v1/a", "k") in ids


def test_a_fingerprint_tells_the_least_change_of_a_body() -> None:
    assert fingerprint(b'{"a":1}') == fingerprint(b'{"a":1}')
    assert fingerprint(b'{"a":1}') != fingerprint(b'{"a": 1}')


@given(st.lists(st.tuples(st.sampled_from(PUBLISHERS), st.integers(0, 10**9)), min_size=1, max_size=5))
def test_every_tag_that_was_given_out_matches_in_any_list(tags: list[tuple[str, int]]) -> None:
    rendered = [etag(*tag) for tag in tags]
    condition = parse_if_match(" , ".join(rendered))
    assert condition.tags == frozenset(rendered)
    for tag in rendered:
        condition.check(tag)


def test_a_tag_that_is_no_longer_right_fails_and_the_right_one_is_told() -> None:
    with pytest.raises(Problem) as refused:
        parse_if_match('"processing:6"').check(etag("processing", 7))
    assert code_of(refused) == (412, "precondition-failed")
    assert (refused.value.headers or {})["ETag"] == '"processing:7"'


def test_a_long_list_that_goes_wrong_at_its_end_is_refused_at_once() -> None:
    with pytest.raises(Problem):
        parse_if_match('"a"' + ",  " * 20_000 + "x")


def test_an_asterisk_matches_whatever_exists_and_nothing_that_does_not() -> None:
    parse_if_match(" * ").check(etag("processing", 1))
    with pytest.raises(Problem) as refused:
        IfMatch(frozenset()).check(None)
    assert code_of(refused) == (412, "precondition-failed")


@pytest.mark.parametrize("text", ['W/"processing:7"', '"a", W/"b"'])
def test_a_weak_tag_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_if_match(text)
    assert code_of(refused) == (400, "weak-etag")


@pytest.mark.parametrize("text", ["", "processing:7", '"open', '"a" "b"', '*, "a"', '"ä"', ",", '""x'])
def test_what_is_no_list_of_tags_is_refused(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_if_match(text)
    assert code_of(refused) == (400, "bad-if-match")


@given(st.text(max_size=200) | st.text(st.sampled_from('", *aW/'), max_size=30))
def test_any_if_match_is_a_condition_or_a_bad_request(text: str) -> None:
    try:
        assert bool(parse_if_match(text).tags) == (text.strip() != "*")
    except Problem as refused:
        assert refused.status_code == 400  # noqa: PT017 - both outcomes are right


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_comes_back_as_the_position_it_was_made_from(moment: datetime, case: UUID) -> None:
    assert POSITION.parse(POSITION.render((moment, case))) == (moment, case)


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda raw: Cursor(str).render(raw.hex())))
def test_a_cursor_that_the_list_has_not_given_out_is_a_bad_request(text: str) -> None:
    with pytest.raises(Problem) as refused:
        POSITION.parse(text)
    assert code_of(refused) == (400, "bad-cursor")


def test_a_cursor_of_another_list_is_a_bad_request() -> None:
    for foreign in (Cursor(int).render(3), Cursor(str).render("x"), Cursor(list[int]).render([1, 2])):
        with pytest.raises(Problem):
            POSITION.parse(foreign)


@pytest.mark.parametrize(
    "odd", [Cursor(str).render("a\0"), Cursor(int).render(2**70), "x" * 4000, "W10", "e30"]
)
def test_a_cursor_that_no_database_could_hold_is_a_bad_request(odd: str) -> None:
    for shape in (str, int):
        with pytest.raises(Problem):
            Cursor(shape).parse(odd)


def test_a_page_says_whether_there_is_another() -> None:
    assert page_of([1, 2, 3], 3, str).next is None
    more = page_of([1, 2, 3, 4], 3, str)
    assert (more.items, more.next) == ([1, 2, 3], "3")
    assert page_of([], 3, str).next is None


@given(st.lists(WRITTEN, min_size=1, max_size=8))
def test_a_token_comes_back_with_the_latest_of_each_case_and_publisher(written: list[Written]) -> None:
    latest: dict[tuple[str, UUID], int] = {}
    for entry in written:
        at = (entry.publisher, entry.case)
        latest[at] = max(entry.sequence, latest.get(at, 0))
    found = parse_token(render_token(written))
    assert {(entry.publisher, entry.case): entry.sequence for entry in found} == latest


def test_header_and_query_are_one_token() -> None:
    text = f"intake:{CASE}:4"
    assert asked_token(text, f"intake:{CASE}:5, processing:{OTHER}:1") == (
        Written("intake", CASE, 5),
        Written("processing", OTHER, 1),
    )
    assert asked_token(None, None) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "intake",
        f"intake:{CASE}",
        f"intake:{CASE}:0",
        f"intake:{CASE}:01",
        f"intake:{CASE}:-1",
        f"intake:{CASE}:{2**63}",
        f"stranger:{CASE}:1",
        f"intake:{CASE.hex}:1",
        f"intake:{CASE}:1,",
        f"intake:{CASE}:١",
        ",".join([f"intake:{CASE}:1"] * 200),
    ],
)
def test_a_malformed_token_is_a_bad_request(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_token(text)
    assert code_of(refused) == (400, "bad-token")


def test_an_answer_says_how_far_it_reaches() -> None:
    fresh = Freshness({1: 20, 0: 10}, NOON, 3, fresh=False)
    assert fresh.headers() == {
        "Redress-Position": "0:10 1:20",
        "Redress-Time": "2026-01-05T12:00:00+00:00",
        "Redress-Lag": "3",
        "Redress-Fresh": "false",
    }
    assert fresh.members()["fresh"] is False
    assert "Redress-Time" not in Freshness({}, None, 0).headers()


def test_a_route_takes_all_of_them_and_refuses_what_is_malformed() -> None:
    app = make_app("test", "1")

    @app.get("/cases")
    async def cases(
        key: IdempotencyKey, match: AskedIfMatch, page: AskedPage, token: AskedToken
    ) -> list[str]:
        return [str(key), str(match), str(page.limit), str(len(token))]

    client = Caller(app)
    assert client.get("/cases").json() == ["None", "None", "50", "0"]
    headers = {"Idempotency-Key": "k", "If-Match": "*", "Redress-Token": f"intake:{CASE}:1"}
    assert client.get("/cases?limit=7", headers=headers).json()[2:] == ["7", "1"]
    assert client.get("/cases?limit=0").status_code == 422
    assert client.get("/cases?limit=501").status_code == 422
    assert client.get("/cases?token=x").status_code == 400
    assert client.get("/cases", headers={"Idempotency-Key": ""}).status_code == 400
    assert client.get("/cases", headers={"If-Match": "x"}).status_code == 400


def test_the_description_says_what_each_of_them_looks_like() -> None:
    app = make_app("test", "1")

    @app.get("/cases")
    async def cases(key: IdempotencyKey, match: AskedIfMatch, page: AskedPage, token: AskedToken) -> None:
        return None

    described = app.openapi()["paths"]["/cases"]["get"]["parameters"]
    patterns = {each["name"]: each["schema"].get("pattern") for each in described}
    assert re.search(patterns["Idempotency-Key"], "key-1")
    assert re.search(patterns["If-Match"], '"processing:7", "processing:8"')
    for token in (patterns["Redress-Token"], patterns["token"]):
        assert re.search(token, f"intake:{CASE}:1,processing:{OTHER}:2")
        assert not re.search(token, f"intake:{CASE}:0")
    assert "null" not in str(described)
