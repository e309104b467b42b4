"""`redress demo`: the whole thing once, on this machine, from the first complaint to the proof."""

import time
from typing import Any

import typer

from redress.client import Client
from redress.commands import audit, importing, replay
from redress.demonstration.walk import REOPENED, Day, file_to_import
from redress.stack import Stack
from redress.stack.parts import ISSUER, SERVICES
from redress.telling import Say, steps
from shared.runtime.auth import Role

SETTLING = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo() -> None:
    """Start the stack, receive and handle complaints, import history, then replay and verify; leaves it running."""
    began = time.monotonic()
    with steps("starting") as say:
        stack = Stack(say=say)
        stack.up()
        started = time.monotonic()
        day = Day(stack.env, say)
        received = day.receive()
        day.receive_from_the_shop()
        day.handle(received)
        file, what = file_to_import(stack.layout.run)
        say(f"importing {what}: {file.name}")
    importing.import_file(file, "cfpb", as_json=False)
    with steps("settling") as say:
        _settled(stack, say)
    print(f"\nThe case {received[REOPENED].number}, event by event:\n")
    replay.replay(received[REOPENED].number, step=True)
    print("\nThe whole log:\n")
    holds = _verified()
    print("\nThe register:\n")
    _counts(stack)
    _addresses(stack)
    print(
        f"\nup in {started - began:.1f} s, all in {time.monotonic() - began:.1f} s; the stack goes on running"
    )
    raise typer.Exit(holds)


def _verified() -> int:
    """The exit code of the verification, which is then the demonstration's own."""
    try:
        audit.verify(as_json=False)
    except typer.Exit as told:
        return told.exit_code
    return 0


def _settled(stack: Stack, say: Say) -> None:
    """Waits until every service has read everything and owes nothing that is due."""
    end = time.monotonic() + SETTLING
    with Client(stack.env, Role.OPS) as client:
        while time.monotonic() < end:
            states = [client.ask(part.name, "GET", "/v1/operations/state").json() for part in SERVICES]
            if not any(state["lag"] or state["outbox_depth"] or state["marked"] for state in states):
                return
            time.sleep(0.1)
    say("the services have not settled yet; the figures below may lag")


def _counts(stack: Stack) -> None:
    with Client(stack.env, Role.QM) as client:
        answer = client.ask(
            "reporting", "GET", "/v1/register/counts", params={"by": "month,product,channel,state"}
        )
    told: dict[str, Any] = answer.json()
    print(f"  {told['total']} complaints")
    for dimension, table in told["by"].items():
        rows = sorted(table["rows"], key=lambda row: -row["count"])
        shown = [f"{row['value'] or 'not stated'} {row['count']}" for row in rows[:8]]
        print(f"  by {dimension}: {', '.join(shown)}{', …' if len(rows) > 8 else ''}")


def _addresses(stack: Stack) -> None:
    contract = stack.contract()
    print("\nAddresses:\n")
    for part in (ISSUER, *SERVICES):
        print(f"  {part.name:<10}  {contract.url(part)}")
