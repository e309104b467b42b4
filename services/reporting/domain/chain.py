"""The hash chain of a case: whoever alters, drops or moves one of its events changes every hash from there on."""

from hashlib import sha256


def genesis(topic: str, case: bytes) -> bytes:
    """The hash that the first event of a case is chained to."""
    return sha256(b"redress/" + topic.encode() + b"/" + case).digest()


def following(before: bytes, body: bytes) -> bytes:
    """The hash behind an event, from the hash before it and its exact bytes."""
    return sha256(before + body).digest()
