"""Read your writes: a token names events that the caller knows of, an answer says how far it reaches."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from fastapi import Depends, Header, Query
from pydantic import WithJsonSchema

from shared.runtime.http.problems import Problem
from shared.schemas.base import PUBLISHERS

HEADER = "Redress-Token"
LONGEST_TOKEN = 4096
LARGEST_SEQUENCE = 2**63 - 1
ENTRY = re.compile(
    rf"({'|'.join(PUBLISHERS)}):([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}):([1-9][0-9]{{0,18}})"
)
DESCRIBED: dict[str, Any] = {
    "type": "string",
    "pattern": f"^{ENTRY.pattern}(,{ENTRY.pattern})*$",
    "maxLength": LONGEST_TOKEN,
}


@dataclass(frozen=True, slots=True, order=True)
class Written:
    """One event that the caller knows to be written: wait for it before answering."""

    publisher: str
    case: UUID
    sequence: int

    def __str__(self) -> str:
        return f"{self.publisher}:{self.case}:{self.sequence}"


Token: TypeAlias = tuple[Written, ...]


def render_token(written: Iterable[Written]) -> str:
    """The token as it travels; of one publisher and case only the latest counts."""
    return ",".join(str(entry) for entry in _latest(written))


def parse_token(text: str) -> Token:
    """The token's entries, or 400."""
    if len(text) > LONGEST_TOKEN:
        raise _malformed()
    return _latest(_entry(part.strip()) for part in text.split(","))


def _entry(text: str) -> Written:
    found = ENTRY.fullmatch(text)
    if not found or int(found[3]) > LARGEST_SEQUENCE:
        raise _malformed()
    return Written(found[1], UUID(found[2]), int(found[3]))


def _latest(written: Iterable[Written]) -> Token:
    highest: dict[tuple[str, UUID], Written] = {}
    for entry in sorted(written):
        highest[entry.publisher, entry.case] = entry
    return tuple(highest.values())


def _malformed() -> Problem:
    return Problem(400, "bad-token", "The token is a list of publisher:case:sequence, separated by commas.")


def asked_token(
    header: Annotated[
        str | None,
        WithJsonSchema(DESCRIBED),
        Header(alias=HEADER, description="Wait until these events are seen, at most 2 s."),
    ] = None,
    token: Annotated[
        str | None,
        WithJsonSchema(DESCRIBED),
        Query(description=f"The same as {HEADER}, for links."),
    ] = None,
) -> Token:
    """What the caller knows to be written, from header and query together."""
    return _latest(entry for text in (header, token) if text is not None for entry in parse_token(text))


AskedToken: TypeAlias = Annotated[Token, Depends(asked_token)]


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far an answer reaches: position per partition, time of the last event seen, records behind.

    fresh is false when what the caller's token names had not arrived in time.
    """

    position: Mapping[int, int]
    time: datetime | None
    lag: int
    fresh: bool = True

    def headers(self) -> dict[str, str]:
        return {
            "Redress-Position": " ".join(f"{part}:{at}" for part, at in sorted(self.position.items())),
            "Redress-Lag": str(self.lag),
            "Redress-Fresh": str(self.fresh).lower(),
            **({"Redress-Time": self.time.isoformat()} if self.time else {}),
        }

    def members(self) -> dict[str, Any]:
        """The same inside a JSON answer, under the name freshness."""
        position = {str(part): at for part, at in sorted(self.position.items())}
        time = self.time.isoformat() if self.time else None
        return {"position": position, "time": time, "lag": self.lag, "fresh": self.fresh}
