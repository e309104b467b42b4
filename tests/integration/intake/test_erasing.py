"""An ordered erasure destroys the keys at once and is confirmed when no process can remember them any more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.intake.adapters.desk import Desk
from services.intake.application.erasing import Erasure
from services.intake.domain.owed import owed
from services.intake.projections.erased_keys import erased_kids
from shared.runtime.auth import Role
from shared.runtime.clock import system_clock
from shared.runtime.ids import fresh_id
from shared.runtime.owed import Later, Owing, pay, refold
from shared.runtime.sealing import ERASED
from tests.integration.intake.world import World
from tests.waiting import until

BODY = {
    "channel": "phone",
    "narrative": "canary-e2c1",
    "name": "Erika",
    "product": "parcel",
    "details": {"state": "BE"},
}


@pytest.fixture
def erasure(world: World) -> Erasure:
    running = world.running
    return Erasure(running.parts.keyring, Desk(running).scheme, running.clock, system_clock)


async def ordered(world: World, **more: Any) -> str:
    case = str((await world.post({**BODY, **more})).json()["case_id"])
    await world.read(case)
    answer = await world.ask(Role.DPO, "POST", f"/v1/cases/{case}/erasure", {})
    assert answer.status_code == 202, answer.text
    assert answer.json()["events"] == ["intake.erasure-ordered.v1"]
    return case


async def confirmed(world: World, erasure: Erasure, case: str) -> None:
    """Pays what is owed as if nobody remembered keys for longer than a moment."""
    at_once = replace(erasure, remembered=timedelta(0))
    owing = Owing(world.running.parts.office, world.running.blueprint.owed, at_once.perform)

    async def erased() -> bool:
        pool = world.running.parts.pool
        await refold(pool, owing)
        await pool.execute("update owed set leased = '-infinity' where case_id = $1", UUID(case))
        await pay(pool, owing, system_clock)
        await world.running.parts.sealer.forget()
        return bool((await world.read(case))["erased"])

    await until(erased)


async def test_keys_are_destroyed_first_and_nothing_is_confirmed_before_a_minute_is_over(
    world: World, erasure: Erasure
) -> None:
    case = UUID(await ordered(world))
    _, complaint = await world.running.parts.office.look(case)
    (work,) = owed(complaint.case)
    with pytest.raises(Later) as later:
        await erasure.perform(case, complaint, work)
    assert 50 < later.value.seconds <= 61
    much_later = replace(erasure, real=lambda: system_clock() + timedelta(seconds=62))
    (event,) = (await much_later.perform(case, complaint, work)).decided
    assert len(event.kids) == 2  # type: ignore[union-attr]


async def test_what_is_erased_is_shown_as_erased_and_the_rest_stays(world: World, erasure: Erasure) -> None:
    case = await ordered(world)
    before = await world.events(case)
    await confirmed(world, erasure, case)
    read = await world.read(case)
    assert read["personal"] == {
        "name": ERASED,
        "email": None,
        "phone": None,
        "customer_number": None,
        "narrative": ERASED,
        "details": ERASED,
    }
    assert (read["product"], read["state"]) == ("parcel", "registered")
    assert read["erased"] == ["contact", "correspondence", "narrative", "payment"]

    async def told() -> bool:
        return len(await world.events(case)) == len(before) + 1

    await until(told)
    events = await world.events(case)
    assert events[: len(before)] == before
    assert events[-1]["data"]["order"] == before[-1]["id"]
    kids = set(events[-1]["data"]["kids"])

    async def projected() -> bool:
        return kids <= set(await erased_kids(world.running.parts.pool))

    await until(projected)


async def test_what_is_erased_does_not_come_back_when_the_source_sends_it_again(
    world: World, erasure: Erasure
) -> None:
    source = {"source_system": "shop", "source_reference": str(fresh_id())}
    case = await ordered(world, **source)
    await confirmed(world, erasure, case)
    again = await world.post({**BODY, **source, "narrative": "canary again", "name": "Erika M."})
    assert again.json()["result"] == "known"
    assert (await world.read(case))["personal"]["narrative"] == ERASED


async def test_a_subject_is_erased_in_every_case(world: World) -> None:
    customer = {"customer_number": f"K-{fresh_id()}"}
    cases = [(await world.post({**BODY, **customer})).json()["case_id"] for _ in range(3)]
    reads = [await world.read(case) for case in cases]
    (subject,) = {read["subject_id"] for read in reads}
    answer = await world.ask(Role.DPO, "POST", f"/v1/subjects/{subject}/erasure", {"basis": "gdpr-17"})
    assert answer.status_code == 202
    assert sorted((each["case_id"], each["result"]) for each in answer.json()["cases"]) == sorted(
        (case, "ordered") for case in cases
    )
    again = await world.ask(Role.DPO, "POST", f"/v1/subjects/{subject}/erasure", {})
    assert {each["result"] for each in again.json()["cases"]} == {"known"}
    unknown = await world.ask(Role.DPO, "POST", f"/v1/subjects/{fresh_id()}/erasure", {})
    assert unknown.status_code == 404
