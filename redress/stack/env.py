"""KEY=value files of addresses and secrets: written whole or not at all, for their owner's eyes only."""

import os
from collections.abc import Mapping
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """The file's values; none if there is no file yet."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file; a reader sees the old or the new one, never half."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    write_secret(path, text)


def write_secret(path: Path, text: str) -> None:
    """Replace a file that nobody else may read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - a file descriptor, so that the mode is right from the first byte
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
