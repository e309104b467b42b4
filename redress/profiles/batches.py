"""Rows in requests of a size that intake takes."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from redress.profiles.rows import Row, Unreadable

MOST_ROWS = 500
MOST_BYTES = 900_000
MOST_RAW = 500_000


def batches(rows: Iterable[Row]) -> Iterator[list[dict[str, Any]]]:
    """At most 500 rows a request, and less than a megabyte."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        wire, length = _measured(row)
        if batch and (len(batch) == MOST_ROWS or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(wire)
        size += length
    if batch:
        yield batch


def _measured(row: Row) -> tuple[dict[str, Any], int]:
    """The row as it is sent; one that fits no request is told as too long, with its beginning."""
    wire = row.wire()
    text = json.dumps(wire).encode()
    if len(text) <= MOST_BYTES:
        return wire, len(text)
    field = row.content.field if isinstance(row.content, Unreadable) else _longest(row.content)
    told = Row(row.line, Unreadable(field, "too-long", text[:MOST_RAW])).wire()
    return told, len(json.dumps(told))


def _longest(content: dict[str, Any]) -> str:
    return max(content, key=lambda name: len(json.dumps(content[name])))
