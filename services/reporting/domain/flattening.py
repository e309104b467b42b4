"""A case as plain fields with dotted names, such as course.stage or clocks.final-answer.due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, TypeAlias

from shared.case import Case
from shared.schemas.privacy import Kept

Flat: TypeAlias = Mapping[str, Any]
"""Dotted name -> text, number, yes or no, date, moment, id, sealed value with its place, or a tuple of those."""

KINDS = {"record": "is", "ownership": "is"}
"""Regions whose states are classes of their own: their name is a field too."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field that one event, or the time between two instants, made another; None where it is not there."""

    field: str
    before: Any
    after: Any


def flat(case: Case) -> dict[str, Any]:
    """Every field of every region, derived ones (such as a clock's result) included."""
    return dict(pair for region in fields(case) for pair in _region(case, region.name))


def changes(before: Case, after: Case) -> list[Change]:
    """What differs, by name. Regions that are the same object are not looked into: an event touches few."""
    found = []
    for region in fields(Case):
        name = region.name
        if getattr(before, name) is getattr(after, name):
            continue
        was, now = dict(_region(before, name)), dict(_region(after, name))
        found += [
            Change(field, was.get(field), now.get(field))
            for field in sorted(was.keys() | now.keys())
            if was.get(field) != now.get(field)
        ]
    return found


def _region(case: Case, name: str) -> Iterator[tuple[str, Any]]:
    region = getattr(case, name)
    if name in KINDS:
        yield f"{name}.{KINDS[name]}", _kebab(type(region).__name__)
    yield from _walk(name, region)


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Kept) or not _has_parts(value):
        yield name, _leaf(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(f"{name}.{_leaf(key)}", inner)
    elif isinstance(value, tuple):
        for number, inner in enumerate(value, start=1):
            yield from _walk(f"{name}.{number}", inner)
    else:
        for part in _names(type(value)):
            yield from _walk(f"{name}.{part}", getattr(value, part))


def _has_parts(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_parts, value))
    return isinstance(value, Mapping) or is_dataclass(value)


def _names(kind: type) -> list[str]:
    stated = [part.name for part in fields(kind)]
    return stated + [name for name, it in vars(kind).items() if isinstance(it, property)]


def _leaf(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset | set):
        return tuple(sorted((_leaf(one) for one in value), key=str))
    if isinstance(value, tuple):
        return tuple(map(_leaf, value))
    return value


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


def text_of(value: Any) -> str:
    """A plain value as people read it; sealed values must have been opened before."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(text_of, value)) or "–"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
