"""In CI a skipped test counts as a failure."""

import subprocess
import sys
from pathlib import Path

import pytest

from redress.stack.layout import REPOSITORY

TESTS = {
    "skipping": "import pytest\ndef test_it(): pytest.skip('no engine')\n",
    "module": "import pytest\npytest.skip('no engine', allow_module_level=True)\n",
    "expected": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n",
}


@pytest.mark.parametrize(("name", "code"), [("skipping", 1), ("module", 2), ("expected", 0)])
def test_a_skip_fails_and_an_expected_failure_does_not(tmp_path: Path, name: str, code: int) -> None:
    file = tmp_path / f"test_{name}.py"
    file.write_text(TESTS[name])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.plugins.no_skips",
        "-c",
        "/dev/null",
        "--rootdir",
        tmp_path,
        file,
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
    assert code == 0 or "no engine" in done.stdout
