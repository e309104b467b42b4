"""The Python parts of a stack: migrated, started, and waited for until they say that they are ready."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from redress.failures import NotRunning
from redress.stack import ports, waiting
from redress.stack.contract import Contract
from redress.stack.parts import Part
from redress.stack.processes import Processes, Program, last_lines, quoted

PATIENCE = 180.0  # a long log is caught up before a service is ready
NEWS_EVERY = 10.0


@dataclass(frozen=True)
class Programs:
    """The issuer and the services of one stack."""

    root: Path
    processes: Processes
    contract: Contract
    say: Callable[[str], None]

    def migrate(self, services: Iterable[Part], *, keyring: bool) -> None:
        """Bring the databases of these services to this build's tables, the keyring's first."""
        if keyring:
            self._finish(
                "keyring-migrate", ("-m", "shared.runtime.keyring", "migrate"), self.contract.of_keyring()
            )
        for part in services:
            command = ("-m", part.module, "migrate")
            self._finish(f"{part.name}-migrate", command, self.contract.of_part(part, owner=True))

    def start(self, part: Part) -> None:
        """Start it; returns before it is ready."""
        port = self.contract.ports[part.name]
        ports.require_free(part.name, port)
        command = [sys.executable, "-m", part.module, "serve"]
        if part.kind == "issuer":
            command += ["--port", str(port)]
        self.processes.start(Program(part.name, command, cwd=self.root, env=self.contract.of_part(part)))

    def wait_ready(self, part: Part) -> None:
        """Wait until it says that it is ready, telling from time to time what it still waits for."""
        url = self.contract.url(part)
        began = told = time.monotonic()

        def decided() -> bool:
            nonlocal told
            if self.processes.find(part.name) is None or (why := unready(url)) is None:
                return True
            if time.monotonic() - told > NEWS_EVERY:
                told = time.monotonic()
                self.say(f"{part.name} is not ready after {told - began:.0f} s: {why}")
            return False

        alive = waiting.until(decided, PATIENCE, 0.1) and self.processes.find(part.name) is not None
        if not alive:
            log = self.processes.log(part.name)
            happened = "is still not ready" if self.processes.find(part.name) else "ended"
            raise NotRunning(
                f"{part.name} {happened} after {time.monotonic() - began:.0f} s. "
                f"The last lines of {log}:\n{quoted(last_lines(log))}",
                "Mend what they name, then run `redress up` again: it starts only what is missing.",
            )

    def _finish(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a short-lived program to its end; what it says goes to a log of its own."""
        log = self.processes.log(name)
        with log.open("wb") as out:
            done = subprocess.run(
                [sys.executable, *arguments],
                stdout=out,
                stderr=out,
                cwd=self.root,
                env=dict(environment),
                check=False,
            )
        if done.returncode != 0:
            raise NotRunning(
                f"`python {' '.join(arguments)}` failed with exit code {done.returncode}. "
                f"The last lines of {log}:\n{quoted(last_lines(log))}",
                "Mend what they name, then run `redress up` again.",
            )


def unready(url: str) -> str | None:
    """Why the program at that address is not ready, in its own words; None when it is."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return None if answer.is_success else _reason(answer)


def _reason(answer: httpx.Response) -> str:
    """What problem details say in words, else the answer as it is."""
    try:
        said = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        said = answer.text
    return " ".join(str(said).split())[:300]
