"""Acceptance as it runs: one service for all modules here, on the session's Kafka and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.intake.app import BLUEPRINT
from shared.runtime.keyring.migrations import migrate as migrate_keyring
from tests.conftest import Database, Databases
from tests.integration.intake.world import World, running_intake


@pytest.fixture(scope="module")
def migration_folders() -> tuple[Path, ...]:
    return (BLUEPRINT.migrations,)


@pytest.fixture(scope="module")
async def world(
    bootstrap: str,
    prefix: str,
    database: Database,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[World]:
    keyring = await databases.make()
    await migrate_keyring(keyring.owner_dsn)
    folder: Path = tmp_path_factory.mktemp("intake")
    async with running_intake(bootstrap, prefix, database.dsn, keyring.owner_dsn, folder) as running:
        yield running
