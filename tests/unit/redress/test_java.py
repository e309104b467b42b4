"""The broker's Java: the machine's own if new enough, else the wheel, else a clear word."""

from pathlib import Path

import pytest

from redress.failures import NotRunning
from redress.stack import java


def program(folder: Path, version: str) -> Path:
    """A Java that only says its version."""
    folder.mkdir(parents=True)
    path = folder / "java"
    path.write_text(f"""#!/bin/sh\necho 'openjdk version "{version}" 2025-01-01' >&2\n""")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java and without the wheel."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(java, "of_the_wheel", lambda: None)


def test_java_home_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = program(tmp_path / "home" / "bin", "21.0.2")
    other = program(tmp_path / "path", "17.0.1")
    monkeypatch.setenv("PATH", f"{other.parent}:/bin")
    assert java.java() == other
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert java.java() == home


def test_an_old_java_is_passed_over_for_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{program(tmp_path / 'path', '1.8.0_402').parent}:/bin")
    monkeypatch.setattr(java, "of_the_wheel", lambda: tmp_path / "wheel")
    assert java.java() == tmp_path / "wheel"


def test_no_java_at_all_is_told_with_what_to_do() -> None:
    with pytest.raises(NotRunning, match="Java 17") as told:
        java.java()
    assert "make setup" in told.value.remedy
    assert not java.is_there()
