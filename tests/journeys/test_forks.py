"""Records that nobody should have written: which case they stop, which they do not, and who lets it go on."""

from collections.abc import Callable
from uuid import UUID

import orjson
import pytest

from redress.client import Client
from redress.stack import Stack
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from shared.schemas.envelope import headers
from tests.journeys.acting import (
    CASES,
    SERVICES,
    Opened,
    Record,
    everything_on,
    gate_of,
    problem,
    publish,
    query,
    receive,
    redress,
    seen,
    tell,
)
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)
Caller = Callable[..., Client]


def published(stack: Stack, case: str) -> list[Record]:
    """A case's records as a foreign reader finds them."""
    return [
        Record(record.key(), record.value(), record.headers() or [], record.partition())
        for record in everything_on(stack.env["KAFKA_BOOTSTRAP"], CASES)
        if record.key() == case.encode()
    ]


def forged(record: Record) -> Record:
    """The same place in the case, claimed by another event."""
    event = {**orjson.loads(record.value or b""), "id": str(fresh_id())}
    said = dict(record.headers) | {"ce_id": event["id"].encode()}
    return Record(record.key, orjson.dumps(event), list(said.items()), record.partition)


async def read_everywhere(stack: Stack, place: tuple[int, int]) -> None:
    """Waits until every service has read the record at this place."""
    question = "select next from positions where topic = $1 and part = $2"

    async def behind() -> bool:
        found = [
            await query(stack.env[f"PG_DSN_{name.upper()}"], question, CASES, place[0]) for name in SERVICES
        ]
        return all(rows and rows[0][0] > place[1] for rows in found)

    await until(behind)


async def standing(stack: Stack, case: str) -> dict[str, tuple[int, str | None]]:
    """Of each service: forks that nobody has acknowledged, and why the case is parked."""
    found = {name: await gate_of(stack, name, case) for name in SERVICES}
    return {name: (row["forks"], row["parked"]) for name, row in found.items() if row}


def refused_at(caller: Caller, case: str) -> dict[str, tuple[int, str]]:
    """How the deciding services refuse a command on the case."""
    said = {"category": ["goods", "defect"]}
    classified = caller(Role.CM).ask(
        "intake", "POST", f"/v1/cases/{case}/classification", json=said, accept=(503,)
    )
    assigned = tell(caller(Role.LEAD), case, "assignment", {"owner": "eva"}, accept=(503,))
    return {"intake": problem(classified), "processing": problem(assigned)}


def parked(stack: Stack, case: str) -> list[str]:
    """The services under which `redress parked list` names the case."""
    done = redress(stack, "parked", "list")
    assert done.returncode == 0, done.stderr
    return [line.split()[0] for line in done.stdout.splitlines() if case in line]


PARKED = {"intake": (503, "case-parked"), "processing": (503, "case-parked")}


def works(caller: Caller, opened: Opened) -> None:
    """Its next command is carried out, and reporting reads what it made."""
    told = tell(caller(Role.LEAD), opened.case, "assignment", {"owner": str(fresh_id())}, token=opened.token)
    assert told.json()["events"]
    path = f"/v1/cases/{opened.case}/replay"
    shown = seen(caller(Role.AUD), "reporting", path, told.headers["Redress-Token"])
    assert (shown["freshness"]["fresh"], shown["parked"]) == (True, None)


async def clocks_started(caller: Caller, opened: Opened) -> None:
    """Waits until processing has done at once what it owes."""
    path = f"/v1/cases/{opened.case}"
    await until(lambda: len(seen(caller(Role.LEAD), "processing", path, opened.token)["clocks"]) == 2)


