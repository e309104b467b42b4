"""`redress erase CASE|SUBJECT`: a complainant's data become unreadable for ever, in one case or in all."""

import time
from typing import Annotated
from uuid import UUID

import typer

from redress.client import Client
from redress.failures import Failure
from redress.telling import steps
from shared.runtime.auth import Role

PATIENCE = 180.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(erase)


def erase(
    which: Annotated[str, typer.Argument(help="A case number, the id of a case, or the id of a subject.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until no process can read the data any more.")
    ] = False,
) -> None:
    """Destroy the keys of a complainant's data; about a minute later nobody can read it. It cannot be undone."""
    with Client.of_this_machine(Role.DPO) as client:
        cases = ordered(client, which)
        for case in cases:
            print(f"ordered  {case}")
        if wait:
            with steps("erasing") as say:
                for case in cases:
                    _wait_for(client, case)
                    say(f"erased  {case}")


def ordered(client: Client, which: str) -> list[str]:
    """The cases whose erasure is ordered now or was before. Raises Failure if there is nothing of that name."""
    try:
        UUID(which)
    except ValueError:
        return [_ordered_case(client, _case_numbered(client, which))]
    answer = client.ask("intake", "POST", f"/v1/cases/{which}/erasure", json={}, accept=(404,))
    if answer.is_success:
        return [which]
    answer = client.ask("intake", "POST", f"/v1/subjects/{which}/erasure", json={}, accept=(404,))
    if not answer.is_success:
        raise Failure(f"there is no case and no subject {which}", "Give a case number, or the id of either.")
    return [each["case_id"] for each in answer.json()["cases"] if each["result"] != "refused"]


def _ordered_case(client: Client, case: str) -> str:
    client.ask("intake", "POST", f"/v1/cases/{case}/erasure", json={})
    return case


def _case_numbered(client: Client, number: str) -> str:
    found = client.ask("intake", "GET", "/v1/complaints", params={"case_number": number}).json()["items"]
    if not found:
        raise Failure(
            f"there is no case {number} that a data protection officer may see", "Give the case's id."
        )
    return str(found[0]["case_id"])


def _wait_for(client: Client, case: str) -> None:
    end = time.monotonic() + PATIENCE
    while not client.ask("intake", "GET", f"/v1/complaints/{case}").json()["erased"]:
        if time.monotonic() > end:
            raise Failure(
                f"{case} is not erased after {PATIENCE:.0f} s", "Look for what is stuck: `redress status`."
            )
        time.sleep(1)
