"""Every refusal is problem details, and none repeats what was sent."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from starlette.responses import Response, StreamingResponse
from starlette.types import Message

from shared.runtime.http import problems
from shared.runtime.http.app import make_app
from shared.runtime.http.bodies import FORM, BodyRule, read_json, storable
from shared.runtime.http.problems import Problem, problem_of, register_problem
from tests.unit.runtime.http_client import Caller

SECRET = "Erika Mustermann"
ODD_AND_EVEN = ["\0", "\ud800", "\udbff", "\udc00", "\udfff", "\\", "u0000", "ud800", "a", "\n"]


class Stubborn(Exception):
    """A refusal of this test's own."""


class MoreStubborn(Stubborn):
    """A special case of it."""


class Item(BaseModel, extra="forbid"):
    name: Annotated[str, Field(max_length=5)]
    kind: UUID | None = None
    count: int = 0

    @field_validator("name")
    @classmethod
    def no_quotes(cls, value: str) -> str:
        if value.startswith("!"):
            raise ValueError(f"cannot begin like {value}")
        return value


@dataclass(frozen=True)
class Order:
    amount: int


def application() -> FastAPI:
    app = make_app("test", "1", body_rules={"/form": BodyRule(limit=20, media=(FORM,))})

    @app.post("/items/{number}")
    async def post_item(number: int, item: Item) -> dict[str, int]:
        return {"number": number, "count": item.count}

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"amount": read_json(TypeAdapter(Order), await request.body()).amount}

    @app.post("/form")
    async def form(request: Request) -> Response:
        return Response(await request.body())

    @app.get("/fails/{how}")
    async def fails(how: str) -> None:
        if how == "stubborn":
            raise MoreStubborn(SECRET)
        if how == "problem":
            raise Problem(503, "resting", "Later.", retry_after=7, waiting_for=["kafka"])
        raise KeyError(SECRET)

    return app


@pytest.fixture
def client() -> Caller:
    return Caller(application())


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:redress:problem:{code}"
    assert body["status"] == status
    assert SECRET not in json.dumps(body)
    return body


def test_each_wrong_field_is_named_with_its_reason_and_without_its_value(client: Caller) -> None:
    body = {"name": SECRET, "kind": SECRET, "count": "x", "müller erika": 1}
    fields = problem(client.post("/items/1", json=body), 422, "invalid")["fields"]
    assert [field["field"] for field in fields] == [
        "body.name",
        "body.kind",
        "body.count",
        "body.?",
    ]
    assert fields[0]["reason"] == "String should have at most 5 characters"


def test_a_validator_that_quotes_the_input_is_not_repeated(client: Caller) -> None:
    text = client.post("/items/1", json={"name": "!Eva"}).text
    assert "!Eva" not in text
    assert "not acceptable" in text


def test_a_path_parameter_is_named_like_a_field(client: Caller) -> None:
    body = problem(client.post("/items/one", json={"name": "a"}), 422, "invalid")
    assert body["fields"][0]["field"] == "path.number"


def test_a_body_read_by_an_adapter_is_refused_in_the_same_form(client: Caller) -> None:
    body = problem(client.post("/raw", json={"amount": SECRET}), 422, "invalid")
    assert body["fields"][0]["field"] == "body.amount"


