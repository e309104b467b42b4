"""How progress is told: a moving line on a terminal, plain lines otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

Say = Callable[[str], None]


@contextmanager
def steps(what: str) -> Iterator[Say]:
    """A function that tells each step, and shows on a terminal that something still goes on."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield lambda text: console.print(text, markup=False)
        return
    with console.status(what) as moving:

        def say(text: str) -> None:
            console.print(text, markup=False)
            moving.update(text)

        yield say
