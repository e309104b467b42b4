"""What makes this service intake: its state, tables, defaults, debts and doors, put together."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter

from services.intake.adapters.desk import Desk
from services.intake.adapters.http import routes
from services.intake.adapters.inbound import Inbound
from services.intake.application.erasing import Erasure
from services.intake.domain.complaint import Complaint, fold, owed_by, subject_of
from services.intake.domain.defaults import SCHEME_NAME, category_scheme
from services.intake.domain.owed import Owed
from services.intake.projections.case_numbers import CASE_NUMBERS
from services.intake.projections.erased_keys import ERASED_KEYS, erased_kids
from shared.case import access
from shared.case.access import Access
from shared.runtime.clock import system_clock
from shared.runtime.consumer import InboundReader
from shared.runtime.loops import Loop
from shared.runtime.owed import Perform
from shared.runtime.projections import Projection
from shared.runtime.running import Blueprint, Chore, Running

CASE_ACCESS = Projection("case_access", Access, ("case_id",), access.fold)
DESTROY_DUE_EVERY = 60.0


def perform(running: Running[Complaint, Owed]) -> Perform[Complaint, Owed]:
    desk = Desk(running)
    return Erasure(running.parts.keyring, desk.scheme, running.clock, system_clock).perform


def doors(running: Running[Complaint, Owed]) -> Sequence[APIRouter]:
    return routes(Desk(running))


def chores(running: Running[Complaint, Owed]) -> Sequence[Chore]:
    parts, settings = running.parts, running.settings
    inbound = InboundReader(
        bootstrap=settings.kafka_bootstrap,
        prefix=settings.topic_prefix,
        publisher=settings.service,
        pool=parts.pool,
        offsets=running.offsets,
        handler=Inbound(Desk(running)).take,
        may_read=lambda: running.caught_up,
        most_records=settings.batch,
    )

    async def destroy_due() -> int:
        return await parts.keyring.destroy_due(running.clock())

    expiry = Loop("expiry", destroy_due, rest_least=DESTROY_DUE_EVERY, rest_most=DESTROY_DUE_EVERY)

    async def begin_expiry() -> None:
        expiry.start()

    return [
        Chore("expiry", begin_expiry, expiry.stop),
        Chore("inbound", inbound.start, inbound.stop),
    ]


async def destroy_again(running: Running[Complaint, Owed]) -> None:
    """A keyring that came back from a backup has keys again that were destroyed since: they go before it serves."""
    await running.parts.keyring.redestroy(await erased_kids(running.parts.pool))


BLUEPRINT: Blueprint[Complaint, Owed] = Blueprint(
    name="intake",
    fold=fold,
    subject_of=subject_of,
    migrations=Path(__file__).with_name("migrations"),
    projections=(CASE_ACCESS, CASE_NUMBERS, ERASED_KEYS),
    defaults=((category_scheme(), SCHEME_NAME),),
    owed=owed_by,
    perform=perform,
    routes=doors,
    chores=chores,
    before_serving=destroy_again,
)
