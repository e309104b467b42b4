"""The `redress` command: every module of `redress.commands` adds its own subcommands."""

import importlib
import pkgutil
import sys
import traceback

import typer
from rich.console import Console
from rich.text import Text

from redress import commands
from redress.failures import ExitCode, Failure
from redress.stack.layout import Layout, chosen_run

app = typer.Typer(
    name="redress",
    help="Complaints that are handled, replayed and proven from the log.",
    epilog="Exit codes: 0 done, 1 a check did not hold, 2 wrong use, 3 not running or not reachable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def register_all() -> None:
    """Let each module below `redress.commands` that has a `register` add what it offers."""
    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        register = getattr(importlib.import_module(f"{commands.__name__}.{module.name}"), "register", None)
        if register is not None:
            register(app)


def main() -> None:
    """Run the command; whatever goes wrong is told in words, with its exit code."""
    register_all()
    try:
        app()
    except Failure as failure:
        tell(failure)
        sys.exit(failure.code)
    except Exception as error:  # noqa: BLE001 - the last resort: a person must not be shown a traceback
        log = _keep(error)
        tell(
            Failure(
                f"{type(error).__name__}: {error}", f"This was not foreseen; what happened in full: {log}"
            )
        )
        sys.exit(ExitCode.CHECK_FAILED)


def tell(failure: Failure) -> None:
    """Say what was wrong and what to do about it."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("redress: ", "bold red") + Text(failure.what))
    if failure.remedy:
        console.print(Text(f"What to do: {failure.remedy}"))


def _keep(error: Exception) -> str:
    layout = Layout(chosen_run())
    layout.make()
    log = layout.logs / "redress.log"
    with log.open("a") as file:
        traceback.print_exception(error, file=file)
    return str(log)
