"""Whatever upstream systems post: what is bad goes to complaints.rejected with its reason, what is good goes on."""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from redress.stack import Stack
from services.intake.domain.identity import complaint_of_reference
from shared.runtime.ids import fresh_id
from shared.runtime.keyring import open_keyring
from shared.runtime.sealing import Sealer
from shared.schemas.privacy import Kept, Sealed
from tests.journeys.acting import INBOUND, REJECTED, Record, everything_on, publish, query, upstream
from tests.journeys.searching import found
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)

BAD = 200
SMUGGLED = f"smuggled{fresh_id().hex}"
"""Stands in every bad event, in a place that is personal."""
SIZE = 150_000
RUN = fresh_id().hex


@dataclass(frozen=True, slots=True)
class Bad:
    """What is posted, and the field that its refusal has to name."""

    kind: str
    record: Record
    field: str


def changed(*path: str | int, to: Any) -> bytes:
    """A complaint in which one thing is another; None takes it away."""
    event: Any = upstream(f"bad-{fresh_id()}", narrative=SMUGGLED, name=SMUGGLED)
    place = event
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return orjson.dumps(event)


def whole() -> bytes:
    return orjson.dumps(upstream(f"bad-{fresh_id()}", narrative=SMUGGLED))


def binary(**said: bytes | None) -> Record:
    """A complaint in binary mode: attributes in headers, the data alone in the value."""
    attributes: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": b"1",
        "ce_source": b"web-shop",
        "ce_subject": b"bad",
        "ce_type": b"upstream.complaint.v1",
        "ce_time": b"2026-03-02T12:00:00Z",
    }
    data = orjson.dumps({"channel": "phone", "narrative": SMUGGLED})
    headers = [(name, value) for name, value in (attributes | said).items() if value != b"-"]
    return Record(b"bad", data, headers)


