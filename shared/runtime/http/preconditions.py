"""A write against what was read: ETag says which own sequence an answer shows, If-Match asks for it."""

import re
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Header
from pydantic import WithJsonSchema

from shared.runtime.http.problems import Problem

TAG = r'"[!#-~]{1,128}"'
WEAK = re.compile(r'(?:^|[,\s])W/"')


def etag(publisher: str, sequence: int) -> str:
    """The strong tag of what a service holds of a case by its own events, such as "processing:7"."""
    return f'"{publisher}:{sequence}"'


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The tags that the caller accepts; no tags means any state, as long as there is one."""

    tags: frozenset[str]

    def check(self, current: str | None) -> None:
        """412 unless what is there now (None: nothing) is what the caller has seen."""
        if current is None or (self.tags and current not in self.tags):
            detail = "The case has changed since it was read: read it again and decide anew."
            raise Problem(412, "precondition-failed", detail, headers={"ETag": current} if current else None)


def parse_if_match(text: str) -> IfMatch:
    """If-Match of RFC 9110, an asterisk or a list of tags; weak ones cannot guard a write and are refused."""
    if text.strip() == "*":
        return IfMatch(frozenset())
    if WEAK.search(text):
        raise Problem(400, "weak-etag", "If-Match needs strong tags: a weak one cannot guard a write.")
    tags, between = re.findall(TAG, text), re.split(TAG, text)
    separated = all("," in gap for gap in between[1:-1]) and not any(gap.strip(" \t,") for gap in between)
    if not tags or not separated:
        raise Problem(
            400, "bad-if-match", 'If-Match is an asterisk or a list of quoted tags, such as "processing:7".'
        )
    return IfMatch(frozenset(tags))


def asked_if_match(
    value: Annotated[
        str | None,
        WithJsonSchema({"type": "string", "pattern": rf"^(\*|{TAG}(, {TAG}){{0,9}})$"}),
        Header(alias="If-Match", description="Act only if the case still is as it was read."),
    ] = None,
) -> IfMatch | None:
    """The request's condition, if it makes one."""
    return None if value is None else parse_if_match(value)


AskedIfMatch: TypeAlias = Annotated[IfMatch | None, Depends(asked_if_match)]
