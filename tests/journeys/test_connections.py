"""Whom each process talks to, and what its roles in PostgreSQL may not do even if somebody else had its password."""

import socket
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil
import pytest

from redress.client import Client
from redress.stack import Stack
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from tests.journeys.acting import SERVICES, everything_is_read, query, receive, seen, tell

pytestmark = pytest.mark.timeout(120)
Caller = Callable[..., Client]
INSERT_ONLY = {
    "intake": ("events", "case_log"),
    "processing": ("events", "case_log"),
    "reporting": ("events", "case_log", "ledger", "chain"),
}
FOREIGN_TO_OTHERS = {
    "destroy": "select keyring.destroy($1::uuid, null, null, array['contact'], array['contact'])",
    "redestroy": "select keyring.redestroy(array[$1::uuid])",
    "destroy_due": "select keyring.destroy_due(now()) where $1::uuid is not null",
    "cases_of": "select keyring.cases_of($1::uuid)",
    "search": "select keyring.search(uuid_send($1::uuid))",
    "subjects_for": "select keyring.subjects_for(array[$1::uuid], array[null::bytea], array[$1::uuid])",
    "match_secret": "select keyring.match_secret(uuid_send($1::uuid))",
}


@pytest.fixture(scope="module")
def worked(caller: Caller) -> None:
    """Every service has received, decided and shown something."""
    opened = receive(caller(Role.INT))
    told = tell(caller(Role.LEAD), opened.case, "assignment", {"owner": "eva"}, token=opened.token)
    seen(caller(Role.AUD), "reporting", f"/v1/cases/{opened.case}/replay", told.headers["Redress-Token"])


def connected(connections: Path, pid: int) -> set[tuple[str, int]]:
    """Whom a process has ever connected to."""
    lines = [line.split() for line in (connections / str(pid)).read_text().splitlines()]
    return {(host, int(port)) for host, port in lines}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_connects_to_the_broker_postgresql_and_the_issuer_and_to_nobody_else(
    stack: Stack, connections: Path, worked: None, service: str
) -> None:
    await everything_is_read(stack)
    process = stack.processes.find(service)
    assert process is not None
    ports = stack.contract().ports
    expected = {("127.0.0.1", ports[name]) for name in ("kafka", "postgres", "issuer")}
    assert connected(connections, process.pid) == expected


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_has_sessions_in_its_own_database_and_the_keyring_only(
    stack: Stack, worked: None, service: str
) -> None:
    process = stack.processes.find(service)
    assert process is not None
    port = stack.contract().ports["postgres"]
    own = [
        connection.laddr.port
        for connection in process.net_connections("tcp")
        if connection.raddr and connection.raddr.port == port and connection.status == psutil.CONN_ESTABLISHED
    ]
    question = "select datname, usename from pg_stat_activity where client_port = any($1)"
    sessions = {tuple(row) for row in await query(stack.admin_dsn, question, own)}
    assert sessions == {(service, service), ("keyring", f"keyring_{service}")}


async def refused(dsn: str, statement: str = "select 1", *arguments: object) -> bool:
    """Whether PostgreSQL says that this role may not."""
    try:
        await query(dsn, statement, *arguments)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


def elsewhere(dsn: str, database: str) -> str:
    """The same role at another database."""
    return f"{dsn.rpartition('/')[0]}/{database}"


@pytest.mark.parametrize("service", SERVICES)
async def test_the_roles_of_a_service_are_denied_in_every_other_database(stack: Stack, service: str) -> None:
    own, keys = stack.env[f"PG_DSN_{service.upper()}"], stack.env[f"KEYRING_DSN_{service.upper()}"]
    others = {*SERVICES, "postgres", "template1"} - {service}
    for database in others | {"keyring"}:
        assert await refused(elsewhere(own, database)), database
    for database in others | {service}:
        assert await refused(elsewhere(keys, database)), database
    assert not await refused(own)
    assert not await refused(keys)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_rewrite_what_was_accepted(stack: Stack, service: str, worked: None) -> None:
    dsn = stack.env[f"PG_DSN_{service.upper()}"]
    for table in INSERT_ONLY[service]:
        ((count,),) = await query(dsn, f"select count(*) from {table}")
        assert count
        ((column,),) = await query(
            dsn, "select attname from pg_attribute where attrelid = $1::regclass and attnum = 1", table
        )
        for statement in (
            f"update {table} set {column} = {column}",
            f"delete from {table}",
            f"truncate {table}",
            f"drop table {table}",
            f"alter table {table} disable trigger all",
        ):
            assert await refused(dsn, statement), statement
        assert await query(dsn, f"select count(*) from {table}") >= [(count,)]
    assert await refused(dsn, "create table mine ()")
    assert await refused(dsn, "update migrations set checksum = ''")


@pytest.mark.parametrize("service", SERVICES)
async def test_the_keyring_is_reached_by_functions_only_and_destroying_is_for_intake_alone(
    stack: Stack, service: str
) -> None:
    dsn = stack.env[f"KEYRING_DSN_{service.upper()}"]
    tables = await query(
        stack.env["KEYRING_DSN_OWNER"],
        "select tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    schema = "select schemaname from pg_tables where tablename = $1"
    assert len(tables) >= 5
    for (table,) in tables:
        ((where,),) = await query(stack.env["KEYRING_DSN_OWNER"], schema, table)
        for statement in (
            f"select * from {where}.{table}",
            f"delete from {where}.{table}",
            f"truncate {where}.{table}",
        ):
            assert await refused(dsn, statement), statement
    nobody = fresh_id()
    for name, statement in FOREIGN_TO_OTHERS.items():
        may = service == "intake"
        if may and name not in ("cases_of", "search"):
            continue  # it would act
        assert await refused(dsn, statement, nobody) is not may, name
    assert not await refused(dsn, "select * from keyring.by_kid(array[$1::uuid])", nobody)


async def test_the_watch_sees_every_connection_that_a_process_makes(
    stack: Stack, connections: Path, worked: None
) -> None:
    """What it wrote down is more than what stands now: nothing that is connected is missing."""
    for service in SERVICES:
        process = stack.processes.find(service)
        assert process is not None
        now = {
            (connection.raddr.ip, connection.raddr.port)
            for connection in process.net_connections("inet")
            if connection.raddr
            and connection.status == psutil.CONN_ESTABLISHED
            and connection.laddr.port != _port(stack, service)
        }
        assert now
        assert now <= connected(connections, process.pid)
        assert all(socket.inet_aton(host)[0] == 127 for host, _ in now)


def _port(stack: Stack, service: str) -> int:
    return stack.contract().ports[service]
