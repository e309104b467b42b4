"""Business time: which day counts as which business day, and when a deadline of so many of them is due.

The day of the event is not counted, and a deadline ends with its last business day in the case's own zone.
Whoever asks gives a Calendar; holidays will be days of it that are none, behind the same functions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
ONE_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The business days of a week by ISO number (Monday = 1), and when a business day stops taking receipts."""

    version: str
    weekdays: frozenset[int]
    cut_off: time

    def __post_init__(self) -> None:
        if not self.weekdays or not self.weekdays <= frozenset(range(1, 8)):
            raise ValueError("a calendar has business days, numbered 1 to 7")


def is_business_day(calendar: Calendar, day: date) -> bool:
    return day.isoweekday() in calendar.weekdays


def effective_day(calendar: Calendar, moment: datetime, zone: ZoneInfo) -> date:
    """The business day that a receipt belongs to: its own, or the next one after the cut-off and on free days."""
    local = moment.astimezone(zone)
    if is_business_day(calendar, local.date()) and local.time() <= calendar.cut_off:
        return local.date()
    return next(business_days_after(calendar, local.date()))


def business_days_after(calendar: Calendar, day: date) -> Iterator[date]:
    """Every business day later than this day, in order."""
    while True:
        day += ONE_DAY
        if is_business_day(calendar, day):
            yield day


def add_business_days(calendar: Calendar, day: date, days: int) -> date:
    """The business day so many after this one; no days at all is the day itself."""
    return next(islice(business_days_after(calendar, day), days - 1, None)) if days else day


def due_after(calendar: Calendar, moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    """When a deadline of so many business days from this moment ends."""
    return end_of_day(add_business_days(calendar, effective_day(calendar, moment, zone), days), zone)


def warn_after(calendar: Calendar, moment: datetime, days: int, percent: int, zone: ZoneInfo) -> datetime:
    """When this share of the deadline's business days is over; a part of a day is that part of its hours."""
    whole, hundredths = divmod(days * percent, 100)
    day = add_business_days(calendar, effective_day(calendar, moment, zone), whole)
    if not hundredths:
        return end_of_day(day, zone)
    day = add_business_days(calendar, day, 1)
    begins, ends = end_of_day(day - ONE_DAY, zone), end_of_day(day, zone)
    return begins + (ends - begins) * hundredths / 100


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The last instant of a local day, in UTC.

    Clocks may be put forward over midnight or back across it: of the instants that midnight may mean, the last is
    taken before which it is still this day.
    """
    midnight = datetime.combine(day + ONE_DAY, time(), zone)
    instants = {midnight.replace(fold=fold).astimezone(UTC) - ONE_INSTANT for fold in (0, 1)}
    return max(instant for instant in instants if instant.astimezone(zone).date() <= day)
