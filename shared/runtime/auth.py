"""Who asks, in which roles, and which cases they may see: what no rule allows is refused."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import Key, import_key
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from shared.runtime.clock import Clock, system_clock
from shared.runtime.http.problems import Problem

ALGORITHMS = ("ES256", "ES384", "Ed25519", "RS256", "PS256")
"""Signatures by key pairs only: with a shared secret in the list, a public key would pass for one."""
KEY_TYPES = ("EC", "OKP", "RSA")
ASK_AGAIN = timedelta(seconds=10)
KEEP_KEYS = timedelta(minutes=10)
LONGEST_TOKEN = 8192
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/operations/state"})


class Role(StrEnum):
    """Who somebody is towards a complaint."""

    CUS = "CUS"
    CON = "CON"
    INT = "INT"
    OWN = "OWN"
    LEAD = "LEAD"
    CM = "CM"
    EXE = "EXE"
    APR = "APR"
    FIN = "FIN"
    QM = "QM"
    CTL = "CTL"
    AUD = "AUD"
    DPO = "DPO"
    UPS = "UPS"
    """A system that posts complaints and later facts about them."""
    OPS = "OPS"
    """An operator sees health and parked cases and may release them; personal data is not theirs to see."""

    @property
    def german(self) -> str:
        return GERMAN[self]


GERMAN: Mapping[Role, str] = {
    Role.CUS: "Beschwerdeführer",
    Role.CON: "Kundenkontaktmitarbeiter",
    Role.INT: "Annahmestelle",
    Role.OWN: "Beschwerdeeigner",
    Role.LEAD: "Teamleitung",
    Role.CM: "Beschwerdemanager",
    Role.EXE: "Geschäftsleitung",
    Role.APR: "Genehmiger",
    Role.FIN: "Buchhaltung",
    Role.QM: "Qualitätsmanager",
    Role.CTL: "Controller",
    Role.AUD: "Revision",
    Role.DPO: "Datenschutzbeauftragter",
    Role.UPS: "Vorsystem",
    Role.OPS: "Betrieb",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a pseudonymous id, roles, the legal entity, and its units (none named: all of them)."""

    id: str
    roles: frozenset[Role]
    entity: str = "default"
    units: frozenset[str] = frozenset()


class Claims(TypedDict, total=False):
    """What a token says beyond what RFC 7519 checks."""

    sub: str
    roles: list[str]
    entity: str
    units: list[str]


CLAIMS: TypeAdapter[Claims] = TypeAdapter(Claims)
PLAIN = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
"""Names from a token reach queries and derived ids, where a control character would be a hole."""

FetchJwks: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]


class IssuerAway(Exception):
    """The identity provider gave no keys."""


