"""A stand-in for a service, the issuer or the keyring: only what the stack itself needs of them.

Copied as `__main__.py` of each part into a folder of its own: the stack's tests then wait for nobody.
"""

import asyncio
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import asyncpg

NAME = str(__spec__.parent).rpartition(".")[2]
STATE = {"version": "stand-in", "positions": {"0": 3, "1": 4}, "lag": 0, "outbox_depth": 0, "parked": 0}


async def migrate() -> None:
    """Make one table, as the owner; a second time it is there already."""
    owner = os.environ["KEYRING_DSN_OWNER" if NAME == "keyring" else f"PG_DSN_{NAME.upper()}_OWNER"]
    connection = await asyncpg.connect(owner)
    await connection.execute("CREATE TABLE IF NOT EXISTS fact (fact text)")
    await connection.close()


class Answers(BaseHTTPRequestHandler):
    """Ready from the start."""

    def do_GET(self) -> None:
        """Answer anything."""
        body = json.dumps(STATE if self.path == "/v1/operations/state" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> None:
    """Listen where the environment says."""
    if os.environ.get("STAND_IN_FAILS") == NAME:
        sys.exit(f"{NAME} cannot go on: the stand-in was told to fail")
    url = os.environ["FRONT_DOOR_URL" if NAME == "issuer" else f"{NAME.upper()}_URL"]
    HTTPServer(("127.0.0.1", urlsplit(url).port or 0), Answers).serve_forever()


if sys.argv[1] == "migrate":
    asyncio.run(migrate())
else:
    serve()
