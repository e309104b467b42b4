"""A database with two small projections, and a partition of its own for every test."""

from pathlib import Path

import pytest

from shared.runtime.postgres import Pool
from tests.integration.runtime.world import World, tables_in


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tables_in(tmp_path_factory.mktemp("notes"))


@pytest.fixture(scope="module")
def migration_folders(tables: Path) -> tuple[Path, ...]:
    return (tables,)


@pytest.fixture
async def world(pool: Pool) -> World:
    return await World(pool).open()
