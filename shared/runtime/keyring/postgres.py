"""The keyring in a database of its own, which holds wrapped keys only and is reached by functions only."""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from shared.runtime.ids import fresh_id
from shared.runtime.keyring.port import (
    GROUPS,
    PERSONAL_GROUPS,
    DataKey,
    Destroyed,
    Destruction,
    KeyName,
    subject_of_case,
)
from shared.runtime.keyring.wrapping import MasterKey
from shared.runtime.postgres import Pool, connect_pool

CHECK = "master-key-check"


class PostgresKeyring:
    """One service's way to the keyring; which functions it may call is decided by its database role."""

    def __init__(self, pool: Pool, master: MasterKey) -> None:
        self._pool = pool
        self._master = master
        self._match_secret: bytes | None = None

    async def close(self) -> None:
        await self._pool.close()

    async def keys_for(self, names: Collection[KeyName]) -> Mapping[KeyName, DataKey | None]:
        return await self._obtain(list(dict.fromkeys(names)), None)

    async def keys_by_kid(self, kids: Collection[str]) -> Mapping[str, DataKey]:
        rows = await self._pool.fetch("select kid, wrapped from keyring.by_kid($1)", _well_formed(kids))
        keys = (self._opened(row["kid"], row["wrapped"]) for row in rows)
        return {key.kid: key for key in keys}

    async def key_until(self, name: KeyName, until: datetime) -> DataKey:
        if (key := (await self._obtain([name], until))[name]) is None:
            raise Destroyed(f"the {name.group} key of case {name.case} was destroyed")
        return key

    async def destroy_due(self, now: datetime) -> int:
        count: int = await self._pool.fetchval("select keyring.destroy_due($1)", now)
        return count

    async def destroy(
        self, subject: UUID, cases: Collection[UUID] | None, groups: Collection[str] | None
    ) -> Destruction:
        row = await self._pool.fetchrow(
            "select kids, destroyed_at from keyring.destroy($1, $2, $3, $4, $5)",
            subject,
            None if cases is None else list(cases),
            None if groups is None else list(groups),
            GROUPS,
            PERSONAL_GROUPS,
        )
        assert row is not None
        return Destruction(frozenset(map(str, row["kids"])), row["destroyed_at"])

    async def redestroy(self, kids: Collection[str]) -> int:
        count: int = await self._pool.fetchval("select keyring.redestroy($1)", _well_formed(kids))
        return count

    async def cases_of(self, subject: UUID) -> set[UUID]:
        return {row[0] for row in await self._pool.fetch("select keyring.cases_of($1)", subject)}

    async def subjects_for(self, wanted: Mapping[UUID, str | None]) -> Mapping[UUID, UUID]:
        secret = await self._secret_of_matches()
        digests = [None if match is None else _digest(secret, match) for match in wanted.values()]
        candidates = [
            subject_of_case(case) if digest is None else fresh_id()
            for case, digest in zip(wanted, digests, strict=True)
        ]
        rows = await self._pool.fetch(
            "select case_id, subject from keyring.subjects_for($1, $2, $3)", list(wanted), digests, candidates
        )
        return {row["case_id"]: row["subject"] for row in rows}

    async def search(self, match: str) -> UUID | None:
        digest = _digest(await self._secret_of_matches(), match)
        found: UUID | None = await self._pool.fetchval("select keyring.search($1)", digest)
        return found

    async def secret(self, name: str) -> bytes:
        label = f"purpose/{name}"
        candidate = self._master.wrap_fresh(label)
        return self._master.unwrap(
            label, await self._pool.fetchval("select keyring.purpose_secret($1, $2)", name, candidate)
        )

    async def _secret_of_matches(self) -> bytes:
        if self._match_secret is None:
            candidate = self._master.wrap_fresh("match")
            kept = await self._pool.fetchval("select keyring.match_secret($1)", candidate)
            self._match_secret = self._master.unwrap("match", kept)
        return self._match_secret

    async def _obtain(self, names: list[KeyName], until: datetime | None) -> dict[KeyName, DataKey | None]:
        candidates = [fresh_id() for _ in names]
        rows = await self._pool.fetch(
            "select kid, wrapped from keyring.obtain($1, $2, $3, $4, $5, $6)",
            [name.subject for name in names],
            [name.case for name in names],
            [name.group for name in names],
            candidates,
            [self._master.wrap_fresh(str(kid)) for kid in candidates],
            until,
        )
        return {
            name: None if row["wrapped"] is None else self._opened(row["kid"], row["wrapped"])
            for name, row in zip(names, rows, strict=True)
        }

    def _opened(self, kid: UUID, wrapped: bytes) -> DataKey:
        name = str(kid)
        return DataKey(name, self._master.unwrap(name, wrapped))


async def open_keyring(dsn: str, master_key: bytes, name: str) -> PostgresKeyring:
    """The keyring for a service. Raises WrongMasterKey rather than make keys that no other can open."""
    master = MasterKey(master_key)
    keyring = PostgresKeyring(await connect_pool(dsn, name=name), master)
    try:
        await keyring.secret(CHECK)
    except BaseException:
        await keyring.close()
        raise
    return keyring


def _digest(secret: bytes, match: str) -> bytes:
    return hmac.digest(secret, match.encode(), hashlib.sha256)


def _well_formed(kids: Iterable[str]) -> list[UUID]:
    """A sealed value from a foreign hand may name anything: what is no kid of ours names no key."""
    found = []
    for kid in kids:
        try:
            found.append(UUID(kid))
        except ValueError:
            continue
    return found
