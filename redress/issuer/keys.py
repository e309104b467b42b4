"""The issuer's signing key: made once, readable by its owner only."""

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

ALGORITHM = "ES256"
CURVE = "P-256"


def signing_key(file: Path) -> ECKey:
    """The key kept in a file, which is made if there is none."""
    if not file.exists():
        _make(file)
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(file: Path, _: int) -> ECKey:
    return ECKey.import_key(file.read_bytes())


def _make(file: Path) -> None:
    """Writes a whole key beside the file and links it there: of two makers one wins, none sees a half."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    half = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(ECKey.generate_key(CURVE).as_pem(private=True))
        file.hardlink_to(half)
    except FileExistsError:
        return
    finally:
        half.unlink()


def public_keys(key: ECKey) -> dict[str, Any]:
    """The key set that verifiers ask for."""
    public = key.as_dict(private=False)
    return {"keys": [{**public, "kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}]}
