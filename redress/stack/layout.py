"""Where a stack keeps what it owns: everything lies under one folder, so stacks live side by side."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Layout:
    """The files and folders of one stack."""

    run: Path

    @property
    def is_default(self) -> bool:
        """Whether this is the stack that takes the documented ports."""
        return self.run == default_run()

    @property
    def env(self) -> Path:
        """Every address of the stack, as KEY=value lines."""
        return self.run / "env"

    @property
    def admin_env(self) -> Path:
        """The superuser's address, apart from what services are given."""
        return self.run / "admin.env"

    @property
    def passwords(self) -> Path:
        """The database roles' passwords, made once."""
        return self.run / "passwords"

    @property
    def pids(self) -> Path:
        """One file per process: its id and when it was started."""
        return self.run / "pids"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.run / "logs"

    @property
    def lock(self) -> Path:
        """Held while the stack is being changed."""
        return self.run / "lock"

    @property
    def kafka(self) -> Path:
        """The broker's data."""
        return self.run / "kafka"

    @property
    def postgres(self) -> Path:
        """The database server's data, or a link to it."""
        return self.run / "postgres"

    @property
    def keyring_master_key(self) -> Path:
        """The key that wraps every data key."""
        return self.run / "keyring.key"

    @property
    def issuer_key(self) -> Path:
        """The development issuer's signing key; the issuer makes it."""
        return self.run / "issuer.key"

    def make(self) -> None:
        """Make the folders that the others take for granted."""
        for folder in (self.run, self.pids, self.logs):
            folder.mkdir(parents=True, exist_ok=True)


def default_run() -> Path:
    """The run folder of a stack that nobody named."""
    return REPOSITORY / ".run"


def chosen_run() -> Path:
    """The run folder that REDRESS_RUN names, else the default one."""
    named = os.environ.get("REDRESS_RUN")
    return Path(named).expanduser().resolve() if named else default_run()


def cache_folder() -> Path:
    """Where unpacked servers are kept for all stacks of this machine."""
    if named := os.environ.get("REDRESS_CACHE"):
        return Path(named).expanduser().resolve()
    if os.geteuid() == 0:  # PostgreSQL then runs as `nobody`, who cannot enter root's home
        return Path("/var/cache/redress")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "redress"
