"""The command says what was wrong and what to do, with the exit code that a caller relies on."""

import subprocess
import sys
from pathlib import Path

import pytest

from redress import cli
from redress.failures import ExitCode, Failure, NotRunning, WrongUse
from redress.stack.layout import REPOSITORY


def run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int:
    """The exit code of a command that ends like this."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(cli, "register_all", lambda: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("failure", "code"),
    [(Failure("it differs"), 1), (WrongUse("no such case"), 2), (NotRunning("Kafka is away"), 3)],
)
def test_each_failure_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Failure, code: int
) -> None:
    assert run(monkeypatch, failure) == code
    assert failure.what in capsys.readouterr().err


def test_what_to_do_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch, NotRunning("Kafka is away.", "Run `redress up`."))
    assert "What to do: Run `redress up`." in capsys.readouterr().err


def test_the_unforeseen_is_kept_in_a_log_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("REDRESS_RUN", str(tmp_path))
    assert run(monkeypatch, ZeroDivisionError("by nought")) == ExitCode.CHECK_FAILED
    told = capsys.readouterr().err
    assert "by nought" in told
    assert "Traceback" not in told
    assert "Traceback" in (tmp_path / "logs" / "redress.log").read_text()


def test_wrong_use_and_nothing_running(tmp_path: Path) -> None:
    def code(*arguments: str) -> int:
        command = [sys.executable, "-m", "redress", *arguments]
        environment = {"REDRESS_RUN": str(tmp_path), "PATH": ""}
        return subprocess.run(
            command, env=environment, cwd=REPOSITORY, capture_output=True, check=False
        ).returncode

    assert (code("--help"), code("up", "--sideways"), code("status")) == (0, 2, 3)
