"""One whole stack for all journeys, started as an operator would; every connection of its processes is written down."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redress.client import Client
from redress.stack import Stack
from shared.runtime.auth import Role

AUDITED = Path(__file__).parent / "audited"


@pytest.fixture(scope="session")
def connections() -> Iterator[Path]:
    """The folder with one file per process of the stack: `host port` lines."""
    with tempfile.TemporaryDirectory(prefix="redress-connections-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def stack(connections: Path) -> Iterator[Stack]:
    """The stack of all journeys: servers, issuer and services."""
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(AUDITED), before.get("PYTHONPATH")]))
    os.environ["AUDITED_CONNECTIONS"] = str(connections)
    stack = throw_away_stack()
    try:
        stack.up()
        yield stack
    finally:
        stack.destroy()
        os.environ.clear()
        os.environ.update(before)


def throw_away_stack() -> Stack:
    """A stack of its own in a folder of its own, without the disk's promise."""
    run = Path(tempfile.mkdtemp(prefix="redress-stack-"))
    run.chmod(0o755)  # PostgreSQL runs as another account where the tests run as root
    return Stack(run, durable=False)


@pytest.fixture(scope="session")
def caller(stack: Stack) -> Iterator[Callable[..., Client]]:
    """Makes callers in a role of the journey stack."""
    made: list[Client] = []

    def call(role: Role, sub: str | None = None) -> Client:
        made.append(Client(stack.env, role, sub))
        return made[-1]

    yield call
    for client in made:
        client.close()
