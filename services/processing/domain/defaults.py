"""The deadlines and the calendar that Redress is shipped with (domain 1.8, annex E); published at first start."""

from shared.schemas.codes import ClockName, Urgency
from shared.schemas.processing import CalendarPublished, ClockTarget, DeadlinePolicyPublished

WARN_PERCENT = 80
ACKNOWLEDGEMENT_DAYS = 2
FINAL_ANSWER_DAYS = {Urgency.P1: 2, Urgency.P2: 5, Urgency.P3: 10, Urgency.P4: 15}


def _target(clock: ClockName, urgency: Urgency, days: int) -> ClockTarget:
    return ClockTarget(clock=clock, urgency=urgency, business_days=days, warn_percent=WARN_PERCENT)


DEADLINES = DeadlinePolicyPublished(
    name="deadlines",
    version="deadlines-1",
    targets=[
        *(_target(ClockName.ACKNOWLEDGEMENT, urgency, ACKNOWLEDGEMENT_DAYS) for urgency in Urgency),
        *(_target(ClockName.FINAL_ANSWER, urgency, days) for urgency, days in FINAL_ANSWER_DAYS.items()),
    ],
)
CALENDAR = CalendarPublished(
    name="business-days", version="business-days-1", weekdays=[1, 2, 3, 4, 5], cut_off="17:00"
)
DEFAULTS = (DEADLINES, CALENDAR)
