"""`redress import FILE --profile NAME`: a source's file becomes history, row by row, and again without harm."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from redress import profiles
from redress.client import Client
from redress.failures import ExitCode, Failure, NotRunning, WrongUse
from redress.profiles.batches import batches
from redress.profiles.rows import rows_of
from shared.runtime.auth import Role

NEWS_EVERY = 60.0
PATIENCE = 180.0
MOST_LISTED = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


@dataclass
class Result:
    """What became of the rows so far; changes and refusals name the rows and what is different or wrong in them."""

    rows: int = 0
    new: int = 0
    known: int = 0
    changed: int = 0
    refused: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def add(self, answer: dict[str, Any]) -> None:
        self.rows += len(answer["rows"])
        for name in ("new", "known", "changed", "refused"):
            setattr(self, name, getattr(self, name) + answer[name])
        self.changes += [row for row in answer["rows"] if row["result"] == "changed"]
        self.refusals += [row for row in answer["rows"] if row["result"] == "refused"]

    def sentence(self) -> str:
        return (
            f"{self.rows} rows: {self.new} new, {self.known} known, {self.changed} changed, "
            f"{self.refused} refused"
        )


def import_file(
    file: Annotated[Path, typer.Argument(help="A CSV or NDJSON file.")],
    profile: Annotated[str, typer.Option(help="A shipped profile, such as cfpb, or a TOML file.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="The last line is one JSON object with the result.")
    ] = False,
) -> None:
    """Import a source's complaints as history. Rows that were imported before are known; changes are named."""
    if not file.is_file():
        raise WrongUse(f"there is no file {file}")
    mapped = profiles.load(profile)
    result, stop = Result(), Stop()
    with Client.of_this_machine(Role.INT) as client, stop.on_interrupt(), _progress(file) as tell:
        for rows in batches(rows_of(file, mapped)):
            result.add(_sent(client, mapped.origin, rows))
            tell(result)
            if stop.wanted:
                break
    _report(result, as_json)
    if stop.wanted:
        raise Stopped(
            f"stopped after {result.rows} rows", "Run it again: what was imported is known by then."
        )


class Stopped(Failure):
    """The caller interrupted the command between two requests."""

    code = ExitCode.CHECK_FAILED


class Stop:
    """Whether the caller wants to stop: the request in hand is finished first, a second ^C does not wait for it."""

    def __init__(self) -> None:
        self.wanted = False

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        before = signal.signal(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupted(self, _: int, __: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


def _sent(client: Client, origin: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to one request; a service that restarts meanwhile is waited for: the same rows do no harm."""
    end, pause = time.monotonic() + PATIENCE, 0.2
    while True:
        try:
            body = {"origin": origin, "rows": rows}
            answer = client.ask("intake", "POST", "/v1/imports", json=body, accept=(503, 409))
            if answer.is_success:
                return dict(answer.json())
            problem = NotRunning("intake does not take rows at the moment", answer.json().get("detail", ""))
        except NotRunning as away:
            problem = away
        if time.monotonic() > end:
            raise problem
        time.sleep(pause)
        pause = min(5.0, pause * 2)


@contextmanager
def _progress(file: Path) -> Iterator[Any]:
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Lines(console).tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("importing", total=_lines_of(file) - 1)
        yield lambda result: progress.update(task, completed=result.rows)
        progress.update(task, total=progress.tasks[0].completed)


class _Lines:
    """One line a minute."""

    def __init__(self, console: Console) -> None:
        self._console, self._told = console, time.monotonic()

    def tell(self, result: Result) -> None:
        if time.monotonic() - self._told >= NEWS_EVERY:
            self._told = time.monotonic()
            self._console.print(result.sentence(), markup=False)


def _lines_of(file: Path) -> int:
    """As many rows as there can be; a row may take several lines."""
    with file.open("rb") as opened:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: opened.read(1 << 20), b""))


def _report(result: Result, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(result)))
        return
    print(result.sentence())
    for row in result.changes[:MOST_LISTED]:
        print(f"line {row['line']}  changed  {', '.join(row['changed'])}  {row['case_id']}")
    for row in result.refusals[:MOST_LISTED]:
        print(f"line {row['line']}  refused  {row['field']}: {row['reason']}")
    left = max(0, len(result.changes) - MOST_LISTED) + max(0, len(result.refusals) - MOST_LISTED)
    if left:
        print(f"… and {left} more; `--json` lists them all")
