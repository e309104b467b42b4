"""A database with the tables of handling."""

from pathlib import Path

import pytest

from services.processing.app import BLUEPRINT


@pytest.fixture(scope="module")
def migration_folders() -> tuple[Path, ...]:
    return (BLUEPRINT.migrations,)
