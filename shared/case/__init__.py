"""What the events of a case mean: one field per region, each folded from every event of every publisher.

Every fold is total: it takes any event in any state and never raises, refuses or asks anything of the world.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

from shared.case import clocks, course, objections, ownership, privacy, provenance, record
from shared.schemas.base import Recorded


@dataclass(frozen=True, slots=True)
class Case:
    """A complaint as all its events tell it."""

    record: record.State = record.initial
    course: course.Course = course.initial
    ownership: ownership.Ownership = ownership.initial
    clocks: clocks.Clocks = field(default_factory=dict)
    objections: objections.Objections = objections.initial
    provenance: provenance.Provenance = provenance.initial
    privacy: privacy.Privacy = privacy.initial


initial = Case()


def evolve(case: Case, recorded: Recorded) -> Case:
    return Case(
        record.evolve(case.record, recorded),
        course.evolve(case.course, recorded),
        ownership.evolve(case.ownership, recorded),
        clocks.evolve(case.clocks, recorded),
        objections.evolve(case.objections, recorded),
        provenance.evolve(case.provenance, recorded),
        privacy.evolve(case.privacy, recorded),
    )


def fold(history: Iterable[Recorded], start: Case = initial) -> Case:
    return reduce(evolve, history, start)
