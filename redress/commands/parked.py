"""`redress parked list|show|release`: cases that rest until somebody has looked at them."""

import json
from typing import Annotated

import typer

from redress.client import Client
from redress.commands.rebuild import service_named
from redress.stack.parts import SERVICES
from shared.runtime.auth import Role

parked = typer.Typer(
    help="Cases that are accepted and stored, but not folded any more.", no_args_is_help=True
)
Service = Annotated[str | None, typer.Option(help="One service; all if not said.")]
Case = Annotated[str, typer.Argument(help="The complaint's id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(parked, name="parked")


@parked.command(name="list")
def list_parked(service: Service = None) -> None:
    """List what is parked, where and why."""
    count = 0
    with Client.of_this_machine(Role.OPS) as client:
        for name in _asked(service):
            for item in client.ask(name, "GET", "/v1/parked").json()["items"]:
                count += 1
                print(
                    f"{name}  "
                    + "  ".join(f"{key}={value}" for key, value in item.items() if value is not None)
                )
    print(f"{count} parked")


@parked.command()
def show(case: Case, service: Service = None) -> None:
    """Show why a case is parked, with the records kept for it."""
    with Client.of_this_machine(Role.OPS) as client:
        for name in _asked(service):
            answer = client.ask(name, "GET", f"/v1/parked/{case}", accept=(404,))
            if answer.is_success:
                print(json.dumps({"service": name, **answer.json()}, indent=2, ensure_ascii=False))
            else:
                print(f"{name}: not parked")


@parked.command()
def release(case: Case, service: Service = None) -> None:
    """Try again to fold a case from its accepted events; nothing is skipped."""
    with Client.of_this_machine(Role.OPS) as client:
        for name in _asked(service):
            answer = client.ask(name, "POST", f"/v1/parked/{case}/release", accept=(404,))
            said = json.dumps(answer.json(), ensure_ascii=False) if answer.is_success else "not parked"
            print(f"{name}: {said}")


def _asked(service: str | None) -> list[str]:
    return [service_named(service)] if service else [part.name for part in SERVICES]
