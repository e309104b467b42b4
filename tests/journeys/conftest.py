"""One whole stack for all journeys, started as an operator would; every connection of its processes is written down."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from redress.client import Client
from redress.stack import Stack
from shared.runtime.auth import Role
from tests.journeys.acting import Member

HERE = Path(__file__).parent
AUDITED = HERE / "audited"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a minute of real time comes last of the journeys: the others run meanwhile."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    late = [item for item in ours if "erased" in getattr(item, "fixturenames", ())]
    if late:
        order = iter([*(item for item in ours if item not in late), *late])
        items[:] = [next(order) if item in ours else item for item in items]


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
    """Makes callers in a role of the journey stack, of all units or of those named."""
    made: list[Client] = []

    def call(role: Role, sub: str | None = None, units: Sequence[str] = ()) -> Client:
        made.append(Member(stack.env, role, sub or f"{role.lower()}-journey", units))
        return made[-1]

    yield call
    for client in made:
        client.close()
