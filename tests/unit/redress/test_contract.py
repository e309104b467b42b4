"""What each process is told and, above all, not told."""

import stat
from pathlib import Path

import pytest

from redress.stack import env
from redress.stack.contract import Contract, make_master_key, remembered_ports
from redress.stack.databases import databases, roles
from redress.stack.layout import Layout, chosen_run, default_run
from redress.stack.parts import ISSUER, PART_PORTS, SERVER_PORTS, SERVICES
from redress.stack.stack import part_named

PORTS = {**SERVER_PORTS, **PART_PORTS}
NAMES = tuple(part.name for part in SERVICES)


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    """A stack's contract in which each password is its role's name."""
    passwords = {role: f"secret-of-{role}" for role in ("postgres", *roles(databases(NAMES)))}
    return Contract(Layout(tmp_path), PORTS, passwords)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_knows_only_its_own_passwords(contract: Contract, name: str) -> None:
    text = "\n".join(contract.of_part(part_named(name)).values())
    known = {role for role, password in contract.passwords.items() if f":{password}@" in text}
    assert known == {name, f"keyring_{name}"}


def test_a_migration_knows_the_owner_besides(contract: Contract) -> None:
    assert "PG_DSN_INTAKE_OWNER" in contract.of_part(part_named("intake"), owner=True)
    assert "PG_DSN_INTAKE_OWNER" not in contract.of_part(part_named("intake"))


def test_the_issuer_knows_no_database(contract: Contract) -> None:
    given = contract.of_part(ISSUER)
    assert not [key for key in given if "DSN" in key]
    assert given["OIDC_KEY_FILE"].endswith("issuer.key")


def test_secrets_of_the_shell_are_not_inherited(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("PG_DSN_REPORTING", "PG_ADMIN_DSN", "KEYRING_DSN_OWNER", "KEYRING_DSN_REPORTING"):
        monkeypatch.setenv(key, "from the shell")
    assert "from the shell" not in contract.of_part(part_named("intake")).values()


def test_the_env_file_has_every_address_but_the_superusers(contract: Contract) -> None:
    values = contract.whole()
    assert values["INTAKE_URL"] == "http://127.0.0.1:8101"
    assert values["OIDC_ISSUER"] == values["FRONT_DOOR_URL"] == "http://127.0.0.1:8100"
    assert values["METRICS_URLS"].split(",")[0] == "http://127.0.0.1:8101/metrics"
    assert values["PG_DSN_INTAKE"] == "postgresql://intake:secret-of-intake@127.0.0.1:5432/intake"
    assert "secret-of-postgres" not in "".join(values.values())


def test_ports_are_read_back_from_the_env_file(contract: Contract) -> None:
    env.write(contract.layout.env, contract.whole())
    assert remembered_ports(contract.layout, PORTS) == PORTS


def test_an_env_file_is_read_as_written_and_private(tmp_path: Path) -> None:
    values = {"A": "1", "B": "x=y"}
    env.write(tmp_path / "env", values)
    assert env.read(tmp_path / "env") == values
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    assert env.read(tmp_path / "none") == {}


def test_the_master_key_is_made_once(contract: Contract) -> None:
    make_master_key(contract.layout)
    first = contract.layout.keyring_master_key.read_text()
    make_master_key(contract.layout)
    assert contract.layout.keyring_master_key.read_text() == first


def test_redress_run_alone_names_another_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRESS_RUN", str(tmp_path))
    assert not Layout(chosen_run()).is_default
    monkeypatch.delenv("REDRESS_RUN")
    assert chosen_run() == default_run()
