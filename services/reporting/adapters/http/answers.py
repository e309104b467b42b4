"""Answers as JSON: with how far they reach, and with sealed values opened for those who may read them."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any
from uuid import UUID

import orjson
from starlette.responses import Response

from services.reporting.projections.reading_the_register import case_named
from shared.runtime.auth import Principal
from shared.runtime.http.refusals import NotFound
from shared.runtime.running import Running
from shared.runtime.sealing import ERASED, Sealer, Unopenable
from shared.schemas.privacy import Kept

UNREADABLE = "[unlesbar / unreadable]"


def answered(
    body: Mapping[str, Any], headers: Mapping[str, str] | None = None, texts: Mapping[Kept, str] | None = None
) -> Response:
    """A body of plain values; sealed ones are given as their texts, and never as they are kept."""

    def plain(value: Any) -> Any:
        if isinstance(value, Kept):
            return (texts or {})[value]
        if isinstance(value, frozenset):
            return sorted(value)
        if isinstance(value, UUID):  # the database client's own kind, which orjson does not take for one
            return str(value)
        raise TypeError(type(value).__name__)

    content = orjson.dumps(body, default=plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    return Response(content, media_type="application/json", headers=dict(headers or {}))


async def fresh_answer(
    running: Running[Any, Any], fresh: bool, body: Mapping[str, Any], texts: Mapping[Kept, str] | None = None
) -> Response:
    """An answer that says how far it reaches; fresh: whether what the caller's token names had arrived."""
    freshness = await running.freshness(fresh)
    return answered({**body, "freshness": freshness.members()}, freshness.headers(), texts)


async def the_case(running: Running[Any, Any], principal: Principal, name: str) -> UUID:
    """The case with this number or id. Raises NotFound where there is none that the principal may see."""
    case = await case_named(running.parts.pool, principal, name)
    if case is None:
        raise NotFound
    return case


async def opened(sealer: Sealer, *values: Any) -> dict[Kept, str]:
    """The texts of all sealed values within, for readers who may see them."""
    wanted = list(dict.fromkeys(kept for value in values for kept in _kept(value)))
    try:
        texts = await sealer.unseal(wanted)
    except Unopenable:
        return {one: await _opened(sealer, one) for one in wanted}
    return {one: ERASED if text is None else text for one, text in zip(wanted, texts, strict=True)}


async def _opened(sealer: Sealer, one: Kept) -> str:
    try:
        (text,) = await sealer.unseal([one])
    except Unopenable:
        return UNREADABLE
    return ERASED if text is None else text


def _kept(value: Any) -> Iterator[Kept]:
    if isinstance(value, Kept):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _kept(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _kept(inner)
    elif is_dataclass(value):
        raise TypeError(f"{type(value).__name__} is not plain")