def values() -> Iterator[tuple[str, bytes | None, str]]:
    """Kinds of bad values, each with the field that is at fault."""
    long = SMUGGLED + "x" * SIZE
    nul = SMUGGLED + "\x00"
    yield "nothing", None, "body"
    yield "empty", b"", "body"
    yield "no JSON", SMUGGLED.encode(), "body"
    yield "cut off", whole()[:-40], "body"
    yield "half an event", whole()[: len(whole()) // 2], "body"
    yield "two events", whole() + whole(), "body"
    yield "a list", b"[" + whole() + b"]", "body"
    yield "a text", orjson.dumps(SMUGGLED), "body"
    yield "a number", b"42", "body"
    yield "null", b"null", "body"
    yield (
        "not a number",
        changed("data", "severity", to=3).replace(b'"severity":3', b'"severity":NaN'),
        "severity",
    )
    yield (
        "bytes that are no UTF-8",
        whole().replace(SMUGGLED.encode(), SMUGGLED.encode() + b"\xff\xfe"),
        "narrative",
    )
    yield "UTF-16", whole().decode().encode("utf-16"), "body"
    yield (
        "half a surrogate pair",
        whole().replace(SMUGGLED.encode(), SMUGGLED.encode() + b"\\ud800"),
        "narrative",
    )
    yield "NUL in the narrative", changed("data", "narrative", to=nul), "narrative"
    yield "NUL in the name", changed("data", "name", to=nul), "name"
    yield "a line break in the reference", changed("subject", to="a\nb"), "subject"
    yield "an endless narrative", changed("data", "narrative", to=long), "narrative"
    yield "an endless name", changed("data", "name", to=long[:5000]), "name"
    yield "an endless reference", changed("subject", to="r" * 5000), "subject"
    yield "a narrative of many bytes", changed("data", "narrative", to=SMUGGLED + "€" * 90_000), "narrative"
    yield (
        "a list nested deep",
        changed("data", "wish", to=[]).replace(b'"wish":[]', b'"wish":' + b"[" * 5000 + b"]" * 5000),
        "body",
    )
    yield "objects nested deep", b'{"data":' * 3000 + b"1" + b"}" * 3000, "body"
    yield (
        "a thousand details",
        changed("data", "details", to={f"d{n}": SMUGGLED for n in range(1000)}),
        "details",
    )
    yield "details of details", changed("data", "details", to={"a": {"b": SMUGGLED}}), "details.a"
    yield "an unknown type", changed("type", to="upstream.song.v1"), "type"
    yield "one of our own types", changed("type", to="intake.complaint-received.v1"), "type"
    yield "no type", changed("type", to=None), "type"
    yield "a type that is no text", changed("type", to=["upstream.complaint.v1"]), "type"
    yield "another version", changed("specversion", to="0.3"), "specversion"
    yield "no id", changed("id", to=None), "id"
    yield "no source", changed("source", to=None), "source"
    yield "no subject", changed("subject", to=None), "subject"
    yield "no data", changed("data", to=None), "data"
    yield "data that is a text", changed("data", to=SMUGGLED), "data"
    yield "data in base64", changed("data", to=base64.b64encode(SMUGGLED.encode()).decode()), "data"
    yield "an unknown field", changed("data", "nickname", to=SMUGGLED), "nickname"
    yield "an unknown field that tells", changed("data", f"{SMUGGLED} Ä", to=1), "?"
    yield "no channel", changed("data", "channel", to=None), "channel"
    yield "an unknown channel", changed("data", "channel", to=SMUGGLED), "channel"
    yield "a wish that is none", changed("data", "wish", to=["gold"]), "wish.0"
    yield "a wish that is a text", changed("data", "wish", to="repair"), "wish"
    yield "a degree too high", changed("data", "annoyance", to=9), "annoyance"
    yield "a degree in words", changed("data", "annoyance", to="very"), "annoyance"
    yield "yes in words", changed("data", "restricted", to="yes"), "restricted"
    yield "a date that is none", changed("data", "occurred_at", to="2026-02-30T12:00:00Z"), "occurred_at"
    yield "a moment without a zone", changed("data", "occurred_at", to="2026-02-03T12:00:00"), "occurred_at"
    yield "a number for a moment", changed("data", "occurred_at", to=20260203), "occurred_at"
    yield "a moment before all", changed("data", "occurred_at", to="0001-01-01T00:00:00Z"), "occurred_at"
    yield "a wrong time of the event", changed("time", to=SMUGGLED), "time"
    yield "a zone that is none", changed("data", "time_zone", to="Mars/Olympus"), "time_zone"
    yield "a language that is none", changed("data", "language", to="!"), "language"
    yield "a category of numbers", changed("data", "category", to=[1, 2]), "category.0"
    yield "an empty category", changed("data", "category", to=[]), "category"
    yield "a fact that is none", changed("data", "facts", to=[{"kind": "sung"}]), "facts.0.kind"


def bad_events() -> list[Bad]:
    """Two hundred of them: every kind of value under every kind of key, and binary mode."""
    kinds = [
        Bad("binary: no type", binary(ce_type=b"-"), "type"),
        Bad("binary: no id", binary(ce_id=b"-"), "id"),
        Bad("binary: a source that is no text", binary(ce_source=b"\xff\xfe\x00"), "source"),
        Bad("binary: a header without a value", binary(ce_subject=None), "subject"),
        Bad("binary: another version", binary(ce_specversion=b"2"), "specversion"),
        Bad("binary: no JSON", Record(b"bad", SMUGGLED.encode(), binary().headers), "body"),
        Bad("binary: no value", Record(b"bad", None, binary().headers), "data"),
    ]
    for key in (b"web-shop/bad", None, b"\xff\x00", b""):
        kinds += [Bad(f"{kind}, key {key!r}", Record(key, value), field) for kind, value, field in values()]
    return kinds[:BAD]


@pytest.fixture(scope="module")
def said_before(stack: Stack) -> int:
    """How much intake had logged before anything bad was posted."""
    return log_of(stack).stat().st_size


def log_of(stack: Stack) -> Path:
    return stack.layout.logs / "intake.log"


@pytest.fixture(scope="module")
async def posted(stack: Stack, said_before: int) -> dict[tuple[int, int], Bad]:
    """The bad events by where they stand, each followed by a good one in the same partition."""
    bad = bad_events()
    partitions = 12
    records = []
    for number, one in enumerate(bad):
        good = upstream(f"good-{RUN}-{number}", product="Sonnenschirm", unit="customer-care")
        where = number % partitions
        records.append(Record(one.record.key, one.record.value, one.record.headers, where))
        records.append(Record(f"web-shop/good-{number}".encode(), orjson.dumps(good), (), where))
    places = publish(stack, INBOUND, records)
    return dict(zip(places[::2], bad, strict=True))


async def test_a_good_event_behind_every_bad_one_is_received_and_intake_stays_ready(
    stack: Stack, posted: dict[tuple[int, int], Bad]
) -> None:
    good = [complaint_of_reference("web-shop", f"good-{RUN}-{number}") for number in range(BAD)]
    question = "select count(*) from case_numbers where case_id = any($1)"
    answers: Counter[int] = Counter()
    async with httpx.AsyncClient(base_url=stack.env["INTAKE_URL"], trust_env=False) as client:

        async def all_received() -> bool:
            answers[(await client.get("/readyz")).status_code] += 1
            ((count,),) = await query(stack.env["PG_DSN_INTAKE"], question, good)
            return bool(count == BAD)

        await until(all_received, 90)
    assert set(answers) == {200}


async def notices(stack: Stack, posted: dict[tuple[int, int], Bad]) -> dict[tuple[int, int], dict[str, Any]]:
    """What complaints.rejected says about what was posted, by where it stood."""
    told = {}
    for record in everything_on(stack.env["KAFKA_BOOTSTRAP"], REJECTED):
        notice = orjson.loads(record.value() or b"")
        topic, _, place = notice["data"]["origin"].partition("/")
        if topic == INBOUND:
            partition, _, offset = place.partition("/")
            told[int(partition), int(offset)] = notice
    return {place: notice for place, notice in told.items() if place in posted}


async def test_each_bad_event_is_told_back_whole_with_reason_and_field_in_clear(
    stack: Stack, posted: dict[tuple[int, int], Bad]
) -> None:
    told: dict[tuple[int, int], dict[str, Any]] = {}

    async def all_told() -> bool:
        told.update(await notices(stack, posted))
        return len(told) == BAD

    try:
        await until(all_told, 60)
    except AssertionError:
        pytest.fail(f"not told back: {[bad.kind for place, bad in posted.items() if place not in told]}")
    wrong = {
        bad.kind: (bad.field, told[place]["data"]["field"], told[place]["data"]["reason"])
        for place, bad in posted.items()
        if told[place]["data"]["field"] != bad.field or not told[place]["data"]["reason"]
    }
    assert wrong == {}
    master = base64.b64decode(stack.layout.keyring_master_key.read_text().strip())
    keyring = await open_keyring(stack.env["KEYRING_DSN_INTAKE"], master, "journey")
    try:
        sealer = Sealer(keyring)
        for name in ("raw", "key"):
            here = {place: one for place, one in told.items() if name in one["data"]}
            kept = [Kept(UUID(one["id"]), name, Sealed(**one["data"][name])) for one in here.values()]
            texts = dict(zip(here, await sealer.unseal(kept), strict=True))
            for place, bad in posted.items():
                text = texts.get(place)
                kept_of = None if text is None else base64.b64decode(text)
                assert kept_of == (whole_of(bad.record) if name == "raw" else bad.record.key), (
                    bad.kind,
                    name,
                )
    finally:
        await keyring.close()


def whole_of(record: Record) -> bytes:
    """What was sent; of binary mode the attributes too, for the data alone could not be sent again."""
    value = record.value or b""
    if not record.headers:
        return value
    said = {name.removeprefix("ce_"): (it or b"").decode("utf-8", "replace") for name, it in record.headers}
    return orjson.dumps(said)[:-1] + b',"data":' + (value or b"null") + b"}"


async def test_nothing_of_a_bad_event_stands_anywhere_in_clear(
    stack: Stack, posted: dict[tuple[int, int], Bad]
) -> None:
    places = (await found(stack, {"smuggled": SMUGGLED}))["smuggled"]
    assert places <= {f"topic {INBOUND}"}  # until intake has the broker delete what it has read


async def test_no_service_answered_with_an_error_of_its_own(
    stack: Stack, posted: dict[tuple[int, int], Bad], said_before: int
) -> None:
    said = [orjson.loads(line) for line in log_of(stack).read_bytes()[said_before:].splitlines()]
    assert [line for line in said if line.get("status", 0) >= 500 or line["level"] == "critical"] == []
    question = "select topic, part, off, why from aside where topic = $1"
    assert await query(stack.env["PG_DSN_INTAKE"], question, INBOUND) == []
