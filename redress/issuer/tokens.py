"""Tokens as the services expect them, for the command line, for tests and for whoever asks the issuer."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from joserfc import jwt

from redress.issuer.keys import ALGORITHM, signing_key
from shared.runtime.auth import Role
from shared.runtime.clock import Clock, system_clock
from shared.runtime.ids import fresh_id

AUDIENCE = "redress"
ENTITY = "default"
LIFETIME = timedelta(hours=1)


def issue_token(
    key_file: Path,
    issuer: str,
    roles: Iterable[Role],
    sub: str,
    *,
    entity: str = ENTITY,
    units: Iterable[str] = (),
    audience: str = AUDIENCE,
    lifetime: timedelta = LIFETIME,
    clock: Clock = system_clock,
) -> str:
    """A signed token; no issuer need run. Without units it is good for all units of the entity."""
    key, now = signing_key(key_file), clock()
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": sub,
        "roles": sorted(str(role) for role in roles),
        "entity": entity,
        "units": sorted(units),
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "jti": str(fresh_id()),
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.thumbprint()}, claims, key)
