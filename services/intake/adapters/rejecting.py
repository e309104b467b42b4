"""What intake refuses goes to complaints.rejected whole: the reason in clear, the content sealed for 90 days."""

import asyncio
import base64
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import orjson

from shared.runtime.clock import Clock
from shared.runtime.ids import derived_id
from shared.runtime.keyring import REJECTED, DataKey, Destroyed, KeyName, Keyring
from shared.runtime.postgres import Pool
from shared.runtime.sealing import GONE, seal_text
from shared.schemas.envelope import source_of
from shared.schemas.privacy import Sealed

KEPT = timedelta(days=90)
TYPE = "intake.message-rejected.v1"
AT_ONCE = 20
"""Keys are made one by one: so many at a time leave room for others."""
_ENQUEUE = """
insert into outbox (topic, case_id, sequence, body)
select 'rejected', key, 0, body from unnest($1::uuid[], $2::bytea[]) r (key, body)"""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What is refused again has the id that it had, so that readers know it; origin says where it came from."""

    id: UUID
    origin: str
    reason: str
    field: str
    raw: bytes = dataclasses.field(repr=False)
    key: bytes | None = dataclasses.field(default=None, repr=False)
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Rejections:
    pool: Pool
    keyring: Keyring
    clock: Clock
    enqueued: Callable[[], None]

    async def reject(self, refused: Sequence[Rejected]) -> None:
        """Enqueues a notice for each."""
        for first in range(0, len(refused), AT_ONCE):
            some = refused[first : first + AT_ONCE]
            bodies = await asyncio.gather(*(self._notice(each) for each in some))
            await self.pool.execute(_ENQUEUE, [_place(each) for each in some], bodies)
        if refused:
            self.enqueued()

    async def _notice(self, refused: Rejected) -> bytes:
        now = self.clock()
        data: dict[str, Any] = {
            "reason": refused.reason,
            "field": refused.field,
            "line": refused.line,
            "origin": refused.origin,
        }
        key = await self._key(refused)
        data["raw"] = _sealed(key, refused, "raw", refused.raw)
        data["key"] = None if refused.key is None else _sealed(key, refused, "key", refused.key)
        notice = {
            "specversion": "1.0",
            "id": refused.id,
            "source": source_of("intake"),
            "type": TYPE,
            "subject": _place(refused),
            "time": now.astimezone(UTC),
            "datacontenttype": "application/json",
            "data": {name: value for name, value in data.items() if value is not None},
        }
        return orjson.dumps(notice)

    async def _key(self, refused: Rejected) -> DataKey | None:
        """A key for this content alone; None where it was refused before and its time is over."""
        name = KeyName(refused.id, refused.id, REJECTED)
        try:
            return await self.keyring.key_until(name, self.clock() + KEPT)
        except Destroyed:
            return None


def _place(refused: Rejected) -> UUID:
    """What came under one key is told under one key."""
    return derived_id("rejected-key", refused.key.hex() if refused.key else str(refused.id))


def _sealed(key: DataKey | None, refused: Rejected, path: str, raw: bytes) -> dict[str, Any]:
    text = base64.b64encode(raw).decode()
    sealed: Sealed = GONE if key is None else seal_text(key, refused.id, path, text)
    return sealed.model_dump()
