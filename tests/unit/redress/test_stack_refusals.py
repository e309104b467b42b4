"""What the stack refuses before it starts anything."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from redress.failures import NotRunning
from redress.stack import Stack, stack


def test_a_full_disk_is_told_before_a_server_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack.shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    full = Stack(tmp_path)
    with pytest.raises(NotRunning, match="Only 5 MB are free") as told:
        full.up_servers()
    assert "REDRESS_RUN=" in told.value.remedy
    assert not list(full.layout.pids.iterdir())


def test_without_a_stack_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="There is no stack"):
        Stack(tmp_path).contract()


def test_a_part_that_does_not_run_cannot_be_killed(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="kafka is not running"):
        Stack(tmp_path).kill("kafka")


def test_stopping_what_was_never_started_is_no_fault(tmp_path: Path) -> None:
    Stack(tmp_path).down()


def test_reading_a_stack_changes_none_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("PORT_KAFKA=20001\n")
    assert Stack(tmp_path).env["KAFKA_BOOTSTRAP"] == "127.0.0.1:20001"
    assert [path.name for path in tmp_path.iterdir()] == ["env"]
