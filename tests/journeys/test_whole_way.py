"""A complaint's whole way over the running services: received, handled, late, woken, replayed, and shown to whom."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from redress.client import Client
from redress.failures import Failure
from redress.stack import Stack
from services.intake.domain.identity import complaint_of_reference
from shared.runtime.auth import Role
from shared.runtime.clock import system_clock
from shared.runtime.ids import fresh_id
from tests.journeys.acting import body, gate_of, post, problem, receive, redress, seen, tell, upstream
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)
Caller = Callable[..., Client]

GERMAN = {"language": "de", "product": "Wäschetrockner", "narrative": "Er lärmt, und die Tür klemmt."}
ENGLISH = {"language": "en", "product": "tumble dryer", "narrative": "It is loud, and the door sticks."}


def fresh(name: str) -> str:
    """A name that no other run of the journey has."""
    return f"{name}-{fresh_id().hex[-12:]}"


async def received(stack: Stack, caller: Caller, way: str, said: dict[str, Any]) -> tuple[str, str]:
    """The case and a token for it, however the complaint comes."""
    if way == "http":
        opened = receive(caller(Role.INT), **said)
        return opened.case, opened.token
    reference = fresh("order")
    post(stack, upstream(reference, **said))
    case = str(complaint_of_reference("web-shop", reference))

    async def is_there() -> bool:
        return await gate_of(stack, "reporting", case) is not None

    await until(is_there)
    return case, f"intake:{case}:3"


async def in_progress(stack: Stack, caller: Caller, case: str, token: str) -> tuple[Client, str]:
    """Assigned, declined, assigned to somebody else, started; answers the owner and the newest token."""
    lead, first, owner = caller(Role.LEAD), caller(Role.OWN, fresh("eva")), caller(Role.OWN, fresh("jan"))
    told = tell(lead, case, "assignment", {"owner": first.sub, "unit": "customer-care"}, token=token)
    told = tell(first, case, "declining", {"reason": "overloaded", "remark": "Urlaub"})
    told = tell(lead, case, "assignment", {"owner": owner.sub})
    told = tell(owner, case, "start")
    return owner, told.headers["Redress-Token"]


@pytest.mark.parametrize(
    ("way", "said"),
    [("http", GERMAN), ("http", ENGLISH), ("inbound", GERMAN), ("inbound", ENGLISH)],
    ids=["http-de", "http-en", "inbound-de", "inbound-en"],
)
async def test_a_complaint_is_received_handled_closed_and_woken(
    stack: Stack, caller: Caller, way: str, said: dict[str, Any]
) -> None:
    case, token = await received(stack, caller, way, said)
    lead = caller(Role.LEAD)
    await until(lambda: len(seen(lead, "processing", f"/v1/cases/{case}", token)["clocks"]) == 2)
    owner, token = await in_progress(stack, caller, case, token)
    worklist = seen(owner, "processing", "/v1/worklist", token, owner=owner.sub)["items"]
    assert [row["case_id"] for row in worklist] == [case]
    tell(owner, case, "closing", {"reason": "answered", "outcome": "repaired"})
    told = tell(lead, case, "reopening", {"reason": "customer"})
    token = told.headers["Redress-Token"]
    await until(lambda: seen(lead, "processing", f"/v1/cases/{case}", token)["clocks"][-1]["round"] == 2)

    replayed = seen(caller(Role.AUD), "reporting", f"/v1/cases/{case}/replay", token, step="true")
    happened = [one["type"].partition(".")[2] for one in replayed["steps"]]
    assert [one for one in happened if one != "clock-started.v1"] == [
        "complaint-received.v1",
        "complaint-registered.v1",
        "complaint-classified.v2",
        "complaint-assigned.v1",
        "assignment-declined.v1",
        "complaint-assigned.v1",
        "handling-started.v1",
        "complaint-closed.v1",
        "complaint-reopened.v1",
    ]
    assert replayed["state"]["course.stage"] == "in-progress"
    assert said["narrative"] in replayed["state"].values()
    row = (await in_register(caller, case, token))[0]
    assert (row["product"], row["owner"], row["stage"], row["reopened"]) == (
        said["product"],
        owner.sub,
        "in-progress",
        1,
    )


async def in_register(caller: Caller, case: str, token: str) -> list[dict[str, Any]]:
    number = seen(caller(Role.AUD), "reporting", f"/v1/cases/{case}/replay", token)["state"][
        "record.case_number"
    ]
    return list(seen(caller(Role.QM), "reporting", "/v1/register", token, case_number=number)["items"])


async def test_a_key_repeated_is_answered_the_same_and_with_another_body_refused(caller: Caller) -> None:
    desk, lead = caller(Role.INT), caller(Role.LEAD)
    key = {"Idempotency-Key": fresh("letter")}
    first, again = (desk.ask("intake", "POST", "/v1/complaints", json=body(), headers=key) for _ in range(2))
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.headers["ETag"] == again.headers["ETag"]
    other = desk.ask(
        "intake", "POST", "/v1/complaints", json=body(product="Toaster"), headers=key, accept=(422,)
    )
    assert problem(other) == (422, "idempotency-key-reused")

    case, token = first.json()["case_id"], first.headers["Redress-Token"]
    first, again = (
        tell(lead, case, "assignment", {"owner": "eva"}, token=token, Idempotency_Key=key["Idempotency-Key"])
        for _ in range(2)
    )
    assert first.content == again.content
    assert first.json()["events"]
    other = tell(
        lead, case, "assignment", {"owner": "jan"}, accept=(422,), Idempotency_Key=key["Idempotency-Key"]
    )
    assert problem(other) == (422, "idempotency-key-reused")


async def test_a_command_against_a_state_that_has_passed_is_refused(caller: Caller) -> None:
    lead, opened = caller(Role.LEAD), receive(caller(Role.INT))
    path = f"/v1/cases/{opened.case}"
    await until(
        lambda: len(seen(lead, "processing", path, opened.token)["clocks"]) == 2
    )  # they are processing's own events too
    read = lead.ask("processing", "GET", path)
    told = tell(lead, opened.case, "assignment", {"owner": "eva"}, If_Match=read.headers["ETag"])
    stale = tell(
        lead, opened.case, "assignment", {"owner": "jan"}, accept=(412,), If_Match=read.headers["ETag"]
    )
    assert problem(stale) == (412, "precondition-failed")
    tell(lead, opened.case, "assignment", {"owner": "jan"}, If_Match=told.headers["ETag"])


async def test_whoever_has_written_reads_it_in_every_service(caller: Caller) -> None:
    desk, lead, quality = caller(Role.INT), caller(Role.LEAD), caller(Role.QM)
    for _ in range(5):
        opened = receive(desk)
        shown = seen(lead, "processing", f"/v1/cases/{opened.case}", opened.token)
        assert (shown["case_number"], shown["freshness"]["fresh"]) == (opened.number, True)
        rows = seen(quality, "reporting", "/v1/register", opened.token, case_number=opened.number)
        assert [row["case_id"] for row in rows["items"]] == [opened.case]
        told = tell(lead, opened.case, "assignment", {"owner": "eva"})
        both = f"{opened.token},{told.headers['Redress-Token']}"
        rows = seen(quality, "reporting", "/v1/register", both, case_number=opened.number)
        assert (rows["items"][0]["owner"], rows["freshness"]["fresh"]) == ("eva", True)
        told = seen(lead, "intake", f"/v1/complaints/{opened.case}", both)
        assert (told["state"], told["freshness"]["fresh"]) == ("assigned", True)


async def test_what_nobody_wrote_is_waited_for_in_vain_and_the_answer_says_so(caller: Caller) -> None:
    opened = receive(caller(Role.INT))
    shown = seen(caller(Role.LEAD), "processing", f"/v1/cases/{opened.case}", f"intake:{opened.case}:99")
    assert (shown["case_id"], shown["freshness"]["fresh"]) == (opened.case, False)


async def test_a_complaint_that_comes_late_is_reminded_of_escalated_and_explained(
    stack: Stack, caller: Caller
) -> None:
    now = system_clock()
    occurred, between = now - timedelta(days=40), now - timedelta(days=20)
    opened = receive(caller(Role.INT), occurred_at=occurred.isoformat())
    lead, auditor = caller(Role.LEAD), caller(Role.AUD)

    def clocks() -> list[tuple[bool, int]]:
        shown = seen(lead, "processing", f"/v1/cases/{opened.case}", opened.token)["clocks"]
        return [(clock["reminded"], clock["level"]) for clock in shown]

    await until(lambda: clocks() == [(True, 1), (True, 1)])
    shown = lead.ask("processing", "GET", f"/v1/cases/{opened.case}")
    token = f"processing:{opened.case}:{shown.headers['ETag'].strip(chr(34)).rpartition(':')[2]}"
    assert (shown.json()["escalation_level"], shown.json()["received_on"]) == (1, occurred.date().isoformat())

    path = f"/v1/cases/{opened.case}/replay"
    happened = seen(auditor, "reporting", path, token, as_of=between.isoformat())
    known = seen(auditor, "reporting", path, token, as_known_at=between.isoformat())
    whole = seen(auditor, "reporting", path, token, as_of=(now + timedelta(days=1)).isoformat())
    assert (happened["counted"], known["counted"]) == (1, 0)
    assert happened["state"]["course.stage"] == "received"
    assert whole["state"] == seen(auditor, "reporting", path, token)["state"]
    level = "clocks.final-answer.level"
    told = seen(auditor, "reporting", f"/v1/cases/{opened.case}/explanation/{level}", token)
    assert (told["value"], told["before"], told["step"]["type"]) == (
        1,
        0,
        "processing.complaint-escalated.v1",
    )
    assert told["step"]["who"]["kind"] == "system"
    said = redress(stack, "explain", opened.number, level)
    assert (said.returncode, said.stdout.splitlines()[0]) == (0, f"{level} = 1")
    assert datetime.fromisoformat(whole["state"]["clocks.final-answer.due"]) < now
    (row,) = await in_register(caller, opened.case, token)
    assert row["escalation_level"] == 1


@pytest.mark.parametrize(
    ("role", "service", "method", "path", "said"),
    [
        (Role.AUD, "intake", "POST", "/v1/complaints", {"channel": "phone"}),
        (Role.CTL, "intake", "POST", "/v1/imports", {"rows": []}),
        (Role.CM, "intake", "POST", "/v1/cases/{case}/erasure", {}),
        (Role.OPS, "intake", "GET", "/v1/complaints/{case}", None),
        (Role.QM, "processing", "POST", "/v1/cases/{case}/assignment", {"owner": "eva"}),
        (Role.AUD, "processing", "POST", "/v1/cases/{case}/start", None),
        (Role.CON, "processing", "POST", "/v1/cases/{case}/closing", {"reason": "answered"}),
        (Role.UPS, "processing", "GET", "/v1/worklist", None),
        (Role.OWN, "reporting", "GET", "/v1/cases/{case}/replay", None),
        (Role.CM, "reporting", "POST", "/v1/cases/{case}/forks/acknowledgement", {"finding": "stray"}),
        (Role.LEAD, "reporting", "POST", "/v1/verification", None),
        (Role.UPS, "reporting", "GET", "/v1/register", None),
        (Role.INT, "reporting", "GET", "/v1/parked", None),
    ],
)
async def test_a_role_that_may_not_is_refused(
    caller: Caller, anyones: str, role: Role, service: str, method: str, path: str, said: object
) -> None:
    refused = caller(role).ask(service, method, path.format(case=anyones), json=said, accept=(403,))
    assert problem(refused) == (403, "role-missing")


@pytest.fixture(scope="module")
def anyones(caller: Caller) -> str:
    return receive(caller(Role.INT)).case


async def test_a_member_of_a_unit_sees_no_other_units_cases(caller: Caller) -> None:
    north, south = fresh("north"), fresh("south")
    opened = receive(caller(Role.INT), unit=north)
    hidden = receive(caller(Role.INT), unit=north, restricted=True)
    of_north, of_south = (caller(Role.OWN, fresh("own"), units=[unit]) for unit in (north, south))
    both = f"{opened.token},{hidden.token}"
    for who, sees in ((of_north, [opened.case]), (of_south, [])):
        worklist = seen(who, "processing", "/v1/worklist", both, unit=north)["items"]
        register = seen(who, "reporting", "/v1/register", both, product="Kaffeemaschine")["items"]
        assert [row["case_id"] for row in worklist] == sees
        assert [row["case_id"] for row in register] == sees
    for case in (opened.case, hidden.case):
        with pytest.raises(Failure, match="not-found"):
            of_south.ask("processing", "GET", f"/v1/cases/{case}")
        with pytest.raises(Failure, match="not-found"):
            tell(of_south, case, "start")
    assert caller(Role.CM).ask("processing", "GET", f"/v1/cases/{hidden.case}").is_success
    told = tell(caller(Role.CM), hidden.case, "assignment", {"owner": of_south.sub})
    named = seen(of_south, "processing", f"/v1/cases/{hidden.case}", told.headers["Redress-Token"])
    assert named["owner"] == of_south.sub
