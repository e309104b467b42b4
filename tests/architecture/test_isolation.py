"""Each service runs with shared/ and itself alone: no code of another service is needed, found or imported."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "__main__.py").exists())
IMPORT_ALL = """
import importlib, pathlib, sys
root = sys.argv[1]  # the editable install must not lend what is missing here
sys.path[:] = ["."] + [place for place in sys.path if place != root]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
for path in sorted(pathlib.Path(".").rglob("*.py")):
    if path.name != "__main__.py":
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
"""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_with_nothing_but_itself_and_the_shared_packages(
    service: str, tmp_path: Path
) -> None:
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=leave)
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").touch()
    shutil.copytree(ROOT / "services" / service, tmp_path / "services" / service, ignore=leave)
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_ALL, str(ROOT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_there_are_services_to_isolate() -> None:
    assert {"intake", "processing", "reporting"} <= set(SERVICES)
