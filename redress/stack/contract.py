"""The environment that everything in a stack is started with: one place says what each address is called."""

import base64
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from redress.stack import env
from redress.stack.databases import KEYRING
from redress.stack.layout import Layout
from redress.stack.parts import ISSUER, KAFKA, POSTGRES, SERVICES, Part

# What a child must not inherit by chance: it gets its own values or none. Many a shell sets HOST or PORT.
OURS = re.compile(r"^(PG_DSN_|PG_ADMIN_DSN$|KEYRING_|OIDC_KEY_FILE$|METRICS_URLS$|PORT_|PORT$|HOST$)")
PORT = "PORT_"


@dataclass(frozen=True)
class Contract:
    """The values of one stack, from its ports and passwords."""

    layout: Layout
    ports: Mapping[str, int]
    passwords: Mapping[str, str]

    def common(self) -> dict[str, str]:
        """What everybody may know: addresses without secrets."""
        urls = {part.name: self.url(part) for part in SERVICES}
        return {
            "REDRESS_RUN": str(self.layout.run),
            "LOG_DIR": str(self.layout.logs),
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{self.ports[KAFKA]}",
            "TOPIC_PREFIX": "complaints",
            "FRONT_DOOR_URL": self.url(ISSUER),
            "OIDC_ISSUER": self.url(ISSUER),
            **{f"{name.upper()}_URL": url for name, url in urls.items()},
            "METRICS_URLS": ",".join(f"{url}/metrics" for url in urls.values()),
        }

    def of_service(self, name: str) -> dict[str, str]:
        """A running service's own secrets."""
        return {
            f"PG_DSN_{name.upper()}": self.dsn(name, name),
            f"KEYRING_DSN_{name.upper()}": self.dsn(f"{KEYRING}_{name}", KEYRING),
            "KEYRING_MASTER_KEY_FILE": str(self.layout.keyring_master_key),
        }

    def of_owner(self, name: str) -> dict[str, str]:
        """What a service's migration and rebuild need besides."""
        return {f"PG_DSN_{name.upper()}_OWNER": self.dsn(f"{name}_owner", name)}

    def of_keyring_owner(self) -> dict[str, str]:
        """What the keyring's migration needs."""
        return {"KEYRING_DSN_OWNER": self.dsn(f"{KEYRING}_owner", KEYRING)}

    def of_issuer(self) -> dict[str, str]:
        """What the development issuer signs with."""
        return {"OIDC_KEY_FILE": str(self.layout.issuer_key)}

    def whole(self) -> dict[str, str]:
        """Everything that `.run/env` holds: for people, tests and the command line."""
        values = {**self.common(), **self.of_issuer(), **self.of_keyring_owner()}
        for part in SERVICES:
            values |= self.of_service(part.name) | self.of_owner(part.name)
        return values | {
            f"{PORT}{name.upper().replace('-', '_')}": str(port) for name, port in self.ports.items()
        }

    def of_part(self, part: Part, *, owner: bool = False) -> dict[str, str]:
        """All that a part's process is given: the caller's environment, common addresses, its own secrets."""
        own = self.of_issuer() if part.kind == "issuer" else self.of_service(part.name)
        return inherited() | self.common() | own | (self.of_owner(part.name) if owner else {})

    def of_keyring(self) -> dict[str, str]:
        """The whole environment of the keyring's migration."""
        return inherited() | self.common() | self.of_keyring_owner()

    def admin(self) -> dict[str, str]:
        """The superuser's address, which no service is given."""
        return {"PG_ADMIN_DSN": self.dsn("postgres", "postgres")}

    def url(self, part: Part) -> str:
        """Where a part is reached."""
        return f"http://127.0.0.1:{self.ports[part.name]}"

    def dsn(self, role: str, database: str) -> str:
        """A role's address of a database."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.ports[POSTGRES]}/{database}"


def remembered_ports(layout: Layout, names: Mapping[str, int]) -> dict[str, int]:
    """The ports that the stack has had so far."""
    values = env.read(layout.env)
    keys = {name: f"{PORT}{name.upper().replace('-', '_')}" for name in names}
    return {name: int(values[key]) for name, key in keys.items() if key in values}


def inherited() -> dict[str, str]:
    """The caller's environment without what a stack hands out itself."""
    return {key: value for key, value in os.environ.items() if not OURS.match(key)}


def make_master_key(layout: Layout) -> None:
    """Make the keyring's master key once: 32 random bytes; without it nothing sealed can be read again."""
    if not layout.keyring_master_key.exists():
        env.write_secret(layout.keyring_master_key, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
