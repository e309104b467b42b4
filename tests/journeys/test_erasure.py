"""A complainant is forgotten: nobody can read the texts any more, and every proof and figure stays as it was."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import pytest

from redress.client import Client
from redress.stack import Stack
from services.intake.app import BLUEPRINT as INTAKE
from services.intake.domain.identity import complaint_of_reference
from services.processing.app import BLUEPRINT as PROCESSING
from services.reporting.app import BLUEPRINT as REPORTING
from shared.runtime.auth import Role
from shared.runtime.ids import fresh_id
from shared.runtime.keyring import open_keyring
from shared.runtime.projections import Projection
from shared.runtime.rebuild import rebuild
from shared.runtime.sealing import ERASED, Sealer
from shared.schemas.privacy import Kept, Sealed
from tests.journeys.acting import (
    CASES,
    INBOUND,
    SERVICES,
    everything_is_read,
    everything_on,
    gate_of,
    post,
    query,
    receive,
    redress,
    seen,
    tell,
    upstream,
)
from tests.journeys.searching import escaped, found, readings
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)
Caller = Callable[..., Client]
BLUEPRINTS = (INTAKE, PROCESSING, REPORTING)
PROJECTIONS = [(blueprint.name, one) for blueprint in BLUEPRINTS for one in blueprint.projections]


def word(name: str) -> str:
    """A text that stands nowhere by chance."""
    return f"{name}{fresh_id().hex}"


@dataclass
class Planted:
    """One person with two cases that are to be erased, another one beside, and what was written where."""

    control: str = field(default_factory=lambda: word("control"))
    encoded: str = field(default_factory=lambda: word("encoded"))
    canary: str = field(default_factory=lambda: word("canary"))
    contact: str = field(default_factory=lambda: word("contact"))
    remark: str = field(default_factory=lambda: word("remark"))
    stranger: str = field(default_factory=lambda: word("stranger"))
    told: list[str] = field(default_factory=list)
    by_http: str = ""
    by_kafka: str = ""
    beside: str = ""
    subject: str = ""
    rows: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def product(self) -> str:
        return f"{self.control} {base64.urlsafe_b64encode(self.encoded.encode()).decode().rstrip('=')}"

    @property
    def cases(self) -> list[UUID]:
        return [UUID(self.by_http), UUID(self.by_kafka)]

    @property
    def personal(self) -> dict[str, str]:
        return {
            "canary": self.canary,
            "contact": self.contact,
            "remark": self.remark,
            "stranger": self.stranger,
        }


@pytest.fixture(scope="session")
def planted(stack: Stack, caller: Caller) -> Planted:
    """The person's complaints, by HTTP and by Kafka; one is handled, with a remark about her."""
    it = Planted()
    person = {
        "product": it.product,
        "narrative": f"Am Tresen sagte man {it.canary}.",
        "name": f"Änne {it.contact}",
        "email": f"{it.contact}@example.org",
        "phone": it.contact,
        "customer_number": it.contact,
    }
    desk, lead, owner = caller(Role.INT), caller(Role.LEAD), caller(Role.OWN)
    opened = receive(desk, **person)
    it.by_http = opened.case
    tell(lead, it.by_http, "assignment", {"owner": owner.sub}, token=opened.token)
    tell(owner, it.by_http, "declining", {"reason": "other", "remark": f"Kenne sie: {it.remark}"})
    order = word("order")
    post(stack, upstream(order, **person))
    it.by_kafka = str(complaint_of_reference("web-shop", order))
    other = {**person, "narrative": it.stranger, "customer_number": it.stranger, "email": "x@example.org"}
    it.beside = receive(desk, **other).case
    return it


async def everywhere(stack: Stack, cases: list[str]) -> None:
    """Waits until every service has received the cases."""

    async def there() -> bool:
        return all([await gate_of(stack, name, case) for name in SERVICES for case in cases])

    await until(there)


