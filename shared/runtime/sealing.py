"""Personal data in events: sealed just before they are written, unsealed only where a person is to read it.

A seal binds the text to its event and field: elsewhere it does not open.
"""

import os
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar, get_args
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime.clock import Clock, system_clock
from shared.runtime.keyring.port import DataKey, KeyName, Keyring
from shared.schemas.base import Event, Part, Recorded, parts_of
from shared.schemas.privacy import Clear, Kept, Privacy, Sealed

ERASED = "[gelöscht / erased]"
KEYS_KEPT = timedelta(seconds=60)
MOST_KEYS_KEPT = 10_000
"""A cipher that is ready for use takes 2.4 KB."""
NONCE_BYTES = 12
NONCE_TEXT = 16
URL_SAFE = bytes.maketrans(b"+/", b"-_")
GONE = Sealed(v=0, kid="", nonce="", ct="")
TEXTS = (Clear, Sealed)
SERIES = (list, tuple)

P = TypeVar("P", bound=Part)
K = TypeVar("K", bound=Hashable)
_Name: TypeAlias = tuple[UUID, UUID, str]
"""Subject, case, group: a KeyName without the cost of making one per event."""
_Put: TypeAlias = Callable[[str, str, str], Sealed]
"""From path, group and text to the sealed value."""


class Unopenable(ValueError):
    """A sealed value does not open in its place: somebody altered it or moved it there."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A key ready for use, or the knowledge that it is gone (no cipher), and when the keyring was asked."""

    since: datetime
    kid: str
    cipher: AESGCM | None


class _Remembered(Generic[K]):
    """What the keyring answered lately, oldest first."""

    def __init__(self) -> None:
        self._ready: dict[K, _Ready] = {}

    def still(self, wanted: Collection[K], now: datetime) -> dict[K, _Ready]:
        """Those that are known and fresh; after the clock was set back nothing is."""
        while self._ready and not self._is_fresh(next(iter(self._ready.values())), now):
            del self._ready[next(iter(self._ready))]
        known = ((one, self._ready.get(one)) for one in wanted)
        return {one: ready for one, ready in known if ready and self._is_fresh(ready, now)}

    def add(self, name: K, ready: _Ready) -> None:
        self._ready.pop(name, None)
        self._ready[name] = ready
        if len(self._ready) > MOST_KEYS_KEPT:
            del self._ready[next(iter(self._ready))]

    def clear(self) -> None:
        self._ready.clear()

    @staticmethod
    def _is_fresh(ready: _Ready, now: datetime) -> bool:
        return timedelta(0) <= now - ready.since < KEYS_KEPT


class Sealer:
    """Seals and unseals for one process, and remembers keys for a minute of real time at most.

    Whoever destroys a key waits as long before saying that nobody can read any more.
    """

    def __init__(self, keyring: Keyring, clock: Clock = system_clock) -> None:
        self._keyring = keyring
        self._clock = clock
        self._by_name: _Remembered[_Name] = _Remembered()
        self._by_kid: _Remembered[str] = _Remembered()

    async def seal(self, wanted: Sequence[tuple[UUID, UUID, UUID, Event]]) -> list[Event]:
        """Of each (event id, subject, case, event) the event with every clear text sealed.

        The keyring is asked once for all of them. Where the key was destroyed, the text is written as erased;
        what is sealed already stays so.
        """
        texts = [
            [group for _, group, text in _classed(event) if type(text) is Clear] for _, _, _, event in wanted
        ]
        if not any(texts):
            return [event for _, _, _, event in wanted]
        names = [
            {group: (subject, case, group) for group in groups}
            for (_, subject, case, _), groups in zip(wanted, texts, strict=True)
        ]
        ready = await self._named({name for own in names for name in own.values()})
        nonces = _nonces(sum(map(len, texts)))
        return [
            _with_sealed(
                event, "", _putter({group: ready[name] for group, name in own.items()}, nonces, event_id)
            )
            for (event_id, _, _, event), own in zip(wanted, names, strict=True)
        ]

    async def unseal(self, kept: Sequence[Kept]) -> list[str | None]:
        """The texts in their order, None where erased. Raises Unopenable for what was altered or moved."""
        ready = await self._of_kids({one.value.kid for one in kept if one.value.v})
        return [_opened(ready[one.value.kid].cipher, one) if one.value.v else None for one in kept]

    async def forget(self) -> None:
        """Drops every remembered key."""
        self._by_name.clear()
        self._by_kid.clear()

    async def _named(self, names: Collection[_Name]) -> Mapping[_Name, _Ready]:
        # The moment before the question: a key may be destroyed while the answer is on its way.
        asked = self._clock()
        ready = self._by_name.still(names, asked)
        if missing := {KeyName(*name): name for name in names if name not in ready}:
            for key_name, key in (await self._keyring.keys_for(missing.keys())).items():
                one = _ready(asked, key)
                ready[missing[key_name]] = one
                self._by_name.add(missing[key_name], one)
                if key is not None:
                    self._by_kid.add(key.kid, one)
        return ready

    async def _of_kids(self, kids: Collection[str]) -> Mapping[str, _Ready]:
        asked = self._clock()
        ready = self._by_kid.still(kids, asked)
        if missing := [kid for kid in kids if kid not in ready]:
            found = await self._keyring.keys_by_kid(missing)
            for kid in missing:
                ready[kid] = _ready(asked, found.get(kid))
                self._by_kid.add(kid, ready[kid])
        return ready


