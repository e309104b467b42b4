"""A keyring in memory, for unit tests: one contract suite holds it and PostgreSQL's together."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.runtime.clock import Clock, system_clock
from shared.runtime.ids import Ids, fresh_id
from shared.runtime.keyring.port import (
    GROUPS,
    KEY_BYTES,
    PERSONAL_GROUPS,
    DataKey,
    Destroyed,
    Destruction,
    KeyName,
    subject_of_case,
)


@dataclass(slots=True)
class _Slot:
    """A name's key, or the moment of its destruction; a name destroyed before it had a key has no kid."""

    key: DataKey | None
    kid: str | None
    expires: datetime | None = None
    destroyed_at: datetime | None = None

    def destroy(self, at: datetime) -> None:
        if self.key is not None:
            self.key, self.destroyed_at = None, at


class MemoryKeyring:
    """Everything a keyring does, as long as the process lives."""

    def __init__(self, clock: Clock = system_clock, ids: Ids = fresh_id) -> None:
        self._clock = clock
        self._ids = ids
        self._slots: dict[KeyName, _Slot] = {}
        self._subjects: dict[UUID, UUID] = {}
        self._matches: dict[str, UUID] = {}
        self._erased: dict[UUID, datetime] = {}
        self._secrets: dict[str, bytes] = {}

    async def keys_for(self, names: Collection[KeyName]) -> Mapping[KeyName, DataKey | None]:
        return {name: self._obtain(name, None) for name in names}

    async def keys_by_kid(self, kids: Collection[str]) -> Mapping[str, DataKey]:
        wanted = set(kids)
        return {
            slot.key.kid: slot.key for slot in self._slots.values() if slot.key and slot.key.kid in wanted
        }

    async def key_until(self, name: KeyName, until: datetime) -> DataKey:
        if (key := self._obtain(name, until)) is None:
            raise Destroyed(f"the {name.group} key of case {name.case} was destroyed")
        return key

    async def destroy_due(self, now: datetime) -> int:
        due = [slot for slot in self._slots.values() if slot.key and slot.expires and slot.expires <= now]
        self._destroy(due)
        return len(due)

    async def destroy(
        self, subject: UUID, cases: Collection[UUID] | None, groups: Collection[str] | None
    ) -> Destruction:
        at = self._clock()
        scope = await self.cases_of(subject) if cases is None else set(cases)
        known = {name.group for name in self._slots if name.subject == subject}
        wanted = known.union(GROUPS) if groups is None else set(groups)
        names = [KeyName(subject, case, group) for case in scope for group in wanted]
        for name in names:
            self._slots.setdefault(name, _Slot(None, None, destroyed_at=at)).destroy(at)
        if (cases is None and groups is None) or await self._nothing_left(subject):
            self._erased.setdefault(subject, at)
            self._forget_matches(subject)
        slots = [self._slots[name] for name in names]
        moments = [slot.destroyed_at for slot in slots if slot.destroyed_at]
        return Destruction(
            frozenset(slot.kid for slot in slots if slot.kid),
            max(moments, default=self._erased.get(subject, at)),
        )

    async def redestroy(self, kids: Collection[str]) -> int:
        wanted = set(kids)
        back = {name: slot for name, slot in self._slots.items() if slot.key and slot.kid in wanted}
        self._destroy(back.values())
        alive = {name.subject for name, slot in self._slots.items() if slot.key}
        for subject in {name.subject for name in back} - alive:
            self._forget_matches(subject)
        return len(back)

    async def cases_of(self, subject: UUID) -> set[UUID]:
        named = {case for case, whose in self._subjects.items() if whose == subject}
        return named | {name.case for name in self._slots if name.subject == subject}

    async def subjects_for(self, wanted: Mapping[UUID, str | None]) -> Mapping[UUID, UUID]:
        for case, match in wanted.items():
            if case not in self._subjects:
                known = (
                    subject_of_case(case) if match is None else self._matches.setdefault(match, self._ids())
                )
                self._subjects[case] = known
        return {case: self._subjects[case] for case in wanted}

    async def search(self, match: str) -> UUID | None:
        return self._matches.get(match)

    async def secret(self, name: str) -> bytes:
        return self._secrets.setdefault(name, os.urandom(KEY_BYTES))

    def _obtain(self, name: KeyName, until: datetime | None) -> DataKey | None:
        if name.subject in self._erased and name not in self._slots:
            return None
        if name not in self._slots:
            key = DataKey(str(self._ids()), os.urandom(KEY_BYTES))
            self._slots[name] = _Slot(key, key.kid, until)
        return self._slots[name].key

    def _destroy(self, slots: Iterable[_Slot]) -> None:
        at = self._clock()
        for slot in slots:
            slot.destroy(at)

    async def _nothing_left(self, subject: UUID) -> bool:
        cases = await self.cases_of(subject)
        gone = {
            (name.case, name.group)
            for name, slot in self._slots.items()
            if name.subject == subject and not slot.key
        }
        return bool(cases) and all((case, group) in gone for case in cases for group in PERSONAL_GROUPS)

    def _forget_matches(self, subject: UUID) -> None:
        self._matches = {match: whose for match, whose in self._matches.items() if whose != subject}
