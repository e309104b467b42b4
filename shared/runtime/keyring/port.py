"""What the runtime asks of a keyring: a key management service can take the database's place."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.runtime.ids import derived_id
from shared.schemas.privacy import DataGroup

REJECTED = "rejected"
"""The group of raw content that could not be read: its keys expire."""
PERSONAL_GROUPS = tuple(group.value for group in DataGroup)
"""When these are erased in every case of a subject, the subject is erased entirely."""
GROUPS = (*PERSONAL_GROUPS, REJECTED)
KEY_BYTES = 32


class Destroyed(LookupError):
    """The key was destroyed, and no other is ever made under its name."""


@dataclass(frozen=True, slots=True)
class KeyName:
    """What one data key is for: the data of one group, of one subject, in one case."""

    subject: UUID
    case: UUID
    group: str


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key with the public name that sealed values carry."""

    kid: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Destruction:
    """The kids that are destroyed within what was asked for, and the real moment since which all of it is."""

    kids: frozenset[str]
    at: datetime


def subject_of_case(case: UUID) -> UUID:
    """The subject of a case that names no customer: whoever complained there, and in no other case."""
    return derived_id("subject", str(case))


class Keyring(Protocol):
    """Keys by name and by kid, who is who among the subjects, and destruction that cannot be taken back."""

    async def keys_for(self, names: Collection[KeyName]) -> Mapping[KeyName, DataKey | None]:
        """The keys of these names, made where missing, in one round trip; None: destroyed for ever."""
        ...

    async def keys_by_kid(self, kids: Collection[str]) -> Mapping[str, DataKey]:
        """The keys that sealed values name; one that is absent was destroyed or never existed."""
        ...

    async def key_until(self, name: KeyName, until: datetime) -> DataKey:
        """A key that destroy_due ends at that time; one that is there stays as it is. Or Destroyed."""
        ...

    async def destroy_due(self, now: datetime) -> int:
        """Destroys the keys whose time is over and says how many."""
        ...

    async def destroy(
        self, subject: UUID, cases: Collection[UUID] | None, groups: Collection[str] | None
    ) -> Destruction:
        """Destroys keys of a subject (None: in every case, of every group), those never made too; repeatable.

        A repeat answers the same kids and moment. Once every group of every case is gone, the subject's match
        texts go too.
        """
        ...

    async def redestroy(self, kids: Collection[str]) -> int:
        """Destroys what a restore of the keyring brought back, by the kids that the log names as erased.

        Says how many keys were alive. The kids cannot tell which names were erased without having had a key.
        """
        ...

    async def cases_of(self, subject: UUID) -> set[UUID]:
        """Every case that the keyring knows of this subject, erased ones too."""
        ...

    async def subjects_for(self, wanted: Mapping[UUID, str | None]) -> Mapping[UUID, UUID]:
        """Whose each case is, by the customer's match text (None: unknown); a case never changes hands."""
        ...

    async def search(self, match: str) -> UUID | None:
        """The subject of exactly this match text, unless it is unknown or erased."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 bytes for keyed hashes of one purpose, made once for all services."""
        ...
