"""Servers by Maven coordinates: fetched and cached by jgo, accepted only with the SHA-256 pinned here.

The lock files name every jar, so a start resolves nothing: it takes exactly these files or none. `jgo.build` would
also walk the POMs, only warn when a download is damaged, and fetch a whole JDK to look at the jars with.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import jgo
from jgo.config import GlobalSettings
from jgo.maven import Artifact, MavenContext

from redress.failures import NotRunning
from redress.stack.layout import cache_folder

LOCKS = Path(__file__).with_name("locks")
AT_ONCE = 8
TIMEOUT = 60


@dataclass(frozen=True)
class Archive:
    """What was asked for, and the SHA-256 of every jar that it stands for, by the jar's own coordinates."""

    coordinates: str
    jars: Mapping[str, str]


def pinned(lock: str, name: str) -> Archive | None:
    """The archive of that name in a committed lock file."""
    entry = json.loads((LOCKS / f"{lock}.json").read_text()).get(name)
    return entry and Archive(entry["coordinates"], entry["jars"])


def fetch(archive: Archive, say: Callable[[str], None] = lambda _: None) -> list[Path]:
    """The archive's jars on this machine, each proven by its hash; a damaged one is fetched once more."""
    context = _context()
    with _alone(), ThreadPoolExecutor(AT_ONCE, "redress-fetch") as pool:
        artifacts = {jar: _artifact(context, jar) for jar in archive.jars}
        if missing := sum(not _is_cached(artifact) for artifact in artifacts.values()):
            say(f"fetching {missing} files of {archive.coordinates}")
        one = partial(_fetch_one, archive)
        return list(pool.map(one, artifacts.keys(), artifacts.values()))


def digest(jar: Path) -> str:
    """The SHA-256 of a file."""
    with jar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def relock() -> None:
    """Pin what the coordinates resolve to now; for maintainers, after changing a version in a lock file."""
    for lock in sorted(LOCKS.glob("*.json")):
        entries = json.loads(lock.read_text())
        for entry in entries.values():
            entry["jars"] = _published(sorted(map(_named, jgo.resolve(entry["coordinates"]))))
        lock.write_text(json.dumps(entries, indent=1) + "\n")


def _published(jars: list[str]) -> dict[str, str]:
    """The jars' hashes, fetched anew: a damaged file of the cache must not become a pin."""
    with TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), remote_repos=_remotes(), timeout=TIMEOUT)
        return {jar: digest(_artifact(context, jar).resolve()) for jar in jars}


def _fetch_one(archive: Archive, jar: str, artifact: Artifact) -> Path:
    for _ in range(2):
        try:
            path = artifact.resolve()
        except (OSError, RuntimeError) as error:
            raise NotRunning(
                f"{jar} could not be fetched: {type(error).__name__}: {str(error)[:200]}",
                "The first start needs a Maven repository. Check the network and the proxy settings, or name "
                "a mirror as `central` under [repositories] in jgo's settings file; then run the command again.",
            ) from error
        if digest(path) == archive.jars[jar]:
            return path
        path.unlink()  # such as a download that was cut off: it would be taken from the cache for ever
    raise NotRunning(
        f"{jar} is not the file that is pinned.",
        "Something between you and the repository changes downloads. Fetch it by another way; "
        "do not start what you cannot trust.",
    )


def _context() -> MavenContext:
    return MavenContext(repo_cache=GlobalSettings.load().repo_cache, remote_repos=_remotes(), timeout=TIMEOUT)


def _remotes() -> dict[str, str] | None:
    """The mirrors of jgo's settings file; without any, jgo's own default."""
    return GlobalSettings.load().repositories or None


def _artifact(context: MavenContext, jar: str) -> Artifact:
    group, name, version, *classifier = jar.split(":")
    return context.project(group, name).at_version(version).artifact(*classifier)


def _named(artifact: Artifact) -> str:
    parts = (artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier)
    return ":".join(part for part in parts if part)


def _is_cached(artifact: Artifact) -> bool:
    return artifact.cached_path is not None and artifact.cached_path.exists()


@contextmanager
def _alone() -> Iterator[None]:
    """One command of this machine at a time: another would take a half-written file for a damaged one."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "fetching.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