def jwks_of(issuer: str, *, timeout: float = 3.0) -> FetchJwks:
    """Asks the issuer for its public keys, each time anew."""

    async def fetch() -> Mapping[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
                answer = await client.get(f"{issuer.rstrip('/')}/jwks")
                answer.raise_for_status()
                return dict(answer.json())
        except (httpx.HTTPError, ValueError, TypeError) as error:
            raise IssuerAway(type(error).__name__) from error

    return fetch


class Tokens:
    """Verifies bearer tokens of one issuer. The clock is the real one: tokens do not follow business time."""

    def __init__(
        self,
        issuer: str,
        audience: str = "redress",
        fetch_jwks: FetchJwks | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._fetch = fetch_jwks or jwks_of(issuer)
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._asked: datetime | None = None
        self._away = False
        self._lock = asyncio.Lock()
        self._registry = jwt.JWTClaimsRegistry(
            now=lambda: int(clock().timestamp()),
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def verify(self, token: str) -> Principal:
        """Who is asking: 401 if the token cannot be believed, 503 if the issuer's keys cannot be had."""
        try:
            key = await self._key(_key_id(token))
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            # An iat in the future says that two clocks differ, and nothing about trust.
            self._registry.validate({name: value for name, value in claims.items() if name != "iat"})
            return _principal(CLAIMS.validate_python(claims))
        except ExpiredTokenError:
            raise unauthenticated("The token has expired.") from None
        except (JoseError, ValidationError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise unauthenticated("The token cannot be believed.") from None

    async def _key(self, kid: str) -> Key:
        if kid not in self._keys or self._older_than(KEEP_KEYS):
            await self._refresh()
        if kid in self._keys:
            return self._keys[kid]
        if self._away:
            detail = "The identity provider does not answer, so nobody can be recognised for the moment."
            raise Problem(503, "issuer-away", detail, retry_after=int(ASK_AGAIN.total_seconds()))
        raise unauthenticated("The token is signed by a key that the identity provider does not have.")

    def _older_than(self, age: timedelta) -> bool:
        return self._asked is None or self._clock() - self._asked >= age

    async def _refresh(self) -> None:
        """Asks the issuer, at most once in ten seconds; known keys stay good while it is away."""
        async with self._lock:
            if not self._older_than(ASK_AGAIN):
                return
            self._asked = self._clock()
            try:
                self._keys = _public_keys(await self._fetch())
                self._away = False
            except (IssuerAway, OSError):
                self._away = True


def _key_id(token: str) -> str:
    if len(token) > LONGEST_TOKEN:
        raise ValueError("longer than any token of ours")
    return str(jws.extract_compact(token.encode()).headers()["kid"])


def _public_keys(jwks: Mapping[str, Any]) -> dict[str, Key]:
    listed = jwks.get("keys")
    if not isinstance(listed, list):
        raise IssuerAway("no key set")
    return {key["kid"]: import_key(key) for key in listed if _signs(key)}


def _signs(key: Mapping[str, Any]) -> bool:
    return "kid" in key and key.get("kty") in KEY_TYPES and key.get("use", "sig") == "sig"


def _principal(claims: Claims) -> Principal:
    names = (claims["sub"], claims.get("entity", "default"), *claims.get("units", ()))
    if not all(PLAIN.fullmatch(name) for name in names):
        raise ValueError("a name that is none")
    known = frozenset(Role(code) for code in claims.get("roles", ()) if code in Role.__members__)
    return Principal(names[0], known, names[1], frozenset(names[2:]))


def unauthenticated(detail: str) -> Problem:
    """401 with the challenge that RFC 6750 asks for."""
    challenge = f'Bearer realm="redress", error="invalid_token", error_description="{detail}"'
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})


def forbidden(needed: Iterable[Role]) -> Problem:
    """403 that names the roles of which one is needed."""
    codes = sorted(needed)
    headers = {"WWW-Authenticate": 'Bearer realm="redress", error="insufficient_scope"'}
    detail = f"This needs one of the roles {', '.join(codes)}."
    return Problem(403, "role-missing", detail, headers=headers, roles=codes)


_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of the identity provider.")


class Allow:
    """A route's declaration of who may call it; as a dependency it gives the principal."""

    def __init__(self, roles: frozenset[Role]) -> None:
        if not roles:
            raise ValueError("a route that allows nobody is a mistake; name the roles")
        self.roles = roles

    async def __call__(
        self,
        request: Request,
        sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        if sent is None:
            detail = "Send a bearer token of the identity provider."
            raise Problem(
                401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="redress"'}
            )
        tokens: Tokens = request.app.state.tokens
        principal = await tokens.verify(sent.credentials)
        if not principal.roles & self.roles:
            raise forbidden(self.roles)
        return principal


def allow(*roles: Role) -> Allow:
    """For Depends: only callers in one of these roles."""
    return Allow(frozenset(roles))


async def open_to_everybody() -> None:
    """For Depends: declares a public route, such as the form for complainants, which asks for no token."""


def undeclared_routes(app: FastAPI, public: Collection[str] = ()) -> list[str]:
    """Routes that declare neither allow nor open_to_everybody, apart from probes and public paths."""
    missing = []
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if path not in OPEN_PATHS and path not in public and not _declares(getattr(route, "dependant", None)):
            missing.append(f"{','.join(sorted(route.methods or ()))} {path}".strip())
    return sorted(missing)


def _declares(dependant: Dependant | None) -> bool:
    if dependant is None:
        return False
    if isinstance(dependant.call, Allow) or dependant.call is open_to_everybody:
        return True
    return any(_declares(inner) for inner in dependant.dependencies)


ALL_UNITS = frozenset({Role.AUD, Role.CM, Role.EXE, Role.QM, Role.CTL, Role.DPO})
OWN_UNITS = frozenset({Role.OWN, Role.LEAD, Role.CON, Role.INT, Role.FIN})
RESTRICTED_TOO = frozenset({Role.CM, Role.EXE, Role.AUD, Role.DPO})
WHERE_NAMED = ALL_UNITS | OWN_UNITS | {Role.APR}


def visible_to(
    principal: Principal, case_column: str = "case_id", first_argument: int = 1
) -> tuple[str, list[object]]:
    """A condition on case_column that holds for the cases that the principal may see, and its arguments.

    The column stands outside the subquery, so that an unqualified case_id is the caller's, not case_access's.
    """
    rules, arguments = _rules(principal, first_argument + 1)
    if not rules:
        return "FALSE", []
    return (
        f"{case_column} IN (SELECT access.case_id FROM case_access AS access"
        f" WHERE access.entity = ${first_argument} AND ({' OR '.join(rules)}))",
        [principal.entity, *arguments],
    )


def _rules(principal: Principal, argument: int) -> tuple[list[str], list[object]]:
    roles = principal.roles
    if roles & RESTRICTED_TOO:
        return ["TRUE"], []
    if not roles & WHERE_NAMED:
        return [], []
    named = f"access.people ? ${argument}"
    if roles & ALL_UNITS or (roles & OWN_UNITS and not principal.units):
        return [named, "NOT access.restricted"], [principal.id]
    if roles & OWN_UNITS:
        in_unit = f"NOT access.restricted AND access.unit = ANY(${argument + 1}::text[])"
        return [named, in_unit], [principal.id, sorted(principal.units)]
    return [named], [principal.id]
