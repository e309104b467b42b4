"""One SHA-256 over a range of the ledger: equal digests mean that all of its rows and links are equal.

The database computes it of what it has, the verification of what the topic has; so whole rows travel only where the two
differ. Everything is framed by its length (four bytes, big-endian; -1 for what is not there).
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from struct import Struct

from services.reporting.domain.framing import NOTHING, framed, length
from services.reporting.domain.records import Entry, Link, Word

_start = Struct(">qi").pack
_number = Struct(">ii").pack
_WORDS = {word: framed(word.encode()) for word in Word}
_HASH = length(32)


def digest_of(records: Sequence[Entry], digests: Sequence[bytes], links: Mapping[int, Link]) -> bytes:
    """The digest of records by their offsets, digests being the SHA-256 of their bodies."""
    parts: list[bytes] = []
    for record, digest in zip(records, digests, strict=True):
        off, key, headers, word, body = record
        parts += (_start(off, -1),) if key is None else (_start(off, len(key)), key)
        parts += (length(len(headers)), headers, _WORDS[Word(word)])
        parts += (NOTHING,) if body is None else (_HASH, digest)
        if link := links.get(off):
            parts += (_number(link.n, len(link.case)), link.case, _HASH, link.hash)
        else:
            parts.append(NOTHING)
    return sha256(b"".join(parts)).digest()
