"""Which complaint and which command a message is: the same message meets itself however often it comes."""

import hmac
from uuid import UUID, uuid5

import orjson
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_37_36

from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.decisions.telling import RecordFact

_COMPLAINTS = UUID("0b9f6f0c-7d1e-5b5a-9a53-6a3f4d1c7e10")
_CONTENTS = UUID("5d7e2c44-91b3-5f0d-8e64-2f1b9c0a3d21")

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""No I, L, O or U: nothing that is misread or spells a word."""
RANDOM_BYTES = 5
_PLACES = 8
_MISREAD = str.maketrans("ILO", "110")


def complaint_of_reference(source_system: str, reference: str) -> UUID:
    """The id of the complaint that a source knows by this reference."""
    return uuid5(_COMPLAINTS, "\x1f".join((source_system, reference)))


def complaint_of_command(command: UUID) -> UUID:
    """The id of the complaint that a command without a source's reference opens."""
    return uuid5(_COMPLAINTS, str(command))


def content_command(source_system: str, reference: str, command: Receive | RecordFact, key: bytes) -> UUID:
    """The id of a command by its content: sent again it is spent; the keyed hash lets nobody guess the content."""
    canonical = orjson.dumps(command, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)
    digest = hmac.digest(key, type(command).__name__.encode() + b"\x1f" + canonical, "sha256")
    return uuid5(_CONTENTS, "\x1f".join((source_system, reference, digest.hex())))


def case_number(year: int, random: bytes) -> str:
    """The number that people say and type, such as 2026-K7Q2M9XD-4, from five random bytes.

    Where the check character would be one that is misread, the next number is taken.
    """
    drawn = int.from_bytes(random[:RANDOM_BYTES], "big")
    while True:
        body = "".join(ALPHABET[drawn >> 5 * place & 31] for place in reversed(range(_PLACES)))
        check = mod_37_36.calc_check_digit(f"{year:04d}{body}")
        if check in ALPHABET:
            return f"{year:04d}-{body}-{check}"
        drawn = (drawn + 1) % (1 << 5 * _PLACES)


def read_case_number(text: str) -> str | None:
    """The case number that somebody typed, in its one form; None if it is none or mistyped."""
    typed = text.strip().upper().translate(_MISREAD).replace("-", "").replace(" ", "")
    if len(typed) != 4 + _PLACES + 1 or not typed[:4].isdecimal() or set(typed) - set(ALPHABET):
        return None
    try:
        mod_37_36.validate(typed)
    except ValidationError:
        return None
    return f"{typed[:4]}-{typed[4:-1]}-{typed[-1]}"
