"""python -m redress.issuer serve [--host 127.0.0.1] [--port 8100]"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import uvicorn

from redress.issuer.app import Issuer, make_issuer
from redress.issuer.page import SERVICES
from shared.runtime.http.health import is_loopback
from shared.runtime.logs import configure_logs

WRONG_USE = 2
STOP_WITHIN_SECONDS = 10


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Serve until told to stop; 2 if asked for what must not be."""
    asked = _parsed(arguments)
    if not is_loopback(asked.host):
        return _refuse(f"{asked.host} is not this machine alone: this issuer gives every role to everybody.")
    if "OIDC_KEY_FILE" not in environment:
        return _refuse("OIDC_KEY_FILE must name the file that keeps the signing key.")
    configure_logs("issuer")
    uvicorn.run(
        make_issuer(issuer_from(environment, asked.host, asked.port), _version()),
        host=asked.host,
        port=asked.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
    )
    return 0


def issuer_from(environment: Mapping[str, str], host: str, port: int) -> Issuer:
    """The issuer as the environment describes it, with a link to each service whose address it names."""
    named = {name: environment.get(f"{name.upper()}_URL", "").rstrip("/") for name in SERVICES}
    return Issuer(
        name=environment.get("OIDC_ISSUER", f"http://{host}:{port}").rstrip("/"),
        key_file=Path(environment["OIDC_KEY_FILE"]),
        addresses={name: url for name, url in named.items() if url.startswith(("http://", "https://"))},
    )


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m redress.issuer")
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve tokens and the front door to this machine")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8100)
    return parser.parse_args(arguments)


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return WRONG_USE


def _version() -> str:
    try:
        return version("redress")
    except PackageNotFoundError:
        return "0"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
