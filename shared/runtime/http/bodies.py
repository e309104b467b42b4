"""What a request may carry: how much, of which kind, and nothing that PostgreSQL cannot hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message as MailMessage
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime.http.problems import Problem, of_pydantic

T = TypeVar("T")
MIB = 1024 * 1024
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
ODD_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BodyRule:
    """What the routes below one path accept; application/json stands for every +json type too."""

    limit: int = MIB
    media: tuple[str, ...] = (JSON,)


DEFAULT_RULE = BodyRule()


class CheckBodies:
    """Refuses bodies that are too long (chunked ones too), of another kind, or JSON that cannot be stored."""

    def __init__(self, app: ASGIApp, rules: Mapping[str, BodyRule] | None = None) -> None:
        self.app = app
        self.rules = sorted((rules or {}).items(), key=lambda rule: -len(rule[0]))

    def rule_for(self, path: str) -> BodyRule:
        """The rule of the longest path that path lies below."""
        return next((rule for prefix, rule in self.rules if _below(path, prefix)), DEFAULT_RULE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        _check_address(scope)
        headers, rule = Headers(scope=scope), self.rule_for(scope["path"])
        if not _has_body(headers):
            await self.app(scope, receive, send)
            return
        _check_declared_length(headers, rule)
        media = _check_media(headers, rule)
        counted = _counting(receive, rule.limit)
        checked = await _checked_json(counted) if media == JSON else counted
        await self.app(scope, checked, send)


def read_json(adapter: TypeAdapter[T], body: bytes) -> T:
    """A body as the type that a command needs; what does not fit exactly is refused by field and reason."""
    try:
        return adapter.validate_json(body, strict=True)
    except ValidationError as error:
        raise of_pydantic(error) from None


def storable(text: str) -> bool:
    """Whether JSON text is free of NUL and half surrogate pairs, which PostgreSQL and UTF-8 cannot hold."""
    if "\0" in text:
        return False
    if not ODD_ESCAPE.search(text):
        return True
    high_ends_at = -1
    for escape in ESCAPE.finditer(text):
        unit = int(escape[1], 16) if escape[1] else -1
        low, waits = 0xDC00 <= unit <= 0xDFFF, high_ends_at != -1
        if unit == 0 or low != waits or (waits and escape.start() != high_ends_at):
            return False
        high_ends_at = escape.end() if 0xD800 <= unit <= 0xDBFF else -1
    return high_ends_at == -1


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def _check_address(scope: Scope) -> None:
    if "\0" in scope["path"] or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise Problem(400, "bad-address", "The address holds a NUL character.")


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _check_declared_length(headers: Headers, rule: BodyRule) -> None:
    declared = headers.get("content-length", "0")
    if not (declared.isascii() and declared.isdigit()):
        raise Problem(400, "bad-request", "Content-Length is not a number.")
    if len(declared) > 18 or int(declared) > rule.limit:
        raise _too_large(rule.limit)


def _too_large(limit: int) -> Problem:
    detail = f"The body is longer than {limit} bytes."
    return Problem(413, "body-too-large", detail, headers={"Connection": "close"}, limit=limit)


def _check_media(headers: Headers, rule: BodyRule) -> str:
    parsed = MailMessage()
    parsed["content-type"] = headers.get("content-type", "application/octet-stream")
    media, charset = parsed.get_content_type(), str(parsed.get_param("charset", "utf-8")).lower()
    if media.startswith("application/") and media.endswith("+json"):
        media = JSON
    if (
        "content-type" not in headers
        or media not in rule.media
        or charset not in ("utf-8", "utf8", "us-ascii")
    ):
        accepted = ", ".join(rule.media)
        detail = f"Send {accepted} in UTF-8."
        raise Problem(415, "unsupported-media-type", detail, headers={"Accept": accepted})
    return media


def _counting(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    return counted


async def _checked_json(receive: Receive) -> Receive:
    """Reads the whole body, checks it, and hands it on as one message."""
    pieces: list[bytes] = []
    last = await receive()
    while last["type"] == "http.request":
        pieces.append(last.get("body", b""))
        if not last.get("more_body", False):
            break
        last = await receive()
    _check_text(b"".join(pieces))
    whole: list[Message] = [{"type": "http.request", "body": b"".join(pieces), "more_body": False}]
    if last["type"] != "http.request":
        whole = [last]

    async def replayed() -> Message:
        return whole.pop() if whole else await receive()

    return replayed


def _check_text(body: bytes) -> None:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(400, "not-utf-8", f"The body is not UTF-8 at byte {error.start}.") from None
    if not storable(text):
        detail = "A text holds the NUL character or half of a surrogate pair, which cannot be stored."
        raise Problem(400, "unstorable-text", detail)
