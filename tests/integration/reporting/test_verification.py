"""The ledger against the topics: an honest one holds; whatever a superuser does to it is named."""

from collections.abc import AsyncIterator
from hashlib import sha256
from uuid import UUID

import asyncpg
import pytest

from services.reporting.adapters.ledger import INSERT_ONLY
from services.reporting.adapters.verifiers import Verifiers
from services.reporting.domain.findings import Finding, Kind
from shared.runtime.migrating import migrate
from shared.runtime.postgres import Connection, Pool
from shared.schemas.envelope import read
from tests.conftest import ROLE, Database
from tests.integration.reporting.log import Log, assigned, classified, registered, whole_case
from tests.integration.runtime.world import published


@pytest.fixture(scope="module")
async def log(bootstrap: str, prefix: str, pool: Pool) -> Log:
    log = Log(bootstrap, prefix, pool)
    anna, bert, carl = await log.tell(*(whole_case(f"2026-AAAAAAA{n}-1") for n in range(3)))
    fork = log.body(anna, registered("forged"), sequence=2)
    held, missing = log.body(bert, assigned, sequence=4), log.body(bert, assigned, sequence=3)
    again = log.body(carl, classified)
    await log.publish([fork, held, again, again, missing])
    producer_like = published(again)
    assert producer_like[0] == str(carl).encode()
    await log.read()
    return log


@pytest.fixture
async def superuser(log: Log, owner_pool: Pool) -> AsyncIterator[Connection]:
    """Whoever may do anything in the ledger's database; what they did is undone after the test."""
    async with owner_pool.acquire() as connection:
        for table in INSERT_ONLY:
            await connection.execute(f"create table if not exists saved_{table} as table {table}")
        yield connection
        for table in INSERT_ONLY:
            await connection.execute(f"truncate {table}; insert into {table} table saved_{table}")


async def row_of(connection: Connection, number: str, n: int) -> asyncpg.Record:
    """The n-th accepted event of the case with the number."""
    row = await connection.fetchrow(
        "select l.*, c.case_id, c.n from chain c join ledger l using (topic, part, off)"
        " join register r on r.case_id = c.case_id where r.case_number = $1 and c.n = $2",
        number,
        n,
    )
    assert row is not None
    return row


async def delete(connection: Connection, row: asyncpg.Record) -> None:
    for table in INSERT_ONLY:
        where = "where (topic, part, off) = ($1, $2, $3)"
        await connection.execute(f"delete from {table} {where}", row["topic"], row["part"], row["off"])


async def put_body(connection: Connection, row: asyncpg.Record, body: bytes) -> None:
    where = "where (topic, part, off) = ($1, $2, $3)"
    place = row["topic"], row["part"], row["off"]
    await connection.execute(f"update ledger set body = $4 {where}", *place, body)


async def chain_anew(connection: Connection, topic: str, case: UUID) -> None:
    """As a forger does who knows how the chain is made."""
    rows = await connection.fetch(
        "select c.n, l.body from chain c join ledger l using (topic, part, off)"
        " where topic = $1 and case_id = $2 order by n",
        topic,
        case,
    )
    end = sha256(f"redress/{topic}/{case}".encode()).digest()
    for n, row in enumerate(rows, start=1):
        end = sha256(end + row["body"]).digest()
        await connection.execute(
            "update chain set n = $3, hash = $4 where topic = $1 and case_id = $2 and n = $5",
            topic,
            case,
            n,
            end,
            row["n"],
        )


def names(found: Finding) -> tuple[Kind, str, str, str, int, int | None]:
    return found.kind, found.case, found.event, found.id, found.partition, found.offset


def at(kind: Kind, row: asyncpg.Record) -> tuple[Kind, str, str, str, int, int | None]:
    """What a finding about this record must name."""
    event = read(row["body"])
    name = f"{event.publisher}:{event.sequence}"
    return kind, str(row["case_id"]), name, str(event.id), row["part"], row["off"]


async def findings(log: Log) -> list[Finding]:
    result = await log.verified()
    assert not result.holds
    assert result.kept.total == len(result.kept.findings)
    return result.kept.findings


async def test_an_honest_ledger_holds_whatever_the_gate_said(log: Log, pool: Pool) -> None:
    result = await log.verified()

    assert [str(found) for found in result.kept.findings] == []
    assert result.holds
    assert (result.records, result.events, result.cases) == (20, 18, 3)
    words = await pool.fetch("select verdict, count(*) from ledger group by 1 order by 1")
    assert dict(map(tuple, words)) == {"accepted": 17, "duplicate": 1, "fork": 1, "held": 1}


async def test_processes_beside_the_service_come_to_the_same_result(
    log: Log, superuser: Connection, database: Database
) -> None:
    row = await row_of(superuser, "2026-AAAAAAA0-1", 2)
    await put_body(superuser, row, row["body"].replace(b"cards", b"Cards"))

    here = await log.verified()
    beside = await log.verified(Verifiers(log.bootstrap, database.dsn), few=0)

    assert {**beside.plain(), "seconds": 0} == {**here.plain(), "seconds": 0}
    assert here.kept.total == 1


async def test_what_differs_nowhere_is_settled_by_digests(log: Log) -> None:
    result = await log.verified(at_once=1)
    assert result.singly == 2  # a record that had to wait, and the one that it waited for


