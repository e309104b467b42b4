"""Processes are known by pid and birth, and stopped with an end to patience."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redress.stack.layout import Layout
from redress.stack.processes import Processes, Program, last_lines

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""

COUNTING = """
import signal, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print("ready", flush=True)
while not asked:
    time.sleep(0.01)
time.sleep(0.2)
print("asked", len(asked), "times", flush=True)
"""


@pytest.fixture
def told() -> list[str]:
    """What people were told."""
    return []


@pytest.fixture
def processes(tmp_path: Path, told: list[str]) -> Iterator[Processes]:
    """Processes of a stack that is gone after the test."""
    layout = Layout(tmp_path)
    layout.make()
    some = Processes(layout.pids, layout.logs, told.append)
    yield some
    for file in layout.pids.iterdir():
        some.stop(file.name, sig=signal.SIGKILL)


def start(processes: Processes, name: str, code: str) -> int:
    """A Python program of that code."""
    return processes.start(Program(name, (sys.executable, "-c", code))).pid


def wait_for_line(processes: Processes, name: str) -> None:
    """Wait until it has said something: from here on it is as the test wants it."""
    with subprocess.Popen(["tail", "-f", "-n", "+1", processes.log(name)], stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        tail.stdout.readline()
        tail.kill()


def test_a_started_process_is_found_by_any_later_command(processes: Processes) -> None:
    pid = start(processes, "one", "import time; time.sleep(60)")
    later = Processes(processes.pids, processes.logs).find("one")
    assert later is not None
    assert later.pid == pid


def test_a_pid_that_another_program_got_since_is_not_taken_for_ours(processes: Processes) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (processes.pids / "one").write_text(f"{stranger.pid} t1")
        assert processes.find("one") is None
        assert not processes.stop("one")
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_a_killed_process_that_nobody_collects_counts_as_gone(processes: Processes) -> None:
    code = "import os, time\nif os.fork(): time.sleep(60)"
    start(processes, "parent", code)
    processes.send("parent", signal.SIGKILL)
    assert processes.wait_gone("parent", 10)


def test_a_program_that_will_not_stop_is_killed_and_told(processes: Processes, told: list[str]) -> None:
    start(processes, "deaf", STUBBORN)
    wait_for_line(processes, "deaf")
    assert processes.stop("deaf", patience=0.3) == ["deaf"]
    assert processes.find("deaf") is None
    assert "did not stop within" in told[0]


def test_the_output_of_a_program_is_its_log(processes: Processes) -> None:
    start(processes, "brief", "print('first'); print('last')")
    assert processes.wait_gone("brief", 10)
    assert last_lines(processes.log("brief"), 1) == ["last"]


def test_a_missing_or_empty_log_is_said_to_be_so(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log") == ["(there is no log)"]
    (tmp_path / "empty.log").touch()
    assert last_lines(tmp_path / "empty.log") == ["(the log is empty)"]


def test_a_large_log_makes_room_at_the_next_start(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redress.stack.processes.LOG_LIMIT", 3)
    processes.log("brief").write_text("of an earlier run\n")
    start(processes, "brief", "print('new')")
    assert processes.wait_gone("brief", 10)
    assert processes.log("brief").read_text() == "new\n"
    assert processes.log("brief", "log.1").read_text() == "of an earlier run\n"


def test_a_program_is_asked_to_stop_once(processes: Processes) -> None:
    start(processes, "counting", COUNTING)
    wait_for_line(processes, "counting")
    processes.stop("counting")
    assert processes.log("counting").read_text() == "ready\nasked 1 times\n"
