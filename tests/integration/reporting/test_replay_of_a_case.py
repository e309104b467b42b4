"""An auditor replays a case, asks why a field has its value, and reads what was erased as erased."""

from datetime import timedelta
from uuid import UUID

import pytest

from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from shared.runtime.sealing import ERASED
from shared.schemas.base import Event
from shared.schemas.codes import Channel
from shared.schemas.envelope import Draft, serialised
from shared.schemas.intake import ComplaintDataCorrected
from shared.schemas.privacy import Clear
from tests.integration.reporting.log import assigned, received, registered, whole_case
from tests.integration.reporting.world import Reporting
from tests.integration.runtime.world import EVA, NOON

CANARY = "Kanarienvogel 4711"


@pytest.fixture(scope="module")
async def case(service: Reporting) -> UUID:
    """Received by letter, corrected to fax."""
    corrected = ComplaintDataCorrected(fields=["channel"], reason="typing-error", channel=Channel.FAX)
    events = [*whole_case("2026-AAAAAAAA-1", channel=Channel.LETTER), corrected]
    (told,) = await service.log.tell(events)
    await service.reads(told)
    return told


async def sealed_case(service: Reporting, number: str) -> UUID:
    """A case whose complainant's name is sealed."""
    case, event_id = fresh_id(), fresh_id()
    clear = received(number).model_copy(update={"name": Clear(text=CANARY)})
    (event,) = await service.running.parts.sealer.seal([(event_id, UUID(int=77), case, clear)])
    await service.log.publish([_draft(case, event_id, event).body(1, "")])
    service.log.numbers[case, "intake"] = 1
    await service.reads(case)
    return case


def _draft(case: UUID, event_id: UUID, event: Event) -> Draft:
    return Draft(event_id, case, event.type, serialised(event), NOON, NOON, EVA, fresh_id(), case)


async def test_a_case_is_found_by_its_number_and_by_its_id(service: Reporting, case: UUID) -> None:
    by_number = await service.told("/v1/cases/2026-AAAAAAAA-1/replay")
    by_id = await service.told(f"/v1/cases/{case}/replay")
    assert by_number["state"] == by_id["state"]
    assert by_id["state"]["course.stage"] == "in-progress"
    assert (by_id["events"], by_id["counted"], by_id["parked"]) == (6, 6, None)


async def test_the_case_is_told_step_by_step_with_who_when_and_what_changed(
    service: Reporting, case: UUID
) -> None:
    steps = (await service.told(f"/v1/cases/{case}/replay", step="true"))["steps"]

    assert [step["event"] for step in steps][:3] == ["intake:1", "intake:2", "intake:3"]
    assert steps[0]["who"] == {"id": "eva", "role": "OWN", "kind": "human", "on_behalf_of": None}
    assert steps[0]["sentence"]["de"] == "Beschwerde 2026-AAAAAAAA-1 angenommen (letter)"
    assert {"field": "record.channel", "before": "letter", "after": "fax"} in steps[-1]["changes"]


async def test_before_anything_was_known_there_is_nothing(service: Reporting, case: UUID) -> None:
    before = (NOON - timedelta(seconds=1)).isoformat()
    told = await service.told(f"/v1/cases/{case}/replay", as_known_at=before)
    assert (told["counted"], told["state"]["course.stage"]) == (0, "unknown")
    assert (await service.told(f"/v1/cases/{case}/replay", as_of=NOON.isoformat()))["counted"] == 6


async def test_a_moment_without_a_zone_is_refused(service: Reporting, case: UUID) -> None:
    answer = await service.ask(f"/v1/cases/{case}/replay", as_of="2026-03-02T12:00:00")
    assert answer.status_code == 422


async def test_a_field_is_explained_by_the_event_that_set_it_last(service: Reporting, case: UUID) -> None:
    told = await service.told(f"/v1/cases/{case}/explanation/record.channel")
    assert (told["value"], told["before"], told["times"]) == ("fax", "letter", 2)
    assert told["step"]["type"] == "intake.complaint-data-corrected.v1"


async def test_an_unknown_field_says_which_there_are(service: Reporting, case: UUID) -> None:
    answer = await service.ask(f"/v1/cases/{case}/explanation/record.chanel")
    assert answer.status_code == 404
    assert "record.channel" in answer.json()["known"]


async def test_the_difference_between_two_instants_is_told(service: Reporting, case: UUID) -> None:
    before, after = (NOON - timedelta(days=1)).isoformat(), NOON.isoformat()
    told = await service.told(f"/v1/cases/{case}/difference", earlier=before, later=after)
    assert {"field": "course.stage", "before": "unknown", "after": "in-progress"} in told["changes"]


@pytest.mark.parametrize("role", [Role.OWN, Role.CM, Role.OPS, Role.UPS])
async def test_nobody_but_auditors_and_data_protection_officers_replays(
    service: Reporting, case: UUID, role: Role
) -> None:
    assert (await service.ask(f"/v1/cases/{case}/replay", role)).status_code == 403


async def test_erased_text_is_shown_as_erased_and_nothing_else_changes(service: Reporting) -> None:
    case = await sealed_case(service, "2026-SSSSSSSS-1")
    before = await service.told(f"/v1/cases/{case}/replay", step="true")
    assert before["state"]["record.personal.name"] == CANARY
    counts = await service.told("/v1/register/counts", by="month,product,channel,state")

    await service.keyring.destroy(UUID(int=77), [case], None)
    await service.running.parts.sealer.forget()

    answer = await service.ask(f"/v1/cases/{case}/replay", step="true")
    after = answer.json()
    assert CANARY not in answer.text
    assert after["state"] == {**before["state"], "record.personal.name": ERASED}
    again = await service.told("/v1/register/counts", by="month,product,channel,state")
    assert (again["total"], again["by"]) == (counts["total"], counts["by"])


async def test_a_case_that_another_service_spoke_of_first_is_whole(service: Reporting) -> None:
    case = fresh_id()
    bodies = [
        service.log.body(case, event) for event in (assigned, received("2026-LLLLLLLL-1"), registered())
    ]
    await service.log.publish(bodies)
    await service.reads(case)
    told = await service.told(f"/v1/cases/{case}/replay")
    assert (told["state"]["ownership.owner"], told["state"]["record.case_number"]) == (
        "eva",
        "2026-LLLLLLLL-1",
    )
    (row,) = (await service.told("/v1/register", case_number="2026-LLLLLLLL-1"))["items"]
    assert (row["owner"], row["stage"], row["product"]) == ("eva", "assigned", "cards")


async def test_what_a_decision_did_not_know_is_shown(service: Reporting) -> None:
    case = fresh_id()
    late = service.log.body(case, assigned)
    first = [service.log.body(case, event) for event in (received("2026-UUUUUUUU-1"), registered())]
    seen = late.replace(b'"seen":""', b'"seen":"intake:1"')
    await service.log.publish([*first, seen])
    await service.reads(case)
    steps = (await service.told(f"/v1/cases/{case}/replay", step="true"))["steps"]
    assert (steps[2]["seen"], steps[2]["unseen"]) == ({"intake": 1}, [2])
