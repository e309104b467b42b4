"""A database with the tables of handling, and the service on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.processing.app import BLUEPRINT
from shared.runtime.keyring.migrations import migrate as migrate_keyring
from tests.conftest import Database, Databases
from tests.integration.processing.world import Handling, handling


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
) -> AsyncIterator[Handling]:
    keyring = await databases.make()
    await migrate_keyring(keyring.owner_dsn)
    folder: Path = tmp_path_factory.mktemp("handling")
    async with handling(bootstrap, prefix, database.dsn, keyring.owner_dsn, folder) as running:
        yield running
