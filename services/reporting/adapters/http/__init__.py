"""Reporting's API: the register, the replay of a case, the proof of the log."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from services.reporting.adapters.http.forks import fork_routes
from services.reporting.adapters.http.proof import proof_routes
from services.reporting.adapters.http.register import register_routes
from services.reporting.adapters.http.replay import replay_routes
from shared.runtime.running import Running


def routes(running: Running[Any, Any]) -> Sequence[APIRouter]:
    """All routes of the service."""
    return (register_routes(running), replay_routes(running), proof_routes(running), fork_routes(running))
