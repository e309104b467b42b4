"""The services as the command line asks them: over HTTP, as a role of this installation, refusals told in words."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from redress.failures import Failure, NotRunning, WrongUse
from redress.issuer.tokens import issue_token
from redress.stack import env
from redress.stack.layout import Layout, chosen_run
from shared.runtime.auth import Role

PATIENCE = 60.0
START = "start the stack with `redress up`"


class Client:
    """One caller in one role. sub is the pseudonymous id that the services see."""

    def __init__(self, values: Mapping[str, str], role: Role, sub: str | None = None) -> None:
        self._values = values
        self.role, self.sub = role, sub or f"{role.lower()}-cli"
        self._http = httpx.Client(timeout=PATIENCE, trust_env=False)

    @classmethod
    def of_this_machine(cls, role: Role, sub: str | None = None) -> Self:
        """A caller of the stack in .run or REDRESS_RUN. Raises NotRunning if there is none."""
        return cls(environment(), role, sub)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def url(self, service: str) -> str:
        """Where a service is reached."""
        return address(self._values, service)

    def ask(
        self, service: str, method: str, path: str, *, accept: tuple[int, ...] = (), **request: Any
    ) -> httpx.Response:
        """The answer. Raises NotRunning if nobody answers and Failure on a refusal, unless its status is accepted."""
        headers = {"Authorization": f"Bearer {self._token()}", **request.pop("headers", {})}
        try:
            answer = self._http.request(method, self.url(service) + path, headers=headers, **request)
        except httpx.TransportError as error:
            raise NotRunning(f"{service} does not answer ({type(error).__name__})", START) from error
        if answer.is_error and answer.status_code not in accept:
            raise refusal(service, answer)
        return answer

    @contextmanager
    def stream(self, service: str, method: str, path: str, **request: Any) -> Iterator[httpx.Response]:
        """The answer while it comes in, for long ones."""
        headers = {"Authorization": f"Bearer {self._token()}", **request.pop("headers", {})}
        url = self.url(service) + path
        try:
            with self._http.stream(method, url, headers=headers, **{"timeout": None, **request}) as answer:
                if answer.is_error:
                    answer.read()
                    raise refusal(service, answer)
                yield answer
        except httpx.TransportError as error:
            raise NotRunning(f"{service} does not answer ({type(error).__name__})", START) from error

    def _token(self) -> str:
        key = self._values.get("OIDC_KEY_FILE")
        if not key or not Path(key).exists():
            raise NotRunning("this machine has no development issuer to sign tokens", START)
        return issue_token(Path(key), self._values["OIDC_ISSUER"], [self.role], self.sub)


def environment() -> dict[str, str]:
    """The addresses of the stack: its env file, and above it what the environment says."""
    file = Layout(chosen_run()).env
    values = env.read(file)
    if not values and "INTAKE_URL" not in os.environ:
        raise NotRunning(f"there is no stack: {file} does not exist", START)
    return {
        **values,
        **{name: value for name, value in os.environ.items() if name in values or name.endswith("_URL")},
    }


def address(values: Mapping[str, str], service: str) -> str:
    """The service's base address. Raises WrongUse for a name that no service has."""
    try:
        return values[f"{service.upper()}_URL"].rstrip("/")
    except KeyError:
        known = sorted(name.removesuffix("_URL").lower() for name in values if name.endswith("_URL"))
        raise WrongUse(f"there is no service {service}", f"choose one of {', '.join(known)}") from None


def refusal(service: str, answer: httpx.Response) -> Failure:
    """A problem in words: what was wrong, in which field, and what the service advises."""
    try:
        problem = answer.json()
    except ValueError:
        return Failure(f"{service} answered {answer.status_code}")
    fields = "; ".join(f"{each['field']}: {each['reason']}" for each in problem.get("fields", ()))
    text = problem.get("detail") or problem.get("title") or f"{service} answered {answer.status_code}"
    return Failure(f"{service} refused ({problem.get('type', '').rpartition(':')[2]}): {text}", fields)
