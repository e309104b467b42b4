"""`redress rebuild SERVICE [PROJECTION]`: read models made anew from the log, beside the live ones."""

import importlib
import os
import subprocess
import sys
from typing import Annotated

import typer

from redress.client import environment
from redress.failures import ExitCode, Failure, WrongUse
from redress.stack.layout import REPOSITORY
from redress.stack.parts import SERVICES


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rebuild)


def rebuild(
    service: Annotated[str, typer.Argument(help="The service whose projections are made anew.")],
    projection: Annotated[str | None, typer.Argument(help="One of them; all if not said.")] = None,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="Put the new one in place although it differs.")
    ] = False,
) -> None:
    """Make a service's projections anew from the log while it goes on answering from the old ones."""
    names = [projection] if projection else projections_of(service)
    values = {**os.environ, **environment()}
    more = ["--accept-differences"] if accept_differences else []
    for name in names:
        command = [sys.executable, "-m", f"services.{service_named(service)}", "rebuild", name, *more]
        code = subprocess.run(command, cwd=REPOSITORY, env=values, check=False).returncode
        if code == ExitCode.WRONG_USE:
            raise typer.Exit(ExitCode.WRONG_USE)
        if code:
            remedy = "the live one stays in place; see what is said above"
            raise Failure(f"{name} of {service} was not made anew", remedy)


def service_named(name: str) -> str:
    """The service, if there is one of that name."""
    known = [part.name for part in SERVICES]
    if name not in known:
        raise WrongUse(f"there is no service {name}", f"choose one of {', '.join(known)}")
    return name


def projections_of(service: str) -> list[str]:
    """The names of the service's projections."""
    blueprint = importlib.import_module(f"services.{service_named(service)}.app").BLUEPRINT
    return [projection.name for projection in blueprint.projections]