@pytest.mark.parametrize("path", ["/raw", "/items/1"])
@pytest.mark.parametrize("text", ['{"amount"', "{'a': 1}", "[" * 50_000, '{"count": ' + "9" * 5000 + "}"])
def test_malformed_json_is_a_bad_request(client: Caller, path: str, text: str) -> None:
    answer = client.post(path, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_no_json_at_all_says_so(client: Caller) -> None:
    for path in ("/raw", "/items/1"):
        answer = client.post(path, content=f"{{{SECRET}", headers={"Content-Type": "application/json"})
        problem(answer, 400, "malformed-json")


@pytest.mark.parametrize("body", [b'{"name": "\xff"}', b"\xc3", b'{"name":"\xed\xa0\x80"}'])
def test_a_body_that_is_not_utf_8_is_refused(client: Caller, body: bytes) -> None:
    answer = client.post("/items/1", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "not-utf-8")


@pytest.mark.parametrize(
    "text",
    [r'{"name":"\u0000"}', r'{"name":"\ud800"}', r'{"name":"\udc00\ud800"}', r'{"a":"\\\u0000"}', '"\0"'],
)
def test_text_that_a_database_cannot_hold_is_refused(client: Caller, text: str) -> None:
    answer = client.post("/items/1", content=text, headers={"Content-Type": "application/json"})
    problem(answer, 400, "unstorable-text")


@pytest.mark.parametrize(
    "text", [r'{"name":"\ud83d\ude00"}', r'{"name":"\\u00"}', '{"name":"ß😀"}', r'{"name":"\n"}']
)
def test_unusual_text_that_can_be_held_is_taken(client: Caller, text: str) -> None:
    answer = client.post("/items/1", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


@given(st.lists(st.sampled_from(ODD_AND_EVEN) | st.characters(), max_size=12).map("".join))
def test_exactly_the_text_that_utf_8_and_postgresql_can_hold_is_storable(text: str) -> None:
    read = json.loads(json.dumps(text))
    held = "\0" not in read and not any(0xD800 <= ord(character) <= 0xDFFF for character in read)
    assert storable(json.dumps(text)) == held


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/json; charset=latin-1", FORM])
def test_a_body_of_another_kind_is_refused_with_what_would_do(client: Caller, kind: str) -> None:
    answer = client.post("/items/1", content="{}", headers={"Content-Type": kind})
    problem(answer, 415, "unsupported-media-type")
    assert answer.headers["accept"] == "application/json"


def test_a_body_without_a_kind_is_refused(client: Caller) -> None:
    problem(client.post("/items/1", content=b"{}"), 415, "unsupported-media-type")


def test_cloudevents_are_json_too(client: Caller) -> None:
    kind = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    assert client.post("/raw", content='{"amount": 3}', headers=kind).json() == {"amount": 3}


def test_a_body_beyond_the_limit_is_refused_by_its_declared_length(client: Caller) -> None:
    answer = client.post("/items/1", json={"name": "a" * 1024 * 1024})
    assert problem(answer, 413, "body-too-large")["limit"] == 1024 * 1024


async def test_a_body_that_is_declared_too_long_is_not_even_read() -> None:
    answered: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nobody needs it")

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [(b"content-length", b"99999999"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/raw", "query_string": b"", "headers": headers}
    await application()(scope, receive, send)
    assert answered[0]["status"] == 413


def test_a_chunked_body_is_counted_while_it_arrives(client: Caller) -> None:
    answer = client.post_chunks("/raw", [b"a" * 400_000] * 4, "application/json")
    problem(answer, 413, "body-too-large")


def test_a_path_may_take_another_kind_and_another_length(client: Caller) -> None:
    assert client.post("/form", data={"a": "b"}).text == "a=b"
    problem(client.post("/form", data={"a": "b" * 30}), 413, "body-too-large")

    problem(client.post_chunks("/form", [b"a=", b"b" * 30], FORM), 413, "body-too-large")


def test_nul_in_an_address_is_refused(client: Caller) -> None:
    problem(client.get("/fails/a%00b"), 400, "bad-address")
    problem(client.get("/fails/x?q=%00"), 400, "bad-address")


def test_an_unknown_address_and_a_wrong_method_are_problems(client: Caller) -> None:
    problem(client.get("/nowhere"), 404, "not-found")
    answer = client.request("DELETE", "/raw")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_of_a_wrong_method_all_right_ones_are_told() -> None:
    app, router = make_app("test", "1"), APIRouter()

    async def nothing(item: str) -> str:
        return item

    for method in ("GET", "PUT"):
        router.add_api_route("/items/{item}", nothing, methods=[method])
    app.include_router(router, prefix="/v1")
    answer = Caller(app).request("PATCH", "/v1/items/3")
    assert problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize(
    "text", ['{"amount": "3"}', '{"amount": true}', '{"amount": 3.5}', '{"amount": null}']
)
def test_a_body_read_by_an_adapter_is_taken_at_its_word(client: Caller, text: str) -> None:
    answer = client.post("/raw", content=text, headers={"Content-Type": "application/json"})
    problem(answer, 422, "invalid")


def test_an_unexpected_error_tells_the_caller_only_its_trace(client: Caller) -> None:
    body = problem(client.get("/fails/badly"), 500, "internal")
    assert str(body["instance"]).startswith("urn:redress:trace:")


def test_an_answer_that_fails_half_way_is_broken_off() -> None:
    app = make_app("test", "1")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            raise KeyError(SECRET)

        return StreamingResponse(pieces())

    with pytest.raises(KeyError):
        Caller(app).get("/half")


def test_a_problem_carries_its_members_and_when_to_come_again(client: Caller) -> None:
    answer = client.get("/fails/problem")
    assert problem(answer, 503, "resting")["waiting_for"] == ["kafka"]
    assert answer.headers["retry-after"] == "7"


def test_an_exception_of_the_runtime_is_answered_by_the_table(
    client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "_table", dict(problems._table))
    register_problem(Stubborn, lambda _: Problem(409, "stubborn"))
    problem(client.get("/fails/stubborn"), 409, "stubborn")
    register_problem(MoreStubborn, lambda _: Problem(409, "more-stubborn"))
    assert problem_of(MoreStubborn()).code == "more-stubborn"
    assert problem_of(Stubborn()).code == "stubborn"
    assert problem_of(RuntimeError()).status_code == 500


def test_every_answer_carries_the_security_headers(client: Caller) -> None:
    for path in ("/nowhere", "/openapi.json", "/fails/badly"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def test_the_description_says_that_every_refusal_is_a_problem(client: Caller) -> None:
    described = client.get("/openapi.json").json()
    assert "HTTPValidationError" not in json.dumps(described)
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["responses"]["4XX"] == {"$ref": "#/components/responses/Refused"}
            assert operation["responses"]["5XX"] == {"$ref": "#/components/responses/Unable"}
    assert described["components"]["responses"]["Refused"]["content"].keys() == {"application/problem+json"}
