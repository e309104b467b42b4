"""`redress explain CASE FIELD`: which event gave a field its value, by whom and why."""

from typing import Annotated
from urllib.parse import quote

import typer

from redress.client import Client
from redress.commands.replay import step_lines, text
from redress.failures import WrongUse
from shared.runtime.auth import Role

NOT_FOUND = 404


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    case: Annotated[str, typer.Argument(help="The complaint's id or case number.")],
    field: Annotated[
        str, typer.Argument(help="Such as course.stage, record.channel, clocks.final-answer.due.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Name the event that set a field last."""
    path = f"/v1/cases/{quote(case, safe='')}/explanation/{quote(field, safe='')}"
    with Client.of_this_machine(Role.AUD) as client:
        answer = client.ask("reporting", "GET", path, accept=(NOT_FOUND,))
    if answer.status_code == NOT_FOUND:
        known = answer.json().get("known")
        if not known:
            raise WrongUse(f"there is no case {case}", "give the complaint's id or its case number")
        raise WrongUse(f"the case has no field {field}", f"it has {', '.join(known)}")
    if as_json:
        print(answer.text)
        return
    told = answer.json()
    print(f"{told['field']} = {text(told['value'])}")
    if told["step"] is None:
        print("no event has set it: every case begins like this")
        return
    print(f"before: {text(told['before'])}; set {told['times']} times, last by")
    print("\n".join(step_lines(told["step"])))
