"""`redress replay CASE`: the case at any instant, and event by event."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from redress.client import Client
from redress.failures import WrongUse
from shared.runtime.auth import Role

Instant = Annotated[str | None, typer.Option(help="An instant such as 2026-03-02T12:00:00Z or 2026-03-02.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    case: Annotated[str, typer.Argument(help="The complaint's id or case number.")],
    as_of: Instant = None,
    as_known_at: Instant = None,
    step: Annotated[
        bool, typer.Option("--step", help="Tell every event: who, when, what, and what it changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Show a case as it is, as it happened at an instant, or as it was known at one."""
    asked = {"as_of": instant(as_of), "as_known_at": instant(as_known_at), "step": str(step).lower()}
    with Client.of_this_machine(Role.AUD) as client:
        path = f"/v1/cases/{quote(case, safe='')}/replay"
        answer = client.ask(
            "reporting", "GET", path, params={name: value for name, value in asked.items() if value}
        )
    if as_json:
        print(answer.text)
        return
    told = answer.json()
    for one in told.get("steps", ()):
        print("\n".join(step_lines(one)))
    print("\n".join(state_lines(told)))


def instant(text: str | None) -> str | None:
    """An instant as the API takes it; a day alone is its first moment in UTC."""
    if text is None:
        return None
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{text} is no instant", "write it like 2026-03-02T12:00:00Z") from None
    return (said if said.tzinfo else said.replace(tzinfo=UTC)).isoformat()


def step_lines(step: dict[str, Any]) -> list[str]:
    """One event: its head, what it changed, and what its decision did not know."""
    who = step["who"]
    behalf = f" for {who['on_behalf_of']}" if who["on_behalf_of"] else ""
    occurred = "" if step["occurred_at"] == step["recorded_at"] else f", occurred {step['occurred_at']}"
    lines = [
        f"{step['number']:>3}  {step['recorded_at']}{occurred}  {who['id']} ({who['role']}, {who['kind']}){behalf}",
        f"     {step['sentence']['de']}  |  {step['sentence']['en']}",
    ]
    lines += [
        f"       {change['field']}: {text(change['before'])} → {text(change['after'])}"
        for change in step["changes"]
    ]
    if step["unseen"]:
        lines.append(f"       decided without knowing of event {', '.join(map(str, step['unseen']))}")
    return lines


def state_lines(told: dict[str, Any]) -> list[str]:
    """The state, field by field, under what it is a state of."""
    instants = [
        f"{name.replace('_', ' ')} {told[name]}" for name in ("as_of", "as_known_at") if told.get(name)
    ]
    head = f"case {told['case']}, {' and '.join(instants) or 'now'}: {told['counted']} of {told['events']} events"
    lines = [head, *(f"  {field}: {text(value)}" for field, value in sorted(told["state"].items()))]
    if told["parked"]:
        lines.append(f"  parked: {told['parked']}")
    if told["unreadable"]:
        lines.append(f"  ends early: {told['unreadable']}")
    return lines


def text(value: Any) -> str:
    """A plain value for people."""
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(text, value))
    return str(value)
