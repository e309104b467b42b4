"""How a stack is: each part's process, health, version and memory, and what a service says of its work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from redress.failures import ExitCode, NotRunning
from redress.stack import kafka, postgres, waiting
from redress.stack.parts import ISSUER, KAFKA, POSTGRES, SERVICES, Part
from redress.stack.processes import memory
from redress.stack.programs import unready
from redress.stack.stack import Stack

Health = Literal["ready", "not ready", "down"]


@dataclass(frozen=True)
class PartStatus:
    """One part, as it is now."""

    name: str
    address: str
    health: Health
    pid: int | None = None
    detail: str = ""
    version: str = ""
    memory_mb: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)


def status(stack: Stack) -> list[PartStatus]:
    """Every part of the stack, in the order in which they are started."""
    contract = stack.contract()
    servers = [_postgres(stack), _kafka(stack)]
    return [*servers, *(_program(stack, part, contract.url(part)) for part in (ISSUER, *SERVICES))]


def exit_code(parts: list[PartStatus]) -> ExitCode:
    """3 if anything is down, 1 if anything runs but is not ready, else 0."""
    healths = {part.health for part in parts}
    if "down" in healths:
        return ExitCode.NOT_RUNNING
    return ExitCode.CHECK_FAILED if "not ready" in healths else ExitCode.DONE


def _postgres(stack: Stack) -> PartStatus:
    server = stack.postgres(stack.contract())
    address = f"127.0.0.1:{server.port}"
    try:
        said = waiting.run(postgres.server_version(server.dsn))
    except NotRunning as error:
        return _of(stack, POSTGRES, address, error.what)
    return _of(stack, POSTGRES, address, None if said else "no answer", said or "")


def _kafka(stack: Stack) -> PartStatus:
    server = stack.kafka(stack.contract())
    ready = waiting.run(kafka.is_ready(server.bootstrap))
    return _of(stack, KAFKA, server.bootstrap, None if ready else "no answer", server.version)


def _program(stack: Stack, part: Part, url: str) -> PartStatus:
    state = _state(url) if part.kind == "service" else {}
    return _of(stack, part.name, url, unready(url), str(state.get("version", "")), state)


def _of(
    stack: Stack,
    name: str,
    address: str,
    why_not: str | None,
    version: str = "",
    state: Mapping[str, Any] | None = None,
) -> PartStatus:
    process = stack.processes.find(name)
    if process is None:
        return PartStatus(name, address, "down", detail=f"its log: {stack.processes.log(name)}")
    size = memory(process) >> 20
    health: Health = "not ready" if why_not else "ready"
    return PartStatus(name, address, health, process.pid, why_not or "", version, size, state or {})


def _state(url: str) -> dict[str, Any]:
    """What a service says of its positions and queues; nothing if it does not answer."""
    try:
        answer = httpx.get(f"{url}/v1/operations/state", timeout=5, trust_env=False)
        state = answer.json() if answer.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}
