"""`redress token ROLE`: a token of the development issuer, for curl and for trying things out."""

from pathlib import Path
from typing import Annotated

import typer

from redress.client import START, environment
from redress.failures import NotRunning, WrongUse
from redress.issuer.tokens import issue_token
from shared.runtime.auth import Role


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(token)


def token(
    role: Annotated[str, typer.Argument(help="Such as AUD, CM, OWN, INT, UPS.")],
    sub: Annotated[
        str | None, typer.Option(help="The pseudonymous id of the person; one per role if not said.")
    ] = None,
) -> None:
    """Print a bearer token of this machine's issuer, good for an hour."""
    known, values = role_named(role), environment()
    key = Path(values.get("OIDC_KEY_FILE", ""))
    if not key.is_file():
        raise NotRunning("this machine has no development issuer to sign tokens", START)
    print(issue_token(key, values["OIDC_ISSUER"], [known], sub or f"{known.lower()}-cli"))


def role_named(code: str) -> Role:
    """The role with this code, in any case of letters."""
    try:
        return Role(code.upper())
    except ValueError:
        raise WrongUse(f"there is no role {code}", f"choose one of {', '.join(Role)}") from None
