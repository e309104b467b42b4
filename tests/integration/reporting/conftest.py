"""A database with reporting's tables, and the service itself for those who ask it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.reporting.app import BLUEPRINT
from shared.runtime.keyring.migrations import migrate as migrate_keyring
from tests.conftest import Database, Databases
from tests.integration.reporting.world import Reporting, reporting


@pytest.fixture(scope="module")
def migration_folders() -> tuple[Path, ...]:
    return (BLUEPRINT.migrations,)


@pytest.fixture(scope="module")
async def service(
    bootstrap: str,
    prefix: str,
    database: Database,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Reporting]:
    keyring = await databases.make()
    await migrate_keyring(keyring.owner_dsn)
    folder = tmp_path_factory.mktemp("reporting")
    async with reporting(bootstrap, prefix, database.dsn, keyring.owner_dsn, folder) as running:
        yield running
