"""`redress up`, `down` and `status`: the stack of this machine."""

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from redress.stack import Stack
from redress.stack.parts import ISSUER, SERVICES
from redress.stack.status import PartStatus, exit_code
from redress.stack.status import status as parts_of
from redress.telling import steps


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up() -> None:
    """Start whatever of the stack is not running, and wait until it is ready."""
    with steps("starting") as say:
        stack = Stack(say=say)
        stack.up()
    contract = stack.contract()
    print(f"front door  {contract.url(ISSUER)}")
    for part in SERVICES:
        print(f"{part.name:<10}  {contract.url(part)}")
    print(f"addresses   {stack.layout.env}")


def down() -> None:
    """Stop the stack; its state stays and the next `up` goes on from there."""
    with steps("stopping") as say:
        Stack(say=say).down()
    print("down")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Show each part's health, version and memory, and each service's positions and queues."""
    stack = Stack()
    parts = parts_of(stack)
    if as_json:
        print(
            json.dumps({"run": str(stack.layout.run), "parts": [dataclasses.asdict(part) for part in parts]})
        )
    else:
        console = Console(highlight=False)
        if not console.is_terminal:  # a file or a pipe has no width of its own
            console.width = 200
        console.print(_processes(parts))
        if services := [part for part in parts if part.state]:
            console.print(_work(services))
    raise typer.Exit(exit_code(parts))


def _processes(parts: list[PartStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("part", "health", "pid", "version", "MB", "address", ""):
        table.add_column(heading, overflow="fold")
    for part in parts:
        size = "" if part.memory_mb is None else str(part.memory_mb)
        pid = "" if part.pid is None else str(part.pid)
        table.add_row(part.name, part.health, pid, part.version, size, part.address, part.detail)
    return table


def _work(services: list[PartStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    headings = ("service", "position", "lag", "outbox", "oldest s", "parked", "owed", "stuck", "fresh")
    for heading in headings:
        table.add_column(heading)
    for service in services:
        state = service.state
        fresh = "catching up" if state.get("catching_up") else _short(state.get("fresh"))
        names = ("positions", "lag", "outbox_depth", "outbox_oldest_seconds", "parked", "owed", "stuck")
        table.add_row(service.name, *(_short(state.get(name)) for name in names), fresh)
    return table


def _short(value: Any) -> str:
    """A figure for a cell; of figures per partition, their sum."""
    if isinstance(value, dict):
        return str(sum(_number(inner) for inner in value.values()))
    if isinstance(value, list):
        return str(len(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return "" if value is None else str(value)


def _number(value: Any) -> int | float:
    if isinstance(value, dict):
        return sum(map(_number, value.values()))
    return value if isinstance(value, int | float) else 0
