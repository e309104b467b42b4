"""Servers by Maven coordinates: fetched and cached by jgo, accepted only with the SHA-256 pinned here.

jgo only warns when a download is damaged and never looks at a cached file again; hence the pins.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jgo

from redress.failures import NotRunning

LOCKS = Path(__file__).with_name("locks")


@dataclass(frozen=True)
class Archive:
    """Maven coordinates and the SHA-256 of every jar that they stand for."""

    coordinates: str
    jars: Mapping[str, str]


def pinned(lock: str, name: str) -> Archive | None:
    """The archive of that name in a committed lock file."""
    entry = json.loads((LOCKS / f"{lock}.json").read_text()).get(name)
    return entry and Archive(entry["coordinates"], entry["jars"])


def fetch(archive: Archive) -> list[Path]:
    """The archive's jars on this machine, each proven by its hash; a damaged one is fetched once more."""
    wrong: list[str] = []
    for update in (False, True):
        jars = _resolve(archive.coordinates, update=update)
        wrong = differences(archive.jars, digests(jars))
        if not wrong:
            return jars
        _discard(wrong, jars)
    raise NotRunning(
        f"These files of {archive.coordinates} are not the pinned ones: {', '.join(wrong)}.",
        "Something between you and the repository changes downloads, or its copy was replaced. "
        "Fetch through another mirror; do not start what you cannot trust.",
    )


def digests(jars: list[Path]) -> dict[str, str]:
    """File name → SHA-256."""
    found: dict[str, str] = {}
    for jar in jars:
        with jar.open("rb") as file:
            found[jar.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """The names that are missing, too many or of another content."""
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def _resolve(coordinates: str, *, update: bool) -> list[Path]:
    try:
        return sorted(Path(jar) for jar in jgo.build(coordinates, update=update).all_jars)
    except (OSError, RuntimeError, ValueError) as error:
        raise NotRunning(
            f"{coordinates} could not be fetched: {type(error).__name__}: {str(error)[:200]}",
            "The first start needs a Maven repository. Check the network, the proxy settings "
            "or the mirror in jgo's settings file, then run the same command again.",
        ) from error


def _discard(names: list[str], jars: list[Path]) -> None:
    """Remove damaged files, such as a cut-off download, from jgo's caches: it would keep them for ever."""
    repository = Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    for name in names:
        cached = repository.rglob(name) if repository.exists() else ()
        for damaged in {*cached, *(jar for jar in jars if jar.name == name)}:
            damaged.unlink(missing_ok=True)


def relock() -> None:
    """Pin what the coordinates resolve to now; for maintainers, after changing a version in a lock file."""
    for lock in sorted(LOCKS.glob("*.json")):
        entries = json.loads(lock.read_text())
        for entry in entries.values():
            entry["jars"] = digests(_resolve(entry["coordinates"], update=True))
        lock.write_text(json.dumps(entries, indent=1) + "\n")
