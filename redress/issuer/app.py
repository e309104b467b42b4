"""The issuer's addresses: discovery, keys, tokens, and the front door page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from redress.issuer.keys import ALGORITHM, public_keys, signing_key
from redress.issuer.page import front_door, language_of, stylesheet
from redress.issuer.tokens import ENTITY, LIFETIME, issue_token
from shared.runtime.auth import PLAIN, Role, open_to_everybody
from shared.runtime.clock import Clock, system_clock
from shared.runtime.http.app import make_app
from shared.runtime.http.bodies import FORM, BodyRule
from shared.runtime.http.health import health_routes, is_loopback
from shared.runtime.http.problems import Problem

GRANT = "client_credentials"


@dataclass(frozen=True, slots=True)
class Issuer:
    """What the issuer is: its name in tokens, its key, and the services that its front door leads to."""

    name: str
    key_file: Path
    addresses: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = system_clock


def make_issuer(issuer: Issuer, version: str = "0") -> FastAPI:
    """The application; it answers only under this machine's own names."""
    app = make_app(
        "Redress development issuer",
        version,
        body_rules={"/token": BodyRule(limit=16 * 1024, media=(FORM,))},
        dependencies=[Depends(own_name_only), Depends(open_to_everybody)],
    )
    app.add_api_route("/.well-known/openid-configuration", lambda: discovery(issuer.name), methods=["GET"])
    app.add_api_route("/jwks", lambda: public_keys(signing_key(issuer.key_file)), methods=["GET"])
    app.add_api_route("/token", _token_route(issuer), methods=["POST"])
    app.add_api_route("/", _page_route(issuer), methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/front_door.css", _style, methods=["GET"], response_class=Response)
    app.include_router(health_routes(lambda: True, _ready(issuer), _state(version)))
    return app


async def own_name_only(request: Request) -> None:
    """Refuses another Host: a page elsewhere could point its own name at this machine and read tokens."""
    if not is_loopback(_host_of(request.headers.get("host", ""))):
        raise Problem(
            421, "wrong-host", "The development issuer answers under this machine's own names only."
        )


def _host_of(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def discovery(name: str) -> dict[str, Any]:
    """OpenID Connect discovery, as far as client credentials go."""
    return {
        "issuer": name,
        "jwks_uri": f"{name}/jwks",
        "token_endpoint": f"{name}/token",
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["none"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def _token_route(issuer: Issuer) -> Callable[..., Any]:
    async def token(
        grant_type: Annotated[str, Form()],
        client_id: Annotated[str, Form()],
        role: Annotated[Sequence[Role], Form()] = (),
        sub: Annotated[str | None, Form()] = None,
        entity: Annotated[str, Form()] = ENTITY,
        unit: Annotated[Sequence[str], Form()] = (),
    ) -> dict[str, Any]:
        """A token for whoever asks, in any role: client credentials, with development extras."""
        if grant_type != GRANT:
            raise Problem(400, "unsupported-grant-type", f"Use {GRANT}.", error="unsupported_grant_type")
        subject = sub or client_id
        if not all(PLAIN.fullmatch(name) for name in (subject, entity, *unit)):
            detail = "sub, entity and unit are 1 to 255 characters without control characters."
            raise Problem(400, "bad-name", detail, error="invalid_request")
        signed = issue_token(
            issuer.key_file, issuer.name, role, subject, entity=entity, units=unit, clock=issuer.clock
        )
        lifetime = int(LIFETIME.total_seconds())
        return {"access_token": signed, "token_type": "Bearer", "expires_in": lifetime}

    return token


def _page_route(issuer: Issuer) -> Callable[..., Any]:
    async def page(request: Request, lang: Annotated[str | None, Query()] = None) -> HTMLResponse:
        """Where the services are, what each role may do, and how to get a token."""
        language = language_of(lang, request.headers.get("accept-language", ""))
        headers = {"Content-Language": language, "Vary": "Accept-Language"}
        return HTMLResponse(front_door(language, issuer.name, issuer.addresses), headers=headers)

    return page


async def _style() -> Response:
    return Response(stylesheet(), media_type="text/css")


def _ready(issuer: Issuer) -> Callable[[], Any]:
    async def ready() -> list[str]:
        try:
            signing_key(issuer.key_file)
        except (OSError, ValueError) as error:
            return [f"the signing key cannot be read: {type(error).__name__}"]
        return []

    return ready


def _state(version: str) -> Callable[[], Any]:
    async def state() -> dict[str, str]:
        return {"name": "issuer", "version": version}

    return state