def seal_text(key: DataKey, event: UUID, path: str, text: str) -> Sealed:
    """One text sealed under a key at hand, for what is no field of an event, such as refused content."""
    nonce = os.urandom(NONCE_BYTES)
    ct = AESGCM(key.key).encrypt(nonce, text.encode(), event.bytes + path.encode())
    return Sealed(v=1, kid=key.kid, nonce=_encoded(nonce), ct=_encoded(ct))


def sealed_fields(event: Event) -> Iterator[tuple[str, Sealed]]:
    """Path and value of everything sealed in an event, such as ("items.0.narrative", …)."""
    return ((path, value) for path, _, value in _classed(event) if isinstance(value, Sealed))


def kept_in(recorded: Recorded) -> dict[str, Kept]:
    """By path, everything sealed in an event, with what is needed to open it."""
    return {path: Kept(recorded.id, path, value) for path, value in sealed_fields(recorded.event)}


@cache
def _plan(kind: type[Part]) -> tuple[tuple[str, str], ...]:
    """The fields of a class that may hold classed text, with their group; fields of parts have none ("")."""
    found = []
    for name, field in kind.model_fields.items():
        marks = [mark for mark in (*field.metadata, *_marks(field.annotation)) if isinstance(mark, Privacy)]
        group = next((mark.group.value for mark in marks if mark.group), "")
        if not group and _mentions_clear(field.annotation):
            raise TypeError(f"{kind.__name__}.{name} holds personal text but names no data group")
        if group or any(_holds_text(part, frozenset()) for part in parts_of(field.annotation)):
            found.append((name, group))
    return tuple(found)


def _holds_text(kind: type[Part], seen: frozenset[type[Part]]) -> bool:
    """Whether a part has classed text at any depth; parts may hold their own kind."""
    if kind in seen:
        return False
    annotations = [field.annotation for field in kind.model_fields.values()]
    return any(map(_mentions_clear, annotations)) or any(
        _holds_text(part, seen | {kind}) for annotation in annotations for part in parts_of(annotation)
    )


def _mentions_clear(annotation: Any) -> bool:
    return annotation is Clear or any(map(_mentions_clear, get_args(annotation)))


def _marks(annotation: Any) -> Iterator[Any]:
    """What is annotated below the field itself, as in list[Annotated[…]]."""
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _marks(inner)


# A model class looks for its instances in Python code, which costs more than to seal: so type() comes first.


def _classed(part: Part, prefix: str = "") -> Iterator[tuple[str, str, Clear | Sealed]]:
    """Path, group and value of every classed text that is there."""
    for name, group in _plan(type(part)):
        value = getattr(part, name)
        if type(value) in TEXTS:
            yield prefix + name, group, value
        elif value is not None:
            yield from _classed_within(value, prefix + name, group)


def _classed_within(value: Any, path: str, group: str) -> Iterator[tuple[str, str, Clear | Sealed]]:
    if type(value) in TEXTS:
        yield path, group, value
    elif type(value) in SERIES:
        for place, one in enumerate(value):
            yield from _classed_within(one, f"{path}.{place}", group)
    elif isinstance(value, Part):
        yield from _classed(value, path + ".")


def _with_sealed(part: P, prefix: str, put: _Put) -> P:
    """The part itself if it holds nothing in clear, else a copy, which is not validated again."""
    changes = {}
    for name, group in _plan(type(part)):
        value = getattr(part, name)
        if value is not None and (sealed := _sealed_within(value, prefix + name, group, put)) is not value:
            changes[name] = sealed
    return part.model_copy(update=changes) if changes else part


def _sealed_within(value: Any, path: str, group: str, put: _Put) -> Any:
    if type(value) is Clear:
        return put(path, group, value.text)
    if type(value) in SERIES:
        sealed = (_sealed_within(one, f"{path}.{place}", group, put) for place, one in enumerate(value))
        return type(value)(sealed)
    if isinstance(value, Part):
        return _with_sealed(value, path + ".", put)
    return value


def _putter(keys: Mapping[str, _Ready], nonces: Iterator[tuple[bytes, str]], event: UUID) -> _Put:
    """Seals the texts of one event under the keys of its groups."""
    bound = event.bytes

    def put(path: str, group: str, text: str) -> Sealed:
        key = keys[group]
        if key.cipher is None:
            return GONE
        nonce, nonce_text = next(nonces)
        ct = key.cipher.encrypt(nonce, text.encode(), bound + path.encode())
        return Sealed(v=1, kid=key.kid, nonce=nonce_text, ct=_encoded(ct))

    return put


def _opened(cipher: AESGCM | None, kept: Kept) -> str | None:
    if cipher is None:
        return None
    try:
        nonce, ct = _decoded(kept.value.nonce), _decoded(kept.value.ct)
        return cipher.decrypt(nonce, ct, kept.event.bytes + kept.path.encode()).decode()
    except (InvalidTag, ValueError):
        raise Unopenable(f"{kept.path} of event {kept.event} was altered or belongs elsewhere") from None


def _ready(asked: datetime, key: DataKey | None) -> _Ready:
    return _Ready(asked, "", None) if key is None else _Ready(asked, key.kid, AESGCM(key.key))


def _nonces(count: int) -> Iterator[tuple[bytes, str]]:
    """Fresh nonces with their text, of one call to the system: 12 bytes are 16 characters, no padding."""
    block = os.urandom(NONCE_BYTES * count)
    text = _encoded(block)
    return (
        (block[NONCE_BYTES * n : NONCE_BYTES * (n + 1)], text[NONCE_TEXT * n : NONCE_TEXT * (n + 1)])
        for n in range(count)
    )


def _encoded(value: bytes) -> str:
    return b2a_base64(value, newline=False).translate(URL_SAFE, b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
