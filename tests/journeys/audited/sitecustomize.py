"""Loaded by every Python process of the journey stack: writes down whom it connects to, by pid."""

import os
import sys

_FOLDER = os.environ.get("AUDITED_CONNECTIONS")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host, port = arguments[1][:2]
        with open(f"{_FOLDER}/{os.getpid()}", "a") as file:  # noqa: PTH123 - pathlib may not be loaded yet
            file.write(f"{host} {port}\n")


if _FOLDER:
    sys.addaudithook(_note)