async def test_the_service_may_add_to_the_ledger_and_do_nothing_else(
    log: Log, database: Database, pool: Pool, migration_folders: tuple[object, ...]
) -> None:
    await migrate(database.owner_dsn, ROLE, *migration_folders, insert_only=INSERT_ONLY)  # type: ignore[arg-type]
    for table in INSERT_ONLY:
        for command in (f"update {table} set part = 0", f"delete from {table}", f"truncate {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.execute(command)


async def test_a_changed_byte_is_named(log: Log, superuser: Connection) -> None:
    row = await row_of(superuser, "2026-AAAAAAA0-1", 2)
    await put_body(superuser, row, row["body"].replace(b"cards", b"Cards"))

    (found,) = await findings(log)

    assert names(found) == at(Kind.ALTERED, row)


async def test_a_deleted_event_in_the_middle_is_named(log: Log, superuser: Connection) -> None:
    row = await row_of(superuser, "2026-AAAAAAA1-1", 3)
    await delete(superuser, row)

    (found,) = await findings(log)

    assert names(found) == at(Kind.MISSING, row)
    assert found.detail == "the ledger lacks event 3 of 7 of the case"


async def test_the_deleted_last_event_of_a_case_is_named(log: Log, superuser: Connection) -> None:
    row = await row_of(superuser, "2026-AAAAAAA2-1", 6)
    await delete(superuser, row)

    (found,) = await findings(log)

    assert names(found) == at(Kind.MISSING, row)
    assert found.detail == "the ledger lacks the last event of the case, number 6"


async def test_a_deleted_case_is_named_event_by_event(log: Log, superuser: Connection) -> None:
    rows = [await row_of(superuser, "2026-AAAAAAA2-1", n) for n in range(1, 7)]
    for row in rows:
        await delete(superuser, row)

    found = await findings(log)

    assert [names(one) for one in found] == [at(Kind.MISSING, row) for row in rows]
    assert all("the whole case" in one.detail for one in found)


async def test_two_swapped_records_are_named(log: Log, superuser: Connection) -> None:
    one, other = [await row_of(superuser, f"2026-AAAAAAA{n}-1", 2) for n in (0, 1)]
    for row, with_that in ((one, other), (other, one)):
        await superuser.execute(
            "update ledger set key = $4, headers = $5, body = $6 where (topic, part, off) = ($1, $2, $3)",
            *(row["topic"], row["part"], row["off"]),
            *(with_that["key"], with_that["headers"], with_that["body"]),
        )

    found = await findings(log)

    expected = [at(Kind.SWAPPED, row) for row in (one, other)]
    assert sorted(map(names, found)) == sorted(expected)


async def test_an_edit_with_its_chain_computed_anew_is_named(log: Log, superuser: Connection) -> None:
    row = await row_of(superuser, "2026-AAAAAAA0-1", 2)
    await put_body(superuser, row, row["body"].replace(b"cards", b"Cards"))
    await chain_anew(superuser, row["topic"], row["case_id"])

    found = await findings(log)

    assert sorted(map(names, found)) == [at(Kind.ALTERED, row), at(Kind.CHAIN_RECOMPUTED, row)]


async def test_a_record_that_the_topic_never_had_is_named(log: Log, superuser: Connection) -> None:
    row = await row_of(superuser, "2026-AAAAAAA0-1", 1)
    await superuser.execute(
        "insert into ledger select topic, part, off + 1000, key, headers, verdict, body from ledger"
        " where (topic, part, off) = ($1, $2, $3)",
        *(row["topic"], row["part"], row["off"]),
    )

    partition, found = await findings(log)

    assert (partition.kind, partition.partition) == (Kind.TOPIC_SHORTER, row["part"])
    assert (found.kind, found.case, found.offset) == (Kind.INVENTED, str(row["case_id"]), row["off"] + 1000)


async def test_a_record_of_a_partition_that_is_not_there_is_named(log: Log, superuser: Connection) -> None:
    row = await row_of(superuser, "2026-AAAAAAA0-1", 1)
    await superuser.execute(
        "insert into ledger select topic, 99, off, key, headers, verdict, body from ledger"
        " where (topic, part, off) = ($1, $2, $3)",
        *(row["topic"], row["part"], row["off"]),
    )

    (found,) = await findings(log)

    assert (found.kind, found.case, found.partition) == (Kind.INVENTED, str(row["case_id"]), 99)


async def test_a_ledger_that_has_not_read_everything_is_no_proof(log: Log, superuser: Connection) -> None:
    topic = f"{log.prefix}.cases"
    part, end = await superuser.fetchrow(  # type: ignore[misc]
        "select part, next from positions where topic = $1 and next > 0 order by part limit 1", topic
    )
    await superuser.execute("update positions set next = 0 where (topic, part) = ($1, $2)", topic, part)
    (found,) = await findings(log)
    await superuser.execute("update positions set next = $3 where (topic, part) = ($1, $2)", topic, part, end)

    assert (found.kind, found.topic, found.partition) == (Kind.LEDGER_BEHIND, topic, part)


async def test_a_foreign_row_in_the_way_never_stops_the_ledger(log: Log, superuser: Connection) -> None:
    topic = f"{log.prefix}.cases"
    places = await superuser.fetch("select part, next from positions where topic = $1", topic)
    for part, following in places:
        await superuser.execute(
            "insert into ledger (topic, part, off, headers, verdict) values ($1, $2, $3, '[]', 'aside')",
            *(topic, part, following),
        )
    (case,) = await log.tell(whole_case("2026-AAAAAAA9-1")[:1])
    await log.read()

    found = await findings(log)

    assert (Kind.ALTERED, str(case)) in {(one.kind, one.case) for one in found}
