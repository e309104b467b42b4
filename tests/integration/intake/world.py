"""What a test can do to acceptance: ask it over HTTP, post to its topic, and read what it published."""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from fastapi import FastAPI

from redress.issuer.keys import signing_key
from redress.issuer.tokens import issue_token
from services.intake.app import BLUEPRINT
from services.intake.domain.complaint import Complaint
from services.intake.domain.owed import Owed
from services.intake.settings import IntakeSettings
from shared.runtime.auth import Role, Tokens
from shared.runtime.running import Running
from shared.runtime.service import application
from shared.schemas.topics import topic_name
from tests.waiting import until

ISSUER = "http://issuer.test"
PARTITIONS = 3


@dataclass
class World:
    running: Running[Complaint, Owed]
    app: FastAPI
    http: httpx.AsyncClient
    producer: AIOKafkaProducer
    bootstrap: str
    prefix: str
    key_file: Path

    async def ask(
        self, role: Role, method: str, path: str, body: object = None, who: str | None = None, **headers: str
    ) -> httpx.Response:
        token = issue_token(self.key_file, ISSUER, [role], who or f"{role.lower()}-1")
        sent = {"Authorization": f"Bearer {token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, path, json=body, headers=sent)

    async def post(self, body: object, role: Role = Role.UPS, **headers: str) -> httpx.Response:
        return await self.ask(role, "POST", "/v1/complaints", body, **headers)

    async def read(self, case: str, role: Role = Role.INT, **headers: str) -> dict[str, Any]:
        """The complaint once it has been read back."""

        async def there() -> bool:
            answer = await self.ask(role, "GET", f"/v1/complaints/{case}", **headers)
            return answer.status_code == 200

        await until(there)
        return dict((await self.ask(role, "GET", f"/v1/complaints/{case}", **headers)).json())

    async def send(self, event: Mapping[str, Any] | bytes | None, key: str = "key") -> None:
        """Posts to complaints.inbound as an upstream system does."""
        value = event if event is None or isinstance(event, bytes) else json.dumps(event).encode()
        await self.producer.send_and_wait(topic_name(self.prefix, "inbound"), value, key.encode())

    async def published(self, suffix: str) -> list[dict[str, Any]]:
        """Everything that a topic holds now."""
        topic = topic_name(self.prefix, suffix)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            ends = await consumer.end_offsets(parts)
            found: list[dict[str, Any]] = []
            for part in parts:
                while await consumer.position(part) < ends[part]:
                    batch = await consumer.getmany(part, timeout_ms=500)
                    found += [json.loads(record.value) for record in batch.get(part, [])]
            return found
        finally:
            await consumer.stop()

    async def events(self, case: str | UUID) -> list[dict[str, Any]]:
        """What was published about a case, in its order."""
        return [event for event in await self.published("cases") if event["subject"] == str(case)]


@asynccontextmanager
async def running_intake(
    bootstrap: str, prefix: str, dsn: str, keyring_dsn: str, folder: Path
) -> AsyncIterator[World]:
    """The service, ready."""
    key_file, master = folder / "issuer.pem", folder / "master.key"
    master.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    settings = IntakeSettings(
        service="intake",
        kafka_bootstrap=bootstrap,
        pg_dsn=dsn,
        keyring_dsn=keyring_dsn,
        keyring_master_key_file=master,
        oidc_issuer=ISSUER,
        topic_prefix=prefix,
        port=8101,
    )
    running: Running[Complaint, Owed] = Running(BLUEPRINT, settings)
    running.tokens = Tokens(ISSUER, fetch_jwks=_keys_in(key_file))
    app = application(running)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        async with app.router.lifespan_context(app):
            await until(lambda: running.ready)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://intake.test") as http:
                yield World(running, app, http, producer, bootstrap, prefix, key_file)
    finally:
        await producer.stop()


def _keys_in(key_file: Path) -> Any:
    async def fetch() -> Mapping[str, Any]:
        key = signing_key(key_file)
        return {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig"}]}

    return fetch
