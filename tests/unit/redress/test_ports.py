"""Ports are documented for the default stack, free for others, and kept."""

import os
import socket

import pytest

from redress.failures import NotRunning
from redress.stack import ports

WANTED = {"kafka": 9092, "intake": 8101}


def test_the_default_stack_takes_the_documented_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: True)
    assert ports.assign(WANTED, {}, default=True, movable=frozenset({"kafka"})) == WANTED


def test_the_default_stack_moves_only_what_may_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port not in WANTED.values())
    given = ports.assign(WANTED, {}, default=True, movable=frozenset({"kafka"}))
    assert given["intake"] == 8101
    assert given["kafka"] in ports.BESIDE


def test_another_stack_takes_free_ports_and_no_two_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: True)
    wanted = {f"part-{number}": 8100 + number for number in range(100)}
    given = ports.assign(wanted, {}, default=False, movable=frozenset())
    assert len(set(given.values())) == 100
    assert set(given.values()) <= set(ports.BESIDE)


def test_a_port_once_given_is_kept() -> None:
    given = ports.assign(WANTED, {"intake": 20_001, "gone": 5}, default=False, movable=frozenset())
    assert given["intake"] == 20_001
    assert given.keys() == WANTED.keys()


def test_whoever_holds_a_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "PATIENCE", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports.answers(port)
        with pytest.raises(NotRunning, match=rf"Port {port}.*intake.*pid {os.getpid()}"):
            ports.require_free("intake", port)
    assert not ports.answers(port)
    ports.require_free("intake", port)
