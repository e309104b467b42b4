"""A server's files are accepted with the pinned hash only."""

import hashlib
import json
from pathlib import Path

import pytest

from redress.failures import NotRunning
from redress.stack import archives, postgres_programs

GOOD = b"as published"
JAR = "org.example:server:1.0"
ARCHIVE = archives.Archive("org.example:server:1.0", {JAR: hashlib.sha256(GOOD).hexdigest()})


class Repository:
    """In jgo's place: the content of one jar, download by download."""

    def __init__(self, folder: Path, *contents: bytes) -> None:
        self.cached_path = folder / "server-1.0.jar"
        self.contents = list(contents)

    def resolve(self) -> Path:
        """Take it from the cache, else fetch it, as jgo does."""
        if not self.cached_path.exists():
            self.cached_path.write_bytes(self.contents.pop(0))
        return self.cached_path


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of the test's own."""
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("REDRESS_CACHE", str(tmp_path / "cache"))


def use(monkeypatch: pytest.MonkeyPatch, repository: object) -> None:
    """Let every jar come from this repository."""
    monkeypatch.setattr(archives, "_artifact", lambda _context, _jar: repository)


def test_what_is_as_pinned_is_taken_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    use(monkeypatch, Repository(tmp_path, GOOD))
    assert archives.fetch(ARCHIVE, told.append)[0].read_bytes() == GOOD
    archives.fetch(ARCHIVE, told.append)
    assert told == ["fetching 1 files of org.example:server:1.0"]


def test_a_damaged_download_is_fetched_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Repository(tmp_path, GOOD[:4], GOOD))
    assert archives.fetch(ARCHIVE)[0].read_bytes() == GOOD


def test_what_stays_different_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Repository(tmp_path, b"changed", b"changed again"))
    with pytest.raises(NotRunning, match=JAR):
        archives.fetch(ARCHIVE)


class Unreachable(Repository):
    """A repository behind a network that is down."""

    def resolve(self) -> Path:
        """Fail as the network does."""
        raise ConnectionError("no route")


def test_no_network_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Unreachable(tmp_path))
    with pytest.raises(NotRunning, match="could not be fetched") as told:
        archives.fetch(ARCHIVE)
    assert "network" in told.value.remedy


@pytest.mark.parametrize("lock", sorted(archives.LOCKS.glob("*.json")), ids=lambda path: path.stem)
def test_every_committed_pin_is_a_whole_one(lock: Path) -> None:
    for name, entry in json.loads(lock.read_text()).items():
        archive = archives.pinned(lock.stem, name)
        assert archive is not None
        assert archive.coordinates == entry["coordinates"]
        assert archive.jars
        assert all(len(bytes.fromhex(digest)) == 32 for digest in archive.jars.values())


def test_a_platform_without_a_pinned_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_programs.platform, "machine", lambda: "vax")
    with pytest.raises(NotRunning, match="vax"):
        postgres_programs.unpacked()
