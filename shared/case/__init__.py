"""What the events of a case mean: one field per region, each folded from every event of every publisher.

Every fold is total: it takes any event in any state and never raises, refuses or asks anything of the world.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

from shared.case import clocks, course, objections, ownership, privacy, provenance, record
from shared.case.clocks import Clocks
from shared.case.course import Course
from shared.case.objections import Objections
from shared.case.ownership import Ownership
from shared.case.privacy import Privacy
from shared.case.provenance import Provenance
from shared.case.record import NotReceived, Record
from shared.schemas.base import Recorded


@dataclass(frozen=True, slots=True)
class Case:
    """A complaint as all its events tell it."""

    record: NotReceived | Record = record.initial
    course: Course = course.initial
    ownership: Ownership = ownership.initial
    clocks: Clocks = field(default_factory=dict)
    objections: Objections = objections.initial
    provenance: Provenance = provenance.initial
    privacy: Privacy = privacy.initial


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


def fold(history: Iterable[Recorded]) -> Case:
    return reduce(evolve, history, Case())
