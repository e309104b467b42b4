"""The one-machine stack with the real Kafka and PostgreSQL, and stand-ins for the services."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from redress.failures import NotRunning, WrongUse
from redress.stack import Stack, env
from redress.stack.parts import ISSUER, SERVICES
from redress.stack.status import exit_code, status
from shared.schemas.topics import topic_specs

PROGRAMS = tuple(part.name for part in (ISSUER, *SERVICES))
ALL = ("kafka", "postgres", *PROGRAMS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which every part is a stand-in."""
    folder = tmp_path_factory.mktemp("repository")
    for module in (*(part.module for part in (ISSUER, *SERVICES)), "shared.runtime.keyring"):
        package = folder.joinpath(*module.split("."))
        package.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("stand_in.py"), package / "__main__.py")
    return folder


@pytest.fixture(scope="module")
def stack(root: Path) -> Iterator[Stack]:
    """A stack that is up before each module's first test and gone after its last."""
    run = Path(tempfile.mkdtemp(prefix="redress-stack-"))
    one = Stack(run, root=root, say=lambda text: print(text))  # noqa: T201 - shown by pytest when a test fails
    one.up()
    yield one
    one.destroy()


@pytest.fixture
def whole(stack: Stack) -> Stack:
    """The stack with nothing missing, whatever the test before it did."""
    stack.up()
    return stack


def pids(stack: Stack) -> dict[str, int | None]:
    """The process of each part."""
    found = {name: stack.processes.find(name) for name in ALL}
    return {name: process.pid if process else None for name, process in found.items()}


async def execute(dsn: str, statement: str) -> list[asyncpg.Record]:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


def test_a_second_up_starts_nothing(whole: Stack) -> None:
    before = pids(whole)
    whole.up()
    assert pids(whole) == before
    assert None not in before.values()


def test_two_ups_at_once_start_each_part_once(whole: Stack, root: Path) -> None:
    whole.down()
    with ThreadPoolExecutor(2) as pool:
        both = [Stack(whole.layout.run, root=root) for _ in range(2)]
        for started in [pool.submit(one.up) for one in both]:
            started.result()
    logs = [whole.layout.logs / f"{name}.log" for name in PROGRAMS]
    assert not [log for log in logs if "in use" in log.read_text()]
    assert exit_code(status(whole)) == 0


@pytest.mark.parametrize("name", ALL)
def test_what_was_killed_comes_back_alone(whole: Stack, name: str) -> None:
    before = pids(whole)
    whole.kill(name)
    assert pids(whole)[name] is None
    whole.up()
    after = pids(whole)
    assert {other for other in ALL if after[other] != before[other]} == {name}


async def test_acknowledged_records_and_rows_survive_kill_9(whole: Stack) -> None:
    topic, bootstrap = "complaints.cases", whole.env["KAFKA_BOOTSTRAP"]
    await execute(whole.env["PG_DSN_INTAKE_OWNER"], "INSERT INTO fact VALUES ('kept')")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    sent = await producer.send_and_wait(topic, b"kept", partition=0)
    await producer.stop()
    for name in ("kafka", "postgres"):
        whole.kill(name)
    whole.up()
    rows = await execute(whole.env["PG_DSN_INTAKE_OWNER"], "SELECT fact FROM fact")
    assert "kept" in {row["fact"] for row in rows}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), sent.offset)
        assert (await consumer.getone()).value == b"kept"
    finally:
        await consumer.stop()


async def test_every_topic_is_there_with_its_partitions(whole: Stack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=whole.env["KAFKA_BOOTSTRAP"])
    await admin.start()
    try:
        described = await admin.describe_topics(list(topic_specs("complaints")))
    finally:
        await admin.close()
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    assert counts.keys() == topic_specs("complaints").keys()
    assert set(counts.values()) == {12}


def test_a_service_is_given_its_own_secrets_only(whole: Stack) -> None:
    process = whole.processes.find("intake")
    assert process is not None
    given = process.environ()
    secrets = {key for key, value in given.items() if "_DSN" in key and value.startswith("postgresql://")}
    assert secrets == {"PG_DSN_INTAKE", "KEYRING_DSN_INTAKE"}
    assert not [key for key in given if key.startswith("OIDC_KEY")]


