"""`redress audit verify`: the ledger against the topics, byte by byte and chain by chain."""

import json
import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from redress.client import Client
from redress.failures import ExitCode, NotRunning
from shared.runtime.auth import Role

SHOWN = 100
A_MINUTE = 60.0
audit = typer.Typer(help="Prove that nothing in the log is missing or altered.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(audit, name="audit")


@audit.callback()
def _audit() -> None:
    """Keeps verify a subcommand while it is the only one."""


@audit.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="The last line is one JSON object.")] = False,
) -> None:
    """Compare every record of the log with the ledger, both ways; exit 1 and name what does not hold."""
    with (
        Client.of_this_machine(Role.AUD) as client,
        client.stream("reporting", "POST", "/v1/verification") as answer,
    ):
        result = followed(json.loads(line) for line in answer.iter_lines() if line)
    print(json.dumps(result, ensure_ascii=False) if as_json else "\n".join(told(result)))
    raise typer.Exit(ExitCode.DONE if result["holds"] else ExitCode.CHECK_FAILED)


def followed(lines: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The result, which is the last line; what comes before it is shown as progress."""
    console = Console(stderr=True)
    columns = TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        bar, told = shown.add_task("verifying", total=None), time.monotonic()
        for line in lines:
            if "result" in line:
                return dict(line["result"])
            if "error" in line:
                raise NotRunning(f"the verification broke off ({line['error']})", "look into reporting's log")
            progress = line["progress"]
            shown.update(bar, completed=progress["records"], total=progress["of"])
            if not console.is_terminal and time.monotonic() - told >= A_MINUTE:
                told = time.monotonic()
                print(
                    f"{progress['records']} of {progress['of']} records, {progress['findings']} findings",
                    file=sys.stderr,
                )
    raise NotRunning("the verification broke off without a result", "look into reporting's log")


def told(result: dict[str, Any]) -> list[str]:
    """The result for people: figures, the verdict, and as many findings as can be read."""
    head = (
        f"{result['records']} records in {result['partitions']} partitions, {result['events']} events of"
        f" {result['cases']} cases, {result['bytes']} bytes, {result['seconds']:.1f} s"
    )
    if result["holds"]:
        return [
            head,
            "The ledger holds: every record is there, unaltered, in its place, and every chain is whole.",
        ]
    shown = [found["text"] for found in result["findings"][:SHOWN]]
    more = result["findings_total"] - len(shown)
    return [
        head,
        f"The ledger does NOT hold: {result['findings_total']} findings",
        *shown,
        *([f"... and {more} more (--json lists up to 1000)"] if more else []),
    ]
