"""Business time: cut-off, week-ends, and days that are longer or shorter than others."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendars import (
    ONE_INSTANT,
    Calendar,
    add_business_days,
    due_after,
    effective_day,
    end_of_day,
    is_business_day,
    warn_after,
)

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = Calendar("1", frozenset({1, 2, 3, 4, 5}), time(17))
FRIDAY = date(2025, 12, 19)


def berlin(day: date, at: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), BERLIN)


def test_an_email_of_friday_evening_counts_as_mondays() -> None:
    assert effective_day(WEEK, berlin(FRIDAY, "18:30"), BERLIN) == date(2025, 12, 22)


def test_two_business_days_after_it_are_over_when_wednesday_is() -> None:
    assert due_after(WEEK, berlin(FRIDAY, "18:30"), 2, BERLIN) == datetime(
        2025, 12, 24, 22, 59, 59, 999999, UTC
    )


@pytest.mark.parametrize(
    ("at", "day"), [("16:59", 19), ("17:00", 19), ("17:00:00.000001", 22), ("23:59", 22)]
)
def test_the_cut_off_itself_is_still_in_time(at: str, day: int) -> None:
    assert effective_day(WEEK, berlin(FRIDAY, at), BERLIN) == date(2025, 12, day)


def test_a_receipt_on_a_free_day_counts_as_the_next_business_days() -> None:
    assert effective_day(WEEK, berlin(date(2025, 12, 20), "09:00"), BERLIN) == date(2025, 12, 22)


def test_the_day_is_that_of_the_cases_zone() -> None:
    moment = datetime(2025, 12, 18, 23, 30, tzinfo=UTC)
    assert effective_day(WEEK, moment, BERLIN) == FRIDAY
    assert effective_day(WEEK, moment, ZoneInfo("America/New_York")) == date(2025, 12, 19)
    assert effective_day(WEEK, moment, ZoneInfo("Pacific/Honolulu")) == date(2025, 12, 18)


def test_no_business_days_later_is_the_same_day() -> None:
    assert add_business_days(WEEK, FRIDAY, 0) == FRIDAY


def test_a_week_later_is_five_business_days() -> None:
    assert add_business_days(WEEK, FRIDAY, 5) == date(2025, 12, 26)


def test_whole_business_days_of_a_warning_end_with_their_day() -> None:
    assert warn_after(WEEK, berlin(date(2025, 12, 1), "09:00"), 10, 80, BERLIN) == end_of_day(
        date(2025, 12, 11), BERLIN
    )


def test_a_part_of_a_business_day_is_that_part_of_its_hours() -> None:
    warned = warn_after(WEEK, berlin(date(2025, 12, 1), "09:00"), 2, 80, BERLIN)
    assert warned + ONE_INSTANT == berlin(date(2025, 12, 3), "14:24")


def test_the_hours_of_a_free_day_are_not_counted() -> None:
    warned = warn_after(WEEK, berlin(date(2025, 12, 18), "09:00"), 2, 80, BERLIN)
    assert warned + ONE_INSTANT == berlin(date(2025, 12, 22), "14:24")


@pytest.mark.parametrize(
    ("zone", "day", "ends"),
    [
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        # Midnight does not exist: clocks are put forward to one o'clock.
        ("Asia/Beirut", date(2022, 3, 26), datetime(2022, 3, 26, 22, tzinfo=UTC)),
        # Midnight comes twice, and the hour after it, which is the next day's, too.
        ("America/Havana", date(2025, 11, 1), datetime(2025, 11, 2, 4, tzinfo=UTC)),
        # Clocks went back across midnight: the day's last hour came twice.
        ("America/St_Johns", date(2010, 11, 6), datetime(2010, 11, 7, 3, 30, tzinfo=UTC)),
        # The day did not exist: Samoa crossed the date line.
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_day_ends_where_its_zone_says(zone: str, day: date, ends: datetime) -> None:
    assert end_of_day(day, ZoneInfo(zone)) + ONE_INSTANT == ends


calendars = st.builds(
    Calendar,
    version=st.just("1"),
    weekdays=st.frozensets(st.integers(1, 7), min_size=1),
    cut_off=st.times(),
)
zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
moments = st.integers(0, 65 * 365 * 24 * 60).map(
    lambda minutes: datetime(1975, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(zones, st.dates(date(1975, 1, 1), date(2035, 1, 1)))
def test_after_the_last_instant_of_a_day_another_one_has_begun(zone: ZoneInfo, day: date) -> None:
    last = end_of_day(day, zone)
    assert last.astimezone(zone).date() <= day < (last + ONE_INSTANT).astimezone(zone).date()


@given(calendars, moments, st.integers(0, 40), zones)
def test_a_deadline_is_due_on_a_business_day_with_its_number_of_them_before(
    calendar: Calendar, moment: datetime, days: int, zone: ZoneInfo
) -> None:
    first = effective_day(calendar, moment, zone)
    due = add_business_days(calendar, first, days)
    between = (first + timedelta(days=n) for n in range(1, (due - first).days + 1))
    assert is_business_day(calendar, first)
    assert is_business_day(calendar, due)
    assert sum(is_business_day(calendar, day) for day in between) == days
    assert due_after(calendar, moment, days, zone) == end_of_day(due, zone) >= moment


@given(calendars, moments, st.integers(1, 40), st.integers(1, 100), zones)
def test_a_warning_comes_before_the_deadline_and_never_before_the_event(
    calendar: Calendar, moment: datetime, days: int, percent: int, zone: ZoneInfo
) -> None:
    warned = warn_after(calendar, moment, days, percent, zone)
    assert moment <= warned <= due_after(calendar, moment, days, zone)


@given(moments, moments, st.integers(0, 20))
def test_what_comes_in_later_is_never_due_earlier(one: datetime, other: datetime, days: int) -> None:
    earlier, later = sorted((one, other))
    assert due_after(WEEK, earlier, days, BERLIN) <= due_after(WEEK, later, days, BERLIN)


def test_a_calendar_without_business_days_is_none() -> None:
    with pytest.raises(ValueError, match="business days"):
        Calendar("1", frozenset(), time(17))
