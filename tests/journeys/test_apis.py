"""Nothing that a client can send makes an API fail: each is tried by a generator that reads its own description."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redress.client import Client
from redress.stack import Stack
from shared.runtime.auth import Role

EXAMPLES = "10"
MOST_SECONDS = "40"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("service", "role"),
    [("intake", Role.CM), ("intake", Role.UPS), ("processing", Role.CM), ("reporting", Role.AUD)],
)
def test_whatever_is_sent_is_answered_as_described_and_never_by_a_failure_of_the_server(
    stack: Stack, caller: Callable[..., Client], service: str, role: Role, tmp_path: Path
) -> None:
    client = caller(role, f"fuzz-{role.lower()}")
    arguments = [
        f"--header=Authorization:Bearer {client._token()}",
        f"--checks={CHECKS}",
        f"--max-examples={EXAMPLES}",
        f"--max-time={MOST_SECONDS}",
        "--continue-on-failure",
        "--phases=examples,coverage,fuzzing",
        "--generation-deterministic",
        "--no-color",
        "--warnings=off",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", client.url(service) + "/openapi.json", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
