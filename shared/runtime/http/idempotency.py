"""One request, one effect: the caller's Idempotency-Key becomes the command's id."""

import hashlib
import re
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Header
from pydantic import WithJsonSchema

from shared.runtime.auth import Principal
from shared.runtime.http.problems import Problem
from shared.runtime.ids import derived_id

VISIBLE_ASCII = r"[\x21-\x7e]{1,255}"


def parse_key(text: str) -> str:
    """The key as sent, or 400."""
    if not re.fullmatch(VISIBLE_ASCII, text):
        detail = "Idempotency-Key must be 1 to 255 visible ASCII characters."
        raise Problem(400, "bad-idempotency-key", detail)
    return text


def asked_key(
    value: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "pattern": f"^{VISIBLE_ASCII}$"}),
        Header(
            alias="Idempotency-Key",
            description="The same key with the same body acts once and is answered alike.",
        ),
    ] = None,
) -> str | None:
    """The request's key, for routes that go on without one."""
    return None if value is None else parse_key(value)


IdempotencyKey: TypeAlias = Annotated[str | None, Depends(asked_key)]


def command_id(principal: Principal, route: str, key: str) -> UUID:
    """The id of the command that a key stands for: one person, one route, one key."""
    return derived_id(principal.id, route, key)


def fingerprint(body: bytes) -> bytes:
    """SHA-256 of the exact bytes sent, to tell a repeated request from another one under the same key."""
    return hashlib.sha256(body).digest()
