"""`redress submit FILE`: complaints from a JSON file, posted as a person at the acceptance desk would."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from redress.client import Client
from redress.failures import WrongUse
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit)


def submit(
    file: Annotated[Path, typer.Argument(help="A complaint, a list of them, or one a line (NDJSON).")],
    as_json: Annotated[
        bool, typer.Option("--json", help="The last line is one JSON object with the result.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="New complaints even if this file was submitted before.")
    ] = False,
) -> None:
    """Post complaints over HTTP and show their case numbers. The same file again is known."""
    answers = []
    with Client.of_this_machine(Role.INT) as client:
        for number, complaint in enumerate(complaints_in(file)):
            answer = _posted(client, complaint, number, anew)
            answers.append(answer)
            if not as_json:
                changed = f" ({', '.join(answer['changed'])})" if answer["changed"] else ""
                print(f"{answer['case_number']}  {answer['result']}{changed}  {answer['case_id']}")
    if as_json:
        print(json.dumps({"submitted": len(answers), "complaints": answers}))


def complaints_in(file: Path) -> list[dict[str, Any]]:
    """The complaints of a file. Raises WrongUse."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{file} cannot be read: {type(error).__name__}") from None
    try:
        found = json.loads(text)
    except ValueError:
        found = _lines(file, text)
    complaints = found if isinstance(found, list) else [found]
    if not all(isinstance(complaint, dict) for complaint in complaints):
        raise WrongUse(f"{file} holds something that is no complaint", "A complaint is a JSON object.")
    return complaints


def _lines(file: Path, text: str) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise WrongUse(f"{file} is neither JSON nor NDJSON: {error}") from None


def _posted(client: Client, complaint: dict[str, Any], number: int, anew: bool) -> dict[str, Any]:
    """The answer to one complaint. One with a reference of its source is known by that, others by their content."""
    content = json.dumps(complaint, sort_keys=True)
    digest = hashlib.sha256(f"{number}:{content}".encode()).hexdigest()
    key = str(fresh_id()) if anew else f"submit-{digest}"
    headers = {} if "source_reference" in complaint else {"Idempotency-Key": key}
    answer = client.ask("intake", "POST", "/v1/complaints", json=complaint, headers=headers)
    return dict(answer.json())
