"""Tests that need the published case files are left out where these are not, and how many is said."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
_LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, not skip: in CI a skipped test is a failure, and a missing file is none."""
    if DATA.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("data")]
    config.stash[_LEFT_OUT] = len(left_out)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say it in a line of its own, because the number of deselected tests alone has other reasons too."""
    if count := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{count} tests left out: they need the files of {DATA}, which is not there"
        )
