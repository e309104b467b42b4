"""A server's files are accepted with the pinned hash only."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from redress.failures import NotRunning
from redress.stack import archives, postgres

GOOD = b"as published"


class Repository:
    """What the coordinates resolve to: the content of one jar, call by call."""

    def __init__(self, folder: Path, *contents: bytes) -> None:
        self.jar = folder / "server-1.0.jar"
        self.contents = list(contents)
        self.asked = 0

    def build(self, _: str, *, update: bool) -> SimpleNamespace:
        """Fetch what is not in the cache, as jgo does."""
        self.asked += 1
        if not self.jar.exists():
            self.jar.write_bytes(self.contents.pop(0))
        return SimpleNamespace(all_jars=[self.jar])


@pytest.fixture
def archive() -> archives.Archive:
    """One jar, pinned."""
    return archives.Archive("org.example:server:1.0", {"server-1.0.jar": hashlib.sha256(GOOD).hexdigest()})


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository folder of the test's own, so that nothing of the machine's is removed."""
    monkeypatch.setenv("M2_REPO", str(tmp_path))


def use(monkeypatch: pytest.MonkeyPatch, repository: Repository) -> Repository:
    """Put it in jgo's place."""
    monkeypatch.setattr(archives.jgo, "build", repository.build)
    return repository


def test_what_is_as_pinned_is_taken(
    archive: archives.Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = use(monkeypatch, Repository(tmp_path, GOOD))
    assert archives.fetch(archive) == [repository.jar]
    assert repository.asked == 1


def test_a_damaged_download_is_fetched_once_more(
    archive: archives.Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = use(monkeypatch, Repository(tmp_path, GOOD[:4], GOOD))
    assert archives.fetch(archive)[0].read_bytes() == GOOD
    assert repository.asked == 2


def test_what_stays_different_is_refused_by_name(
    archive: archives.Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Repository(tmp_path, b"changed", b"changed again"))
    with pytest.raises(NotRunning, match=r"server-1\.0\.jar"):
        archives.fetch(archive)


def test_no_network_is_told_in_words(archive: archives.Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: str, *, update: bool) -> SimpleNamespace:
        raise ConnectionError("no route")

    monkeypatch.setattr(archives.jgo, "build", unreachable)
    with pytest.raises(NotRunning, match="could not be fetched") as told:
        archives.fetch(archive)
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
    monkeypatch.setattr(postgres.platform, "machine", lambda: "vax")
    with pytest.raises(NotRunning, match="vax"):
        postgres.unpacked()
