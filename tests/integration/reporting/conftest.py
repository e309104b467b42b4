"""A database with reporting's tables."""

from pathlib import Path

import pytest

import services.reporting


@pytest.fixture(scope="module")
def migration_folders() -> tuple[Path, ...]:
    return (Path(services.reporting.__file__).with_name("migrations"),)