async def test_a_forked_case_rests_in_every_service_until_an_auditor_has_acknowledged_it(
    stack: Stack, caller: Caller
) -> None:
    opened, other = receive(caller(Role.INT)), receive(caller(Role.INT))
    await clocks_started(caller, opened)
    works(caller, opened)
    (place,) = publish(stack, CASES, [forged(published(stack, opened.case)[0])])
    await read_everywhere(stack, place)

    assert await standing(stack, opened.case) == dict.fromkeys(SERVICES, (1, None))
    assert await standing(stack, other.case) == dict.fromkeys(SERVICES, (0, None))
    assert refused_at(caller, opened.case) == PARKED
    assert parked(stack, opened.case) == list(SERVICES)
    works(caller, other)
    auditor = caller(Role.AUD)
    path = f"/v1/cases/{opened.case}"
    assert seen(auditor, "reporting", f"{path}/replay")["parked"] == "forked"
    (fork,) = seen(auditor, "reporting", f"{path}/forks")["items"]
    assert ((fork["partition"], fork["offset"]), fork["acknowledged"]) == (place, False)

    said = {"finding": "stray-producer"}
    told = auditor.ask("reporting", "POST", f"{path}/forks/acknowledgement", json=said).json()
    assert [event["type"] for event in told["events"]] == ["reporting.fork-acknowledged.v1"]

    async def goes_on() -> bool:
        return await standing(stack, opened.case) == dict.fromkeys(SERVICES, (0, None))

    await until(goes_on)
    works(caller, opened)
    said = {"category": ["service", "poor-quality"]}
    assert caller(Role.CM).ask("intake", "POST", f"{path}/classification", json=said).json()["events"]
    for name in SERVICES:
        listed = caller(Role.OPS).ask(name, "GET", "/v1/parked").json()["items"]
        assert opened.case not in [item["case"] for item in listed]


async def test_an_event_of_a_type_that_nobody_knows_parks_its_case_and_no_other(
    stack: Stack, caller: Caller
) -> None:
    opened, other = receive(caller(Role.INT)), receive(caller(Role.INT))
    await clocks_started(caller, opened)
    record = published(stack, opened.case)[0]
    unknown, new = "reaction.solution-sung.v1", fresh_id()
    event = {
        **orjson.loads(record.value or b""),
        "id": str(new),
        "type": unknown,
        "source": "/services/reaction",
        "sequence": "0000000001",
        "data": {},
    }
    said = headers(unknown, UUID(str(new)), "reaction", 1)
    (place,) = publish(stack, CASES, [Record(record.key, orjson.dumps(event), said, record.partition)])
    await read_everywhere(stack, place)
    why = {name: parked for name, (_, parked) in (await standing(stack, opened.case)).items()}
    assert set(why) == set(SERVICES)
    assert all(reason and reason.startswith(f"unreadable {unknown}") for reason in why.values()), why
    assert refused_at(caller, opened.case) == PARKED
    assert parked(stack, opened.case) == list(SERVICES)
    released = redress(stack, "parked", "release", opened.case)
    assert (released.returncode, released.stdout.count('"released": false')) == (0, len(SERVICES))
    works(caller, other)


async def test_what_has_no_readable_place_is_kept_aside_and_the_partition_goes_on(
    stack: Stack, caller: Caller
) -> None:
    opened = receive(caller(Role.INT))
    await clocks_started(caller, opened)
    record = published(stack, opened.case)[0]
    said = dict(record.headers)
    stranger = str(fresh_id()).encode()
    bad = {
        "no headers": Record(record.key, record.value),
        "unreadable sequence": Record(
            record.key, record.value, list((said | {"ce_sequence": b"first"}).items())
        ),
        "headers that are no text": Record(
            record.key, record.value, list((said | {"ce_type": b"\xff\xfe\x00"}).items())
        ),
        "a header without a value": Record(
            record.key, record.value, list((said | {"ce_sequence": None}).items())
        ),
        "no key": Record(None, record.value, record.headers),
        "a key that is no case": Record(b"\x00\xff", record.value, record.headers),
        "a key that is not the subject": Record(stranger, record.value, record.headers),
        "no value": Record(record.key, None, record.headers),
        "posing as another service": Record(
            record.key, record.value, list((said | {"ce_source": b"/services/processing"}).items())
        ),
    }
    places = publish(
        stack, CASES, [Record(r.key, r.value, r.headers, record.partition) for r in bad.values()]
    )
    await read_everywhere(stack, places[-1])
    for name in SERVICES:
        dsn = stack.env[f"PG_DSN_{name.upper()}"]
        kept = await query(
            dsn, "select off, why, key, body from aside where topic = $1 and part = $2", CASES, places[0][0]
        )
        found = {row["off"]: row for row in kept}
        for (kind, wrong), (_, offset) in zip(bad.items(), places, strict=True):
            assert (found[offset]["key"], found[offset]["body"]) == (wrong.key, wrong.value), (name, kind)
            assert found[offset]["why"], (name, kind)
    assert await standing(stack, opened.case) == dict.fromkeys(SERVICES, (0, None))
    works(caller, opened)
    assert redress(stack, "audit", "verify").returncode == 0
