"""The hash chain of a case: whoever alters, drops or moves one of its events changes every hash from there on."""

from collections.abc import Sequence
from hashlib import sha256

import orjson


def genesis(topic: str, case: bytes) -> bytes:
    """The hash that the first event of a case is chained to."""
    return sha256(b"redress/" + topic.encode() + b"/" + case).digest()


def following(before: bytes, body: bytes) -> bytes:
    """The hash behind an event, from the hash before it and its exact bytes."""
    return sha256(before + body).digest()


def packed(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Headers as bytes that are equal exactly if the headers are, in the same order; bytes are read as Latin-1."""
    return orjson.dumps([(name, None if it is None else it.decode("latin-1")) for name, it in headers])


def unpacked(headers: bytes) -> dict[str, str]:
    """Packed headers by name, for telling people about them."""
    return {name: it or "" for name, it in orjson.loads(headers)}
