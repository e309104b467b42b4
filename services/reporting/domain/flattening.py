"""A case as plain fields with dotted names, such as course.stage or clocks.final-answer.due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from shared.case import Case
from shared.schemas.privacy import Kept

UNIONS = frozenset({"record", "ownership"})
"""Regions whose states are classes of their own: the name of the class is a field too, called is."""
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Change:
    """A field that one event, or the time between two instants, made another; None where it is not there."""

    field: str
    before: Any
    after: Any


def flat(case: Case) -> dict[str, Any]:
    """Every field of every region, derived ones (such as a clock's result) included.

    A value is text, a number, yes or no, a date, a moment, an id, a sealed value with its place, or a tuple of those.
    """
    found: dict[str, Any] = {}
    for region in _names(Case):
        value = getattr(case, region)
        if region in UNIONS:
            found[f"{region}.is"] = _kebab(type(value).__name__)
        found.update(_walk(region, value))
    return found


def changes(before: Case, after: Case) -> list[Change]:
    """What differs, by name. What is the same object is not looked into: an event touches little of a case."""
    found: list[Change] = []
    for region in _names(Case):
        was, now = getattr(before, region), getattr(after, region)
        mine = list(_differences(region, was, now))
        if region in UNIONS and type(was) is not type(now):
            kinds = (_kebab(type(value).__name__) for value in (was, now))
            mine.append(Change(f"{region}.is", *kinds))
        found += sorted(mine, key=lambda change: change.field)
    return found


def _differences(name: str, before: Any, after: Any) -> Iterator[Change]:
    if before is after:
        return
    was, now = _parts(before), _parts(after)
    if was is None and now is None:
        one, other = _leaf(before), _leaf(after)
        if one != other:
            yield Change(name, one, other)
        return
    if was is None or now is None:
        yield from _apart(dict(_walk(name, before)), dict(_walk(name, after)))
        return
    for part in was | now:
        yield from _differences(f"{name}.{part}", was.get(part, _ABSENT), now.get(part, _ABSENT))


def _apart(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for name in {**was, **now}:
        before, after = was.get(name), now.get(name)
        if before != after:
            yield Change(name, before, after)


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    parts = _parts(value)
    if parts is None:
        if value is not _ABSENT:
            yield name, _leaf(value)
        return
    for part, inner in parts.items():
        yield from _walk(f"{name}.{part}", inner)


def _parts(value: Any) -> dict[str, Any] | None:
    """What a value consists of, by name; None for a plain one."""
    shape = _shape(value.__class__)
    if shape is _Shape.PLAIN:
        return None
    if shape is _Shape.STATE:
        return {name: getattr(value, name) for name in _names(value.__class__)}
    if shape is _Shape.MAPPING:
        return {str(_leaf(key)): inner for key, inner in value.items()}
    if all(_parts(inner) is None for inner in value):
        return None
    return {str(number): inner for number, inner in enumerate(value, start=1)}


class _Shape(Enum):
    PLAIN = "plain"
    STATE = "state"
    MAPPING = "mapping"
    TUPLE = "tuple"


@cache
def _shape(kind: type) -> _Shape:
    if is_dataclass(kind) and not issubclass(kind, Kept):
        return _Shape.STATE
    if issubclass(kind, Mapping):
        return _Shape.MAPPING
    return _Shape.TUPLE if issubclass(kind, tuple) else _Shape.PLAIN


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a class of states, with its derived ones."""
    assert is_dataclass(kind)
    derived = (name for name, it in vars(kind).items() if isinstance(it, property))
    return (*(part.name for part in fields(kind)), *derived)


def _leaf(value: Any) -> Any:
    if value is _ABSENT:
        return None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset | set):
        return tuple(sorted((_leaf(one) for one in value), key=str))
    if isinstance(value, tuple):
        return tuple(map(_leaf, value))
    return value


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
