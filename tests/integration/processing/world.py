"""Handling as it runs, on a real Kafka and a real PostgreSQL; intake is played by whoever publishes its events."""

import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI

from redress.issuer.keys import signing_key
from redress.issuer.tokens import issue_token
from services.processing.app import BLUEPRINT
from services.processing.domain.owed import Owed
from shared.case import Case
from shared.runtime.auth import Role, Tokens
from shared.runtime.ids import fresh_id
from shared.runtime.relay import LEADERSHIP
from shared.runtime.running import Running
from shared.runtime.service import application
from shared.runtime.settings import RuntimeSettings
from shared.schemas.base import Actor, Dated, Decided
from shared.schemas.codes import FactKind
from shared.schemas.envelope import Draft, headers, serialised
from shared.schemas.intake import UpstreamFactReceived
from shared.schemas.topics import topic_name
from tests.unit.processing.stories import classified, received
from tests.waiting import until

_END_RELAY = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'redress-relay-processing' and datname = current_database()"""
ISSUER = "http://issuer.test"
UPSTREAM = Actor("shop", "UPS", "upstream")


@dataclass
class Handling:
    """The running service, and what a test can do to it."""

    running: Running[Case, Owed]
    app: FastAPI
    http: httpx.AsyncClient
    producer: AIOKafkaProducer
    prefix: str
    key_file: Path
    sequences: dict[UUID, int] = field(default_factory=dict)

    async def told(self, case: UUID, *events: Decided) -> list[UUID]:
        """Intake publishes these about a case; the ids of the events."""
        ids = []
        for decided in events:
            event, at = (
                (decided.event, decided.occurred_at) if isinstance(decided, Dated) else (decided, None)
            )
            now = datetime.now(UTC)  # noqa: TID251 - the service under test keeps real time
            sequence = self.sequences[case] = self.sequences.get(case, 0) + 1
            draft = Draft(
                id=fresh_id(),
                subject=case,
                type=event.type,
                data=serialised(event),
                time=now,
                occurred_at=at or now,
                actor=UPSTREAM,
                command=fresh_id(),
                correlation=case,
            )
            await self.producer.send_and_wait(
                topic_name(self.prefix, "cases"),
                draft.body(sequence, ""),
                str(case).encode(),
                headers=headers(event.type, draft.id, "intake", sequence),
            )
            ids.append(draft.id)
        return ids

    async def ask(
        self, who: str, role: Role, method: str, path: str, body: object = None, **more: str
    ) -> httpx.Response:
        token = issue_token(self.key_file, ISSUER, [role], who)
        sent = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): more[name] for name in more}}
        return await self.http.request(method, path, json=body, headers=sent)

    @asynccontextmanager
    async def unheard(self, owner_dsn: str) -> AsyncIterator[None]:
        """Somebody else leads its relay: what handling decides meanwhile reaches the topic afterwards only."""
        connection = await asyncpg.connect(owner_dsn)

        async def took_over() -> object:
            await connection.execute(_END_RELAY)
            return await connection.fetchval("select pg_try_advisory_lock($1)", LEADERSHIP)

        try:
            await until(took_over)
            yield
        finally:
            await connection.close()

    async def case(self, case: UUID, who: str = "lea", role: Role = Role.LEAD, **more: str) -> dict[str, Any]:
        """The case as it stands."""
        answer = await self.ask(who, role, "GET", f"/v1/cases/{case}", **more)
        return dict(answer.json()) if answer.status_code == 200 else {}

    async def reached(self, case: UUID, **wanted: object) -> dict[str, Any]:
        """The case once it is as wanted."""

        async def there() -> bool:
            found = await self.case(case)
            return bool(found) and all(found[name] == value for name, value in wanted.items())

        await until(there)
        return await self.case(case)


@asynccontextmanager
async def handling(
    bootstrap: str, prefix: str, dsn: str, keyring_dsn: str, folder: Path
) -> AsyncIterator[Handling]:
    """The service, ready."""
    key_file, master = folder / "issuer.pem", folder / "master.key"
    master.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    running: Running[Case, Owed] = Running(
        BLUEPRINT,
        RuntimeSettings(
            service="processing",
            kafka_bootstrap=bootstrap,
            pg_dsn=dsn,
            keyring_dsn=keyring_dsn,
            keyring_master_key_file=master,
            oidc_issuer=ISSUER,
            topic_prefix=prefix,
            port=8102,
        ),
    )
    running.tokens = Tokens(ISSUER, fetch_jwks=_keys_in(key_file))
    app = application(running)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        async with app.router.lifespan_context(app):
            await until(lambda: running.ready)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://processing.test") as http:
                yield Handling(running, app, http, producer, prefix, key_file)
    finally:
        await producer.stop()


def _keys_in(key_file: Path) -> Any:
    async def fetch() -> Mapping[str, Any]:
        key = signing_key(key_file)
        return {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig"}]}

    return fetch


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)  # noqa: TID251 - as above


def fact(kind: FactKind, days_ago: float = 0, label: str = "closed-with-explanation") -> Dated:
    told = UpstreamFactReceived(kind=kind, source_system="crm", label=label)
    return Dated(told, in_days(-days_ago))


async def with_clocks(service: Handling, case: UUID) -> dict[str, Any]:
    async def both() -> bool:
        return len((await service.case(case)).get("clocks", [])) == 2

    await until(both)
    return await service.case(case)


async def worked(service: Handling) -> UUID:
    """A case that eva is handling."""
    case = fresh_id()
    await service.told(case, received, classified)
    await with_clocks(service, case)
    assigned = await service.ask(
        "lea", Role.LEAD, "POST", f"/v1/cases/{case}/assignment", {"owner": "eva", "unit": "claims"}
    )
    assert assigned.status_code == 200, assigned.text
    started = await service.ask("eva", Role.OWN, "POST", f"/v1/cases/{case}/start")
    assert started.status_code == 200, started.text
    return case
