"""What upstream systems post to the topic is received once; what cannot be read is told back and stops nothing."""

import base64
import json
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.intake.domain.identity import complaint_of_reference
from shared.runtime.ids import fresh_id
from shared.runtime.keyring import REJECTED, KeyName
from shared.schemas.privacy import Kept, Sealed
from shared.schemas.topics import topic_name
from tests.integration.intake.world import World
from tests.waiting import until

CANARY = "canary-77aa"


def event(subject: str, kind: str = "complaint", **data: Any) -> dict[str, Any]:
    common = {"channel": "web-form", "narrative": "Zu spät."} if kind == "complaint" else {"kind": "closed"}
    return {
        "specversion": "1.0",
        "id": str(fresh_id()),
        "source": "web-shop",
        "subject": subject,
        "type": f"upstream.{kind}.v1",
        "data": {**common, **data},
    }


async def told_back(world: World, before: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The notices that came since, once there are so many."""
    known = {notice["id"] for notice in before}

    async def since() -> list[dict[str, Any]]:
        return [notice for notice in await world.published("rejected") if notice["id"] not in known]

    async def enough() -> bool:
        return len(await since()) >= count

    await until(enough)
    return await since()


async def test_a_posted_complaint_is_received_once(world: World) -> None:
    subject = str(fresh_id())
    said = event(subject)
    for _ in range(3):
        await world.send(said)
    await world.send(event(subject, "fact", label="paid"))
    case = str(complaint_of_reference("web-shop", subject))

    async def told() -> bool:
        return len(await world.events(case)) >= 3

    await until(told)
    types = [each["type"] for each in await world.events(case)]
    assert types == [
        "intake.complaint-received.v1",
        "intake.complaint-registered.v1",
        "intake.upstream-fact-received.v1",
    ]
    first = (await world.events(case))[0]
    assert (first["actor"], first["actorkind"], first["causationid"]) == ("web-shop", "upstream", said["id"])
    assert (await world.read(case))["origin"] == "live"


async def test_other_content_is_a_change(world: World) -> None:
    subject = str(fresh_id())
    await world.send(event(subject))
    await world.send(event(subject, product="parcel"))
    await world.send(event(subject))
    case = str(complaint_of_reference("web-shop", subject))

    async def corrected() -> bool:
        return bool((await world.read(case))["corrections"] == 1)

    await until(corrected)
    assert (await world.read(case))["product"] == "parcel"


def malformed(chance: random.Random) -> tuple[bytes, str]:
    """Something that nobody can read, and the field that is wrong."""
    good = event(str(fresh_id()), narrative=CANARY)
    data = good["data"]
    choices: list[tuple[Any, str]] = [
        (b"\xff\xfe" + CANARY.encode(), "body"),
        (CANARY.encode(), "body"),
        ({**good, "type": "upstream.praise.v1"}, "type"),
        ({**good, "subject": ""}, "subject"),
        ({**good, "data": {**data, "channel": "pigeon"}}, "channel"),
        ({**good, "data": {**data, "narrative": CANARY + "\0"}}, "narrative"),
        ({**good, "data": {**data, "occurred_at": "31.12.2025"}}, "occurred_at"),
        ({**good, "data": {**data, "occurred_at": "2999-12-31T00:00:00Z"}}, "occurred_at"),
        ({**good, "data": {**data, "severity": 9}}, "severity"),
        ({**good, "data": {**data, "facts": [{"kind": "praised"}]}}, "facts.0.kind"),
        (json.dumps(good).encode().replace(CANARY.encode(), b"\xe4" + CANARY.encode()), "narrative"),
        (event(str(fresh_id()), "fact"), "body"),
    ]
    what, field = chance.choice(choices)
    return (what if isinstance(what, bytes) else json.dumps(what).encode()), field


async def test_two_hundred_malformed_messages_are_each_told_back_by_field_and_stop_nothing(
    world: World,
) -> None:
    chance = random.Random(7)
    before = await world.published("rejected")
    wanted = []
    for number in range(200):
        body, field = malformed(chance)
        wanted.append(field)
        await world.send(body, key=f"k{number % 5}")
    subject = str(fresh_id())
    await world.send(event(subject))
    notices = await told_back(world, before, 200)
    assert sorted(notice["data"]["field"] for notice in notices) == sorted(wanted)
    assert all(notice["type"] == "intake.message-rejected.v1" for notice in notices)
    assert CANARY not in json.dumps(notices)
    await world.read(str(complaint_of_reference("web-shop", subject)))


async def test_what_was_refused_can_be_read_until_its_key_is_destroyed(world: World) -> None:
    before = await world.published("rejected")
    raw = f"not json {CANARY}".encode()
    await world.send(raw, key="secret-key")
    (notice,) = await told_back(world, before, 1)
    parts = world.running.parts
    place = [Kept(UUID(notice["id"]), "raw", Sealed(**notice["data"]["raw"]))]
    (text,) = await parts.sealer.unseal(place)
    assert text is not None
    assert base64.b64decode(text) == raw
    assert "secret-key" not in json.dumps(notice)
    await parts.keyring.destroy_due(datetime(2999, 1, 1, tzinfo=UTC))
    await parts.sealer.forget()
    assert await parts.sealer.unseal(place) == [None]
    name = KeyName(UUID(notice["id"]), UUID(notice["id"]), REJECTED)
    assert await parts.keyring.keys_for([name]) == {name: None}


async def test_a_message_about_a_parked_case_waits_for_nobody(world: World) -> None:
    subject, before = str(fresh_id()), await world.published("rejected")
    await world.send(event(subject))
    case = complaint_of_reference("web-shop", subject)
    await world.read(str(case))
    await world.running.parts.pool.execute("update cases set parked = 'by hand' where id = $1", case)
    await world.send(event(subject, product="parcel"))
    (notice,) = await told_back(world, before, 1)
    assert (notice["data"]["reason"], notice["data"]["field"]) == ("case-parked", "subject")
    await world.running.parts.pool.execute("update cases set parked = null where id = $1", case)


async def test_no_message_is_left_unread_behind_another(world: World) -> None:
    await world.send(event(str(fresh_id())))
    topic = topic_name(world.prefix, "inbound")

    async def passed() -> bool:
        ends = await world.running.offsets.ends([(topic, part) for part in range(3)])
        rows = await world.running.parts.pool.fetch(
            "select part, next from positions where topic = $1", topic
        )
        at = {(topic, row["part"]): row["next"] for row in rows}
        return all(at.get(place, 0) >= end for place, end in ends.items())

    await until(passed)
