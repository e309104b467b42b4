"""Bytes framed by their length, so that no two different things look alike when they stand one behind the other."""

from collections.abc import Sequence
from struct import Struct

length = Struct(">i").pack
"""Four bytes, big-endian; -1 for what is not there."""
NOTHING = length(-1)
_FOUR = 4


def framed(value: bytes) -> bytes:
    return length(len(value)) + value


def packed(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers as bytes that are equal exactly if the headers are, in the same order: names and values, framed."""
    parts: list[bytes] = []
    for name, value in headers:
        told = name.encode()
        parts += (length(len(told)), told)
        parts += (NOTHING,) if value is None else (length(len(value)), value)
    return b"".join(parts)


def unpacked(headers: bytes) -> dict[str, str]:
    """Packed headers by name, for telling people about them; values are read as Latin-1. Raises ValueError."""
    fields: list[str] = []
    at = 0
    while at < len(headers):
        size = int.from_bytes(headers[at : at + _FOUR], "big", signed=True)
        at += _FOUR
        if size < -1 or at + max(size, 0) > len(headers):
            raise ValueError("these are no packed headers")
        fields.append(headers[at : at + max(size, 0)].decode("latin-1"))
        at += max(size, 0)
    return dict(zip(fields[::2], fields[1::2], strict=True))
