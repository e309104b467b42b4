"""A caller is believed only with a good token, and acts only in a role that the route allows."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from starlette.responses import Response

from redress.issuer.keys import public_keys, signing_key
from redress.issuer.tokens import issue_token
from shared.runtime.auth import (
    GERMAN,
    IssuerAway,
    Principal,
    Role,
    Tokens,
    allow,
    jwks_of,
    open_to_everybody,
    undeclared_routes,
)
from shared.runtime.http.app import make_app
from shared.runtime.http.health import health_routes
from shared.runtime.http.problems import Problem
from tests.unit.runtime.http_client import Caller

ISSUER = "http://127.0.0.1:8100"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
Claims = dict[str, Any]


class Provider:
    """An identity provider whose keys can change, which can go away, and whose clock is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "first"
        self.now = NOON
        self.away = False
        self.asked = 0
        self.tokens = Tokens(ISSUER, "redress", self.fetch, lambda: self.now)

    async def fetch(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise IssuerAway("ConnectError")
        return public_keys(signing_key(self.file))

    def rotate(self, name: str) -> None:
        self.file = self.folder / name

    def token(self, *roles: Role, sub: str = "eva", **more: Any) -> str:
        return issue_token(self.file, more.pop("issuer", ISSUER), roles, sub, clock=lambda: self.now, **more)

    def signed(self, change: Claims, **header: Any) -> str:
        key = signing_key(self.file)
        stamp = int(self.now.timestamp())
        claims = {"iss": ISSUER, "aud": "redress", "sub": "eva", "roles": ["CM"], "exp": stamp + 60, **change}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": key.thumbprint(), **header}, claims, key)


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


@pytest.fixture
def client(provider: Provider) -> Caller:
    app = make_app("test", "1", tokens=provider.tokens)

    @app.get("/who")
    async def who(principal: Annotated[Principal, Depends(allow(Role.CM, Role.AUD))]) -> dict[str, Any]:
        return {"id": principal.id, "roles": sorted(principal.roles), "units": sorted(principal.units)}

    return Caller(app)


def ask(client: Caller, token: str) -> httpx.Response:
    return client.get("/who", headers={"Authorization": f"Bearer {token}"})


def assert_refused(answer: httpx.Response, code: str = "unauthenticated") -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:redress:problem:{code}"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="redress"')


def test_a_good_token_says_who_asks(client: Caller, provider: Provider) -> None:
    answer = ask(client, provider.token(Role.CM, Role.OWN, units=["sales", "north"]))
    assert answer.json() == {"id": "eva", "roles": ["CM", "OWN"], "units": ["north", "sales"]}


def test_without_a_token_the_route_says_how_to_sign_in(client: Caller) -> None:
    assert_refused(client.get("/who"))
    assert_refused(client.get("/who", headers={"Authorization": "Basic ZXZhOmV2YQ=="}))


def test_another_role_is_told_which_ones_are_needed(client: Caller, provider: Provider) -> None:
    answer = ask(client, provider.token(Role.OWN))
    assert answer.status_code == 403
    assert answer.json()["roles"] == ["AUD", "CM"]
    assert "insufficient_scope" in answer.headers["www-authenticate"]


def test_a_token_without_roles_or_with_unknown_ones_may_nothing(client: Caller, provider: Provider) -> None:
    for roles in (None, [], ["ROOT", "cm"]):
        assert ask(client, provider.signed({"roles": roles})).status_code == 403


def test_a_token_ends_at_its_moment_of_expiry(client: Caller, provider: Provider) -> None:
    token = provider.token(Role.CM)
    provider.now += timedelta(minutes=59, seconds=59)
    assert ask(client, token).status_code == 200
    provider.now += timedelta(seconds=1)
    assert_refused(ask(client, token))
    assert "expired" in ask(client, token).text


def test_an_issuers_clock_that_runs_ahead_refuses_nobody(client: Caller, provider: Provider) -> None:
    token = provider.token(Role.CM)
    provider.now -= timedelta(seconds=5)
    assert ask(client, token).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "http://elsewhere"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\x1fb"},
        {"sub": 7},
        {"roles": "CM"},
        {"roles": [1]},
        {"units": "all"},
        {"units": ["\0"]},
        {"entity": ["default"]},
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_refused(
    client: Caller, provider: Provider, change: Claims
) -> None:
    assert ask(client, provider.signed({})).status_code == 200
    assert_refused(ask(client, provider.signed(change)))


def test_a_token_signed_by_another_key_is_refused(client: Caller, provider: Provider, tmp_path: Path) -> None:
    known = signing_key(provider.file).thumbprint()
    stranger = ECKey.generate_key("P-256")
    claims = {"iss": ISSUER, "aud": "redress", "sub": "eva", "roles": ["CM"], "exp": NOON.timestamp() + 60}
    forged = jwt.encode({"alg": "ES256", "kid": known}, claims, stranger)
    assert_refused(ask(client, forged))


def test_a_changed_token_is_refused(client: Caller, provider: Provider) -> None:
    header, body, signature = provider.token(Role.OWN).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["roles"] = ["CM"]
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert_refused(ask(client, f"{header}.{changed}.{signature}"))


def test_a_token_without_signature_is_refused(client: Caller, provider: Provider) -> None:
    kid = signing_key(provider.file).thumbprint()
    body = provider.token(Role.CM).split(".")[1]
    for algorithm in ("none", "None", "NONE"):
        head = (
            base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": kid}).encode()).decode().rstrip("=")
        )
        assert_refused(ask(client, f"{head}.{body}."))


def test_the_public_key_is_no_shared_secret(client: Caller, provider: Provider) -> None:
    key = signing_key(provider.file)
    claims = {"iss": ISSUER, "aud": "redress", "sub": "eva", "roles": ["CM"], "exp": NOON.timestamp() + 60}
    secret = OctKey.import_key(json.dumps(key.as_dict(private=False)))
    forged = jwt.encode({"alg": "HS256", "kid": key.thumbprint()}, claims, secret, algorithms=["HS256"])
    assert_refused(ask(client, forged))


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60))
def test_whatever_is_sent_as_a_token_is_refused_and_breaks_nothing(text: str) -> None:
    async def none() -> dict[str, Any]:
        return {"keys": []}

    app = make_app("test", "1", tokens=Tokens(ISSUER, "redress", none))

    @app.get("/who", dependencies=[Depends(allow(Role.CM))])
    async def who() -> None:
        return None

    assert_refused(ask(Caller(app), text))
    assert_refused(ask(Caller(app), f"eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.{text}.{text}"))


