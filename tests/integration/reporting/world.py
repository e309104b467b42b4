"""Reporting as it runs, on a real Kafka and a real PostgreSQL; the other services are played by a log."""

import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from redress.issuer.keys import signing_key
from redress.issuer.tokens import issue_token
from services.reporting.app import BLUEPRINT
from shared.case import Case
from shared.runtime.auth import Role, Tokens
from shared.runtime.keyring import PostgresKeyring, open_keyring
from shared.runtime.running import Running
from shared.runtime.service import application
from shared.runtime.settings import RuntimeSettings
from tests.integration.reporting.log import Log
from tests.waiting import until

ISSUER = "http://issuer.test"


@dataclass
class Reporting:
    """The running service, its log, and whoever asks it."""

    running: Running[Case, Any]
    app: FastAPI
    http: httpx.AsyncClient
    log: Log
    keyring: PostgresKeyring
    key_file: Path

    async def ask(
        self, path: str, role: Role = Role.AUD, method: str = "GET", body: object = None, **more: Any
    ) -> httpx.Response:
        """The answer to somebody in the role; more are parameters of the address."""
        token = issue_token(self.key_file, ISSUER, [role], more.pop("sub", f"{role.lower()}-1"))
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return await self.http.request(method, path, json=body, headers=headers, params=more)

    async def told(self, path: str, role: Role = Role.AUD, **more: Any) -> dict[str, Any]:
        """The answer's content."""
        answer = await self.ask(path, role, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def reads(self, *cases: UUID) -> None:
        """Waits until all that was published about the cases has been read."""
        wanted = ",".join(
            f"{publisher}:{case}:{last}"
            for (case, publisher), last in self.log.numbers.items()
            if case in cases
        )
        case = cases[0]

        async def fresh() -> bool:
            answer = await self.ask(f"/v1/cases/{case}/replay", headers={"Redress-Token": wanted})
            return answer.status_code == 200 and bool(answer.json()["freshness"]["fresh"])

        await until(fresh)


@asynccontextmanager
async def reporting(
    bootstrap: str, prefix: str, dsn: str, keyring_dsn: str, folder: Path
) -> AsyncIterator[Reporting]:
    """The service, ready."""
    key_file, master_file = folder / "issuer.pem", folder / "master.key"
    master = secrets.token_bytes(32)
    master_file.write_text(base64.b64encode(master).decode())
    running: Running[Case, Any] = Running(
        BLUEPRINT,
        RuntimeSettings(
            service="reporting",
            kafka_bootstrap=bootstrap,
            pg_dsn=dsn,
            keyring_dsn=keyring_dsn,
            keyring_master_key_file=master_file,
            oidc_issuer=ISSUER,
            topic_prefix=prefix,
            port=8105,
        ),
    )
    running.tokens = Tokens(ISSUER, fetch_jwks=_keys_in(key_file))
    app = application(running)
    keyring = await open_keyring(keyring_dsn, master, "test")
    try:
        async with app.router.lifespan_context(app):
            await until(lambda: running.ready)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://reporting.test") as http:
                log = Log(bootstrap, prefix, running.parts.pool)
                yield Reporting(running, app, http, log, keyring, key_file)
    finally:
        await keyring.close()


def _keys_in(key_file: Path) -> Any:
    async def fetch() -> Mapping[str, Any]:
        key = signing_key(key_file)
        return {"keys": [{**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig"}]}

    return fetch
