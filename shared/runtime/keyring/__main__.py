"""python -m shared.runtime.keyring migrate: prepare the database named by KEYRING_DSN_OWNER."""

import asyncio
import os
import sys

from shared.runtime.keyring.migrations import migrate

USAGE = "usage: KEYRING_DSN_OWNER=postgresql://… python -m shared.runtime.keyring migrate\n"


def main(arguments: list[str]) -> int:
    """Exit code 0: done, 2: wrong use."""
    dsn = os.environ.get("KEYRING_DSN_OWNER")
    if arguments != ["migrate"] or not dsn:
        sys.stderr.write(USAGE)
        return 2
    applied = asyncio.run(migrate(dsn))
    sys.stdout.write(f"keyring: {', '.join(applied) or 'up to date'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
