"""Processes of a stack: started in a session of their own, known by pid files, stopped with patience."""

import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import psutil

from redress.failures import NotRunning

LOG_LIMIT = 20 * 1024 * 1024

# Kept so that a dead child of this very process is collected instead of staying a zombie.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Account:
    """The unprivileged account that a server runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What is started: its name in the stack, its command, and what it is given."""

    name: str
    command: Sequence[str]
    cwd: Path = Path("/")
    env: Mapping[str, str] | None = None
    account: Account | None = None
    output: str = "log"  # suffix of the file that takes what it prints


@dataclass(frozen=True)
class Processes:
    """The processes of one stack, by name."""

    pids: Path
    logs: Path
    say: Callable[[str], None] = field(default=lambda _: None)

    def find(self, name: str) -> psutil.Process | None:
        """The live process of that name; a pid that another program got since is not taken for it."""
        try:
            pid, born = (self.pids / name).read_text().split()
            if child := _children.get(int(pid)):
                child.poll()
            process = psutil.Process(int(pid))
            # Nobody may collect a killed server (in a container without init): a zombie counts as gone.
            alive = process.status() != psutil.STATUS_ZOMBIE and birth(process) == born
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def start(self, program: Program) -> psutil.Process:
        """Start it and remember it; its output goes to its log."""
        log = self.log(program.name, program.output)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(f"{log.name}.1"))
        account = program.account
        with log.open("ab") as out:
            child = subprocess.Popen(
                list(program.command),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd=program.cwd,
                env=None if program.env is None else dict(program.env),
                start_new_session=True,  # Ctrl-C in the terminal must not reach it
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        _children[child.pid] = child
        process = psutil.Process(child.pid)
        (self.pids / program.name).write_text(f"{child.pid} {birth(process)}")
        return process

    def send(self, name: str, sig: Signals) -> bool:
        """Send a signal; False if there is nothing to send it to."""
        process = self.find(name)
        if process is None:
            return False
        process.send_signal(sig)
        return True

    def stop(self, *names: str, sig: Signals = SIGTERM, patience: float = 20.0) -> list[str]:
        """Ask them all to end, once, and kill those that do not within `patience` seconds; those that ran."""
        asked = [
            name for name in names if self.send(name, sig)
        ]  # a second SIGTERM would cut a server's end short
        until = time.monotonic() + patience
        for name in asked:
            if not self.wait_gone(name, until - time.monotonic()):
                self._kill(name, patience)
        for name in names:
            (self.pids / name).unlink(missing_ok=True)
        return asked

    def _kill(self, name: str, patience: float) -> None:
        self.say(f"{name} did not stop within {patience:.0f} s and was killed; see {self.log(name)}")
        self.send(name, SIGKILL)
        if not self.wait_gone(name, 10):
            raise NotRunning(f"{name} cannot be killed; the kernel holds it (a disk that does not answer?).")

    def wait_gone(self, name: str, patience: float) -> bool:
        """Wait until it has ended, at most `patience` seconds."""
        until = time.monotonic() + patience
        while self.find(name):  # not process.wait(): it would wait for a zombie that nobody collects
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        _collect()
        return True

    def log(self, name: str, output: str = "log") -> Path:
        """Where its output goes."""
        return self.logs / f"{name}.{output}"


def _collect() -> None:
    """Takes the exit status of children of this very process that have ended."""
    for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
        del _children[pid]


def last_lines(log: Path, count: int = 12) -> list[str]:
    """The end of a log, for a message to people."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ["(there is no log)"]
    return lines[-count:] or ["(the log is empty)"]


def quoted(lines: Iterable[str]) -> str:
    """Log lines set off from the message that they are part of."""
    return "\n".join(f"    {line[:300]}" for line in lines)


def birth(process: psutil.Process) -> str:
    """What tells this process from a later one with the same pid, whatever happens to the wall clock."""
    try:  # since boot, in ticks: psutil's time of day moves when the machine's clock is set
        return "t" + Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except FileNotFoundError:
        return f"s{process.create_time():.0f}"


def memory(process: psutil.Process) -> int:
    """Bytes that it and its children really take; pages shared among them count once."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            info = each.memory_full_info()
            total += getattr(info, "pss", 0) or info.uss
        except psutil.AccessDenied:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def unprivileged() -> Account | None:
    """As root, the account for servers that refuse to run as root; else nobody special."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
