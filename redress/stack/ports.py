"""Ports: the documented ones for the default stack, free ones for stacks beside it, kept from then on."""

import random
import socket
from collections.abc import Iterable, Mapping

import psutil

from redress.failures import NotRunning
from redress.stack import waiting

LOOPBACK = "127.0.0.1"
PATIENCE = 2.0
# Below every system's range for outgoing connections: a client that tries a dead server's port again and
# again could otherwise be given that very port and end up talking to itself.
BESIDE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def another(taken: Iterable[int] = ()) -> int:
    """A free port outside those already given away."""
    given = set(taken)
    for port in random.sample(BESIDE, 200):
        if port not in given and is_free(port):
            return port
    raise NotRunning("200 ports tried and none is free.", "Stop the programs that hold them (`ss -ltnp`).")


def assign(
    wanted: Mapping[str, int], remembered: Mapping[str, int], *, default: bool, movable: frozenset[str]
) -> dict[str, int]:
    """A port for each name: the remembered one, else the documented one, else a free one.

    The default stack keeps its documented ports, except `movable` ones that another program holds already.
    """
    ports = {name: port for name, port in remembered.items() if name in wanted}
    for name, port in wanted.items():
        if name in ports:
            continue
        keeps = default and port not in ports.values() and (name not in movable or is_free(port))
        ports[name] = port if keeps else another((*ports.values(), *wanted.values()))
    return ports


def require_free(name: str, port: int) -> None:
    """Raise, naming who is there, unless a server of ours can listen on the port."""
    # A killed process is gone a moment before the kernel has closed its sockets.
    if not waiting.until(lambda: is_free(port), PATIENCE):
        raise NotRunning(
            f"Port {port}, which {name} needs, is in use by {holder(port)}.",
            "Stop that program, or start another stack, on free ports: REDRESS_RUN=.run-2 redress up",
        )


def holder(port: int) -> str:
    """The program that listens on a port, in words."""
    try:
        found = [
            c.pid
            for c in psutil.net_connections("tcp")
            if c.laddr and c.laddr.port == port and c.status == psutil.CONN_LISTEN
        ]
    except psutil.AccessDenied:
        found = []
    for pid in found:
        if pid is None:
            continue
        try:
            process = psutil.Process(pid)
            command = " ".join(process.cmdline())[:120]
            return f"{process.name()} (pid {pid}: {command})"
        except psutil.Error:
            continue
    return "another program (of another user: its name cannot be read)"
