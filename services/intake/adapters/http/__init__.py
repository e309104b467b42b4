"""Acceptance over HTTP: one module per resource."""

from fastapi import APIRouter

from services.intake.adapters.desk import Desk
from services.intake.adapters.http import cases, complaints, imports, schemes, subjects
from services.intake.domain.decisions.refusal import FieldRefused
from shared.runtime.http.problems import Problem, register_problem


def routes(desk: Desk) -> list[APIRouter]:
    register_problem(FieldRefused, _field_refused)
    return [
        complaints.router(desk),
        imports.router(desk),
        cases.router(desk),
        subjects.router(desk),
        schemes.router(desk),
    ]


def _field_refused(refused: FieldRefused) -> Problem:
    fields = [{"field": f"body.{refused.field}", "reason": refused.sentence}]
    return Problem(422, refused.code, refused.sentence, fields=fields)
