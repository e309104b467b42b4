"""The development issuer gives tokens that services believe, to this machine only."""

import stat
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from redress.issuer.__main__ import issuer_from, main
from redress.issuer.app import Issuer, make_issuer
from redress.issuer.keys import public_keys, signing_key
from redress.issuer.page import ROLES, language_of
from redress.issuer.tokens import issue_token
from shared.runtime.auth import Role, Tokens, undeclared_routes
from tests.unit.runtime.http_client import Caller

NAME = "http://127.0.0.1:8100"
ASK = {"grant_type": "client_credentials", "client_id": "me"}


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(NAME, tmp_path / "oidc" / "key", {"intake": "http://127.0.0.1:8101"})


@pytest.fixture
def client(issuer: Issuer) -> Caller:
    return Caller(make_issuer(issuer), host="127.0.0.1")


async def verified(issuer: Issuer, token: str) -> Any:
    async def fetch() -> dict[str, Any]:
        return public_keys(signing_key(issuer.key_file))

    return await Tokens(NAME, "redress", fetch).verify(token)


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "key"
    first = signing_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing_key(file).thumbprint() == first.thumbprint()
    assert [each.name for each in file.parent.iterdir()] == ["key"]


def test_two_who_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing_key(tmp_path / "key").thumbprint(), range(16)))
    assert len(set(keys)) == 1


def test_the_key_set_shows_no_private_part(client: Caller) -> None:
    (key,) = client.get("/jwks").json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_discovery_leads_to_keys_and_tokens(client: Caller) -> None:
    found = client.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == NAME
    assert found["jwks_uri"] == f"{NAME}/jwks"
    assert found["token_endpoint"] == f"{NAME}/token"


async def test_a_service_believes_a_token_with_all_that_was_asked_for(issuer: Issuer) -> None:
    token = issue_token(issuer.key_file, NAME, [Role.CM, Role.OWN], "eva", entity="acme", units=["a", "b"])
    principal = await verified(issuer, token)
    assert principal.id == "eva"
    assert principal.roles == {Role.CM, Role.OWN}
    assert (principal.entity, principal.units) == ("acme", {"a", "b"})


def test_tokens_come_by_form(client: Caller) -> None:
    answer = client.post("/token", data={**ASK, "role": ["CM", "OWN"], "unit": ["a", "b"], "sub": "eva"})
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3600
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_by_form_says_what_was_asked_for(issuer: Issuer) -> None:
    client = Caller(make_issuer(issuer))
    answer = await client._request("POST", "/token", data={**ASK, "role": ["CM", "OWN"], "unit": ["a", "b"]})
    principal = await verified(issuer, answer.json()["access_token"])
    assert (principal.id, principal.roles) == ("me", {Role.CM, Role.OWN})
    assert (principal.entity, principal.units) == ("default", {"a", "b"})


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"grant_type": "password"}, 400),
        ({"client_id": "a\nb"}, 400),
        ({"unit": "\x00"}, 400),
        ({"role": "ROOT"}, 422),
        ({"grant_type": ""}, 422),
    ],
)
def test_what_cannot_become_a_token_is_refused(client: Caller, change: dict[str, str], status: int) -> None:
    answer = client.post("/token", data={**ASK, **change})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_elsewhere_cannot_reach_it_under_its_own_name(client: Caller) -> None:
    for host in ("evil.example", "localhost.evil.example:8100", "", "[::"):
        assert client.post("/token", data=ASK, headers={"Host": host}).status_code == 421
    assert client.get("/jwks", headers={"Host": "localhost:8100"}).status_code == 200
    assert client.get("/jwks", headers={"Host": "[::1]:8100"}).status_code == 200


def test_every_route_declares_that_it_is_open(issuer: Issuer) -> None:
    assert undeclared_routes(make_issuer(issuer)) == []


def test_it_is_ready_when_it_has_its_key(client: Caller, issuer: Issuer) -> None:
    assert client.get("/readyz").status_code == 200
    issuer.key_file.write_text("no key")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "signing key" in answer.json()["reasons"][0]


class Outline(HTMLParser):
    """The elements of a page that a reader without eyes depends on."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize(("language", "word"), [("de", "Beschwerdeeigner"), ("en", "Complaint owner")])
def test_the_front_door_shows_services_and_every_role_in_both_languages(
    client: Caller, language: str, word: str
) -> None:
    answer = client.get("/", headers={"Accept-Language": f"{language}-AT, fr;q=0.5"})
    assert answer.headers["content-language"] == language
    outline = Outline(answer.text)
    assert outline.all("html")[0]["lang"] == language
    assert "http://127.0.0.1:8101/" in [link["href"] for link in outline.all("a")]
    assert word in answer.text
    assert "built-in method" not in answer.text
    offered = [field["value"] for field in outline.all("input") if field["name"] == "role"]
    assert offered == [str(role) for role in Role]


def test_the_front_door_can_be_read_without_eyes_and_runs_under_its_content_policy(client: Caller) -> None:
    page = client.get("/?lang=de").text
    outline = Outline(page)
    assert len(outline.all("h1")) == len(outline.all("main")) == len(outline.all("title")) == 1
    assert all(cell["scope"] in ("row", "col") for cell in outline.all("th"))
    names = [button["aria-label"] for button in outline.all("button")]
    assert len(set(names)) == len(Role)
    assert outline.all("script") == outline.all("style") == []
    assert not any("style" in attributes for _, attributes in outline.tags)
    for sheet in outline.all("link"):
        answer = client.get(str(sheet["href"]))
        assert answer.headers["content-type"].startswith("text/css")


def test_what_the_environment_says_is_escaped_on_the_page(tmp_path: Path) -> None:
    client = Caller(make_issuer(Issuer(NAME, tmp_path / "key", {"intake": 'http://x/"><script>1</script>'})))
    assert "<script>" not in client.get("/").text


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        ("de", "en", "de"),
        ("xx", "de", "de"),
        (None, "", "en"),
        (None, "en;q=0.8, de;q=0.9", "de"),
        (None, "de;q=0, en;q=0.1", "en"),
        (None, "fr, de;q=0.4, en;q=0.4", "en"),
        (None, ";;;q=x,,de-CH", "de"),
    ],
)
def test_the_language_is_the_one_asked_for(wanted: str | None, accepted: str, language: str) -> None:
    assert language_of(wanted, accepted) == language


def test_every_role_is_described() -> None:
    assert set(ROLES) == set(Role)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_refuses_to_serve_beyond_this_machine(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", host], {"OIDC_KEY_FILE": "unused"}) == 2
    assert host in capsys.readouterr().err


def test_it_says_which_variable_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"], {}) == 2
    assert "OIDC_KEY_FILE" in capsys.readouterr().err


def test_its_links_are_the_services_that_the_environment_names() -> None:
    environment = {"OIDC_KEY_FILE": "k", "INTAKE_URL": "http://a/", "REPORTING_URL": "javascript:alert(1)"}
    made = issuer_from(environment, "127.0.0.1", 8100)
    assert made.addresses == {"intake": "http://a"}
    assert made.name == NAME