@pytest.mark.parametrize("dsn", [f"PG_DSN_{part.name.upper()}" for part in SERVICES])
@pytest.mark.parametrize("database", [*(part.name for part in SERVICES), "keyring", "postgres", "template1"])
async def test_a_role_enters_its_own_database_only(whole: Stack, dsn: str, database: str) -> None:
    own = dsn.removeprefix("PG_DSN_").lower()
    address = f"{whole.env[dsn].rpartition('/')[0]}/{database}"
    if database == own:
        assert await execute(address, "SELECT 1")
        return
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(address, "SELECT 1")


async def test_a_keyring_role_enters_the_keyring_and_nothing_else(whole: Stack) -> None:
    address = whole.env["KEYRING_DSN_INTAKE"]
    assert await execute(address, "SELECT 1")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(f"{address.rpartition('/')[0]}/intake", "SELECT 1")


async def test_a_dropped_database_is_made_again_and_no_other_touched(whole: Stack) -> None:
    await execute(whole.env["PG_DSN_PROCESSING_OWNER"], "INSERT INTO fact VALUES ('untouched')")
    await execute(whole.admin_dsn, "DROP DATABASE intake WITH (FORCE)")
    before = pids(whole)
    whole.up()
    after = pids(whole)
    assert after.pop("intake") != before.pop("intake"), "it would go on with what it remembers of the old one"
    assert after == before
    assert await execute(whole.env["PG_DSN_INTAKE_OWNER"], "SELECT fact FROM fact") == []
    assert await execute(whole.env["PG_DSN_INTAKE"], "SELECT 1")
    rows = await execute(whole.env["PG_DSN_PROCESSING_OWNER"], "SELECT fact FROM fact")
    assert "untouched" in {row["fact"] for row in rows}


def test_a_port_in_use_is_told_with_the_program_that_holds_it(whole: Stack) -> None:
    whole.kill("intake")
    port = int(whole.env["PORT_INTAKE"])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(NotRunning) as told:
        whole.up()
    assert f"Port {port}, which intake needs, is in use by" in told.value.what
    assert f"pid {os.getpid()}" in told.value.what
    assert "REDRESS_RUN=" in told.value.remedy


def test_a_service_that_ends_is_told_with_its_last_words(
    whole: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.kill("reporting")
    monkeypatch.setenv("STAND_IN_FAILS", "reporting")
    with pytest.raises(NotRunning, match="the stand-in was told to fail"):
        whole.up()


def test_a_second_stack_lives_beside_the_first(whole: Stack, root: Path) -> None:
    before = pids(whole)
    beside = Stack(Path(tempfile.mkdtemp(prefix="redress-beside-")), root=root, durable=False)
    try:
        beside.up()
        assert exit_code(status(beside)) == 0
        ports = {key: value for key, value in whole.env.items() if key.startswith("PORT_")}
        theirs = {key: value for key, value in beside.env.items() if key.startswith("PORT_")}
        assert not set(ports.values()) & set(theirs.values())
    finally:
        beside.destroy()
    assert not beside.layout.run.exists()
    assert pids(whole) == before


def test_state_and_addresses_survive_down_and_up(whole: Stack) -> None:
    before = whole.env
    whole.down()
    assert set(pids(whole).values()) == {None}
    whole.up()
    assert whole.env == before


def test_a_lost_master_key_is_not_replaced_by_a_new_one(whole: Stack) -> None:
    key = whole.layout.keyring_master_key
    kept = key.read_text()
    key.unlink()
    try:
        with pytest.raises(NotRunning, match="gone"):
            whole.up()
    finally:
        env.write_secret(key, kept)


def test_files_with_secrets_are_for_their_owner_only(whole: Stack) -> None:
    layout = whole.layout
    for path in (layout.env, layout.admin_env, layout.passwords, layout.keyring_master_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_status_tells_programs_and_people(whole: Stack) -> None:
    command = [sys.executable, "-m", "redress", "status"]
    given = {**os.environ, "REDRESS_RUN": str(whole.layout.run)}
    done = subprocess.run([*command, "--json"], env=given, capture_output=True, text=True, check=False)
    told = {part["name"]: part for part in json.loads(done.stdout.splitlines()[-1])["parts"]}
    assert (done.returncode, set(told)) == (0, set(ALL))
    assert told["postgres"]["version"].startswith("18.")
    assert told["intake"]["state"]["positions"] == {"0": 3, "1": 4}
    whole.kill("intake")
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "intake" in done.stdout


def test_an_unknown_part_is_wrong_use(whole: Stack) -> None:
    with pytest.raises(WrongUse, match="billing"):
        whole.environment("billing")
