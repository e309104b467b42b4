"""Which errors of the runtime are which problems: one table for all services."""

from shared.runtime.commands import CatchingUp, KeyReused, Stale
from shared.runtime.http.problems import Problem, register_problem
from shared.runtime.postgres import AWAY
from shared.runtime.published import NotPublished
from shared.runtime.store import CaseParked, Conflict
from shared.schemas.envelope import TooLarge
from shared.schemas.refused import Refused

AGAIN_SOON = 1


class NotFound(Exception):
    """There is no such thing, or the caller may not know of it."""


def register_refusals() -> None:
    """Fills the table; called once where an application is put together."""
    register_problem(Refused, lambda refused: Problem(409, refused.code, refused.sentence))
    register_problem(
        Conflict,
        lambda _: Problem(409, "conflict", "Others write to this case: try again.", retry_after=AGAIN_SOON),
    )
    register_problem(
        CatchingUp,
        lambda _: Problem(
            503,
            "catching-up",
            "The service reads its own past first; nothing was done.",
            retry_after=AGAIN_SOON,
        ),
    )
    register_problem(CaseParked, _parked)
    register_problem(
        KeyReused,
        lambda _: Problem(422, "idempotency-key-reused", "This Idempotency-Key was used with another body."),
    )
    register_problem(
        Stale,
        lambda stale: Problem(
            412,
            "precondition-failed",
            "The case has changed since it was read: read it again and decide anew.",
        ),
    )
    register_problem(NotFound, lambda _: Problem(404, "not-found", "There is no such case that you may see."))
    register_problem(
        NotPublished,
        lambda _: Problem(
            503, "starting", "The service publishes its defaults first.", retry_after=AGAIN_SOON
        ),
    )
    register_problem(TooLarge, lambda large: Problem(413, "event-too-large", str(large)))
    for away in AWAY:
        register_problem(away, _away)


def _parked(parked: CaseParked) -> Problem:
    detail = "This case rests until somebody has looked at it; an operator finds it under `redress parked`."
    return Problem(503, "case-parked", detail, retry_after=60, reason=parked.why)


def _away(_: BaseException) -> Problem:
    return Problem(
        503, "database-away", "The database does not answer; nothing was done.", retry_after=AGAIN_SOON
    )