def test_a_token_longer_than_any_is_refused(client: Caller, provider: Provider) -> None:
    assert_refused(ask(client, provider.token(Role.CM, units=["u" * 250 for _ in range(50)])))


def test_keys_are_fetched_once(client: Caller, provider: Provider) -> None:
    for _ in range(5):
        assert ask(client, provider.token(Role.CM)).status_code == 200
    assert provider.asked == 1


def test_a_new_key_is_fetched_but_not_more_often_than_every_ten_seconds(
    client: Caller, provider: Provider
) -> None:
    assert ask(client, provider.token(Role.CM)).status_code == 200
    provider.rotate("second")
    for _ in range(5):
        assert_refused(ask(client, provider.token(Role.CM)))
    assert provider.asked == 1
    provider.now += timedelta(seconds=10)
    assert ask(client, provider.token(Role.CM)).status_code == 200
    assert provider.asked == 2


def test_a_key_that_the_issuer_no_longer_has_is_forgotten(client: Caller, provider: Provider) -> None:
    token = provider.token(Role.CM)
    assert ask(client, token).status_code == 200
    provider.rotate("second")
    provider.now += timedelta(minutes=10)
    assert_refused(ask(client, token))


def test_while_the_issuer_is_away_known_keys_stay_good(client: Caller, provider: Provider) -> None:
    assert ask(client, provider.token(Role.CM)).status_code == 200
    provider.away = True
    provider.now += timedelta(minutes=20)
    assert ask(client, provider.token(Role.CM)).status_code == 200


def test_while_the_issuer_is_away_unknown_keys_have_to_wait(client: Caller, provider: Provider) -> None:
    provider.away = True
    for _ in range(3):
        answer = ask(client, provider.token(Role.CM))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "10"
    assert provider.asked == 1
    provider.away = False
    provider.now += timedelta(seconds=10)
    assert ask(client, provider.token(Role.CM)).status_code == 200


async def test_an_issuer_that_does_not_answer_is_away() -> None:
    with pytest.raises(Problem) as refused:
        await Tokens("http://127.0.0.1:9", "redress").verify(
            "eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.e30.c2lnbmF0dXJl"
        )
    assert refused.value.status_code == 503
    with pytest.raises(IssuerAway):
        await jwks_of("http://127.0.0.1:9")()


@pytest.mark.parametrize("answer", [{}, {"keys": None}, {"keys": [{"kty": "oct", "kid": "x", "k": "eA"}]}])
async def test_an_answer_without_usable_keys_lets_nobody_in(
    answer: dict[str, Any], provider: Provider
) -> None:
    async def fetch() -> dict[str, Any]:
        return answer

    with pytest.raises(Problem) as refused:
        await Tokens(ISSUER, "redress", fetch).verify(provider.token(Role.CM))
    assert refused.value.status_code in (401, 503)


def test_a_route_that_declares_nobody_is_found() -> None:
    app: FastAPI = make_app("test", "1")
    router = APIRouter()

    @router.get("/declared", dependencies=[Depends(allow(Role.CM))])
    async def declared() -> None: ...

    @router.get("/public", dependencies=[Depends(open_to_everybody)])
    async def public() -> None: ...

    @router.post("/forgotten/{case}")
    async def forgotten(case: str) -> str:
        return case

    async def plain(_: Any) -> Response:
        return Response()

    async def ready() -> list[str]:
        return []

    async def state() -> dict[str, Any]:
        return {}

    app.include_router(router, prefix="/v1")
    app.include_router(health_routes(lambda: True, ready, state))
    app.add_route("/plain", plain)
    guarded = APIRouter(dependencies=[Depends(allow(Role.AUD))])
    guarded.add_api_route("/inherited", declared)
    app.include_router(guarded)
    assert undeclared_routes(app) == ["GET,HEAD /plain", "POST /v1/forgotten/{case}"]
    assert undeclared_routes(app, public=["/plain"]) == ["POST /v1/forgotten/{case}"]


def test_a_route_cannot_allow_nobody() -> None:
    with pytest.raises(ValueError, match="name the roles"):
        allow()


def test_the_description_says_which_routes_need_a_token(client: Caller) -> None:
    described = client.get("/openapi.json").json()
    assert described["paths"]["/who"]["get"]["security"] == [{"HTTPBearer": []}]


def test_every_role_has_a_german_name() -> None:
    assert set(GERMAN) == set(Role)
    assert Role.OWN.german == "Beschwerdeeigner"