async def test_the_search_finds_what_stands_in_clear_and_nothing_personal(
    stack: Stack, planted: Planted
) -> None:
    await everywhere(stack, [planted.by_http, planted.by_kafka, planted.beside])
    log = stack.layout.logs / "planted.log"
    log.write_text(f'{{"event": "{escaped(planted.control)}"}}\n')
    wanted = {"control": planted.control, "encoded": planted.encoded, **planted.personal}
    places = await found(stack, wanted)
    log.unlink()
    for control in ("control", "encoded"):
        assert places[control] >= {
            "topic complaints.cases",
            *(f"table {name}.public.events.body" for name in SERVICES),
            "table reporting.public.ledger.body",
            "table reporting.public.register.product",
        }
    assert "log planted.log" in places["control"]
    assert places["stranger"] == set()
    for name in ("canary", "contact", "remark"):  # what a shop posted lies there until intake has read it
        assert places[name] <= {f"topic {INBOUND}"}, name


def test_the_search_reads_through_what_hides_a_text() -> None:
    text = b"a text that was planted for this search"
    hidden = {
        "base64url": base64.urlsafe_b64encode(text).rstrip(b"="),
        "base64 twice": base64.b64encode(base64.b64encode(text)),
        "JSON escapes": escaped(text.decode()).encode(),
        "inside a record": b'{"ct":"' + base64.b64encode(b"\xff\x00" + text) + b'"}',
    }
    for kind, content in hidden.items():
        assert text not in content
        assert any(text in reading for reading in readings(content)), kind


@pytest.fixture(scope="session")
async def ordered(stack: Stack, caller: Caller, planted: Planted) -> Planted:
    """The same, with the erasure ordered by the command line, after every row and figure was noted."""
    await everywhere(stack, [planted.by_http, planted.by_kafka, planted.beside])
    await everything_is_read(stack)
    officer = caller(Role.DPO)
    planted.subject = seen(officer, "intake", f"/v1/complaints/{planted.by_http}")["subject_id"]
    planted.rows, planted.counts = await rows_of(stack, planted.cases), counts_of(caller, planted.product)
    done = redress(stack, "erase", planted.subject)
    assert done.returncode == 0, done.stderr
    planted.told = done.stdout.split()
    return planted


@pytest.fixture(scope="session")
async def erased(stack: Stack, caller: Caller, ordered: Planted) -> Planted:
    """The same after it was recorded that no process can read the data any more: a minute of real time later."""
    officer = caller(Role.DPO)

    def confirmed() -> bool:
        shown = [seen(officer, "intake", f"/v1/complaints/{case}") for case in ordered.cases]
        return all(set(one["erased"]) >= {"contact", "narrative"} for one in shown)

    await until(confirmed, 90)
    await everything_is_read(stack)
    return ordered


async def rows_of(stack: Stack, cases: list[UUID]) -> dict[str, list[dict[str, Any]]]:
    """What every projection of every service has of the cases."""
    told = {}
    for service, projection in PROJECTIONS:
        question = f"select {', '.join(projection.columns)} from {projection.name} where case_id = any($1)"  # noqa: S608
        rows = await query(stack.env[f"PG_DSN_{service.upper()}"], question + " order by case_id", cases)
        told[f"{service}.{projection.name}"] = [dict(row) for row in rows]
    return told


def counts_of(caller: Caller, product: str) -> dict[str, Any]:
    """What the register counts of the person's product."""
    asked = {"by": "month,product,channel,state", "product": product}
    told = caller(Role.QM).ask("reporting", "GET", "/v1/register/counts", params=asked).json()
    return {"total": told["total"], "by": told["by"]}


def sealed_in(stack: Stack, cases: list[UUID]) -> list[Kept]:
    """Every sealed value of the cases, as it stands on the topic."""
    keys = {str(case).encode() for case in cases}
    records = everything_on(stack.env["KAFKA_BOOTSTRAP"], CASES)
    events = [orjson.loads(record.value() or b"") for record in records if record.key() in keys]
    return [kept for event in events for kept in _sealed(UUID(event["id"]), event["data"])]


