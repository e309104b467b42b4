"""Lists in pages: a cursor names the last row seen, so that rows that come and go move nobody's page."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

import orjson
from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError, WithJsonSchema

from shared.runtime.http.problems import Problem

T = TypeVar("T")
Row = TypeVar("Row")
LONGEST_CURSOR = 2048
LARGEST_INTEGER = 2**63 - 1
MOST_ROWS = 500


class Cursor(Generic[T]):
    """Cursors of one shape, such as Cursor(tuple[datetime, UUID]); reading a malformed one is 400."""

    def __init__(self, shape: type[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(shape)

    def render(self, position: T) -> str:
        packed = self._adapter.dump_json(position)
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def parse(self, text: str) -> T:
        try:
            plain = orjson.loads(_unpacked(text))
            if not _storable(plain):
                raise ValueError("not a value that a database holds")
            return self._adapter.validate_json(orjson.dumps(plain))
        except (ValidationError, ValueError, TypeError):
            raise Problem(400, "bad-cursor", "The cursor is not one that this list has given out.") from None


def _unpacked(text: str) -> bytes:
    if len(text) > LONGEST_CURSOR or not text.isascii():
        raise ValueError("no cursor of ours")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("no base64url") from error


def _storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, int):
        return abs(value) <= LARGEST_INTEGER
    if isinstance(value, list):
        return all(_storable(inner) for inner in value)
    return value is None or isinstance(value, float)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page: at most limit rows after the cursor."""

    limit: int
    cursor: str | None


def asked_page(
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="The most rows wanted.")] = 50,
    cursor: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "format": "cursor", "maxLength": LONGEST_CURSOR}),
        Query(description="The next of the page before."),
    ] = None,
) -> Asked:
    """The page that a request asks for."""
    return Asked(limit, cursor)


AskedPage: TypeAlias = Annotated[Asked, Depends(asked_page)]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, and the cursor of the next page if there is one."""

    items: list[Row]
    next: str | None


def page_of(rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], str]) -> Page[Row]:
    """A page of rows that were fetched as limit + 1: the row too many only tells that there are more."""
    items = list(rows[:limit])
    return Page(items, cursor_of(items[-1]) if len(rows) > limit else None)