def _sealed(event: UUID, value: Any, path: str = "") -> Iterator[Kept]:
    if isinstance(value, dict) and value.keys() == {"v", "kid", "nonce", "ct"}:
        yield Kept(event, path, Sealed(**value))
    elif isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _sealed(event, inner, f"{path}.{name}" if path else str(name))


async def unsealed(stack: Stack, service: str, kept: list[Kept]) -> list[str | None]:
    """What a service could read of the values, by its own way to the keyring."""
    master = base64.b64decode(stack.layout.keyring_master_key.read_text().strip())
    keyring = await open_keyring(stack.env[f"KEYRING_DSN_{service.upper()}"], master, "journey")
    try:
        return await Sealer(keyring).unseal(kept)
    finally:
        await keyring.close()


async def test_an_order_names_every_case_of_the_person_and_changes_no_row(
    stack: Stack, ordered: Planted
) -> None:
    assert sorted(ordered.told) == sorted(["ordered", "ordered", ordered.by_http, ordered.by_kafka])
    assert await rows_of(stack, ordered.cases) == ordered.rows


async def test_after_an_erasure_the_texts_are_shown_as_erased_and_cannot_be_unsealed(
    stack: Stack, caller: Caller, erased: Planted
) -> None:
    auditor = caller(Role.AUD)
    for case in erased.cases:
        state = seen(auditor, "reporting", f"/v1/cases/{case}/replay")["state"]
        assert ERASED in state.values()
        assert not [
            text for text in map(str, state.values()) if any(it in text for it in erased.personal.values())
        ]
        personal = seen(caller(Role.CM), "intake", f"/v1/complaints/{case}")["personal"]
        assert (personal["name"], personal["narrative"]) == (ERASED, ERASED)
    assert (
        erased.stranger in seen(auditor, "reporting", f"/v1/cases/{erased.beside}/replay")["state"].values()
    )
    theirs, beside = sealed_in(stack, erased.cases), sealed_in(stack, [UUID(erased.beside)])
    assert len(theirs) > len(erased.cases) * 4
    for service in SERVICES:
        assert set(await unsealed(stack, service, theirs)) == {None}
        assert erased.stranger in await unsealed(stack, service, beside)


async def test_an_erasure_leaves_every_proof_row_and_figure_as_it_was(
    stack: Stack, caller: Caller, erased: Planted
) -> None:
    rows = await rows_of(stack, erased.cases)
    kids = rows.pop("intake.erased_keys")
    assert [row["case_id"] for row in kids] == sorted(erased.cases)
    before = {name: [dict(row) for row in found] for name, found in erased.rows.items()}
    assert before.pop("intake.erased_keys") == []
    assert rows == before
    assert counts_of(caller, erased.product) == erased.counts
    for service, projection in PROJECTIONS:
        await made_anew_is_the_same(stack, service, projection)
    verified = redress(stack, "audit", "verify")
    assert verified.returncode == 0, verified.stdout


async def made_anew_is_the_same(stack: Stack, service: str, projection: Projection) -> None:
    """Folded from the log without any key it has the checksum of the one that was folded while there were keys."""
    owner, bootstrap = stack.env[f"PG_DSN_{service.upper()}_OWNER"], stack.env["KAFKA_BOOTSTRAP"]
    again = await rebuild(owner, bootstrap, "complaints", service, projection)
    assert again.checksum_before == again.checksum_after, (service, projection.name)
    assert again.swapped


async def test_after_an_erasure_nothing_of_it_is_found_anywhere(stack: Stack, erased: Planted) -> None:
    async def forgotten() -> bool:
        places = await found(stack, erased.personal, [INBOUND])
        return not any(places.values())

    await until(forgotten, 90)
    places = await found(stack, {"control": erased.control, **erased.personal})
    assert places.pop("control")
    assert places == dict.fromkeys(erased.personal, set())
