"""What a decision is given from outside: when, by whom, under which rules. Made by the application, never asked for."""

from dataclasses import dataclass
from datetime import datetime, time

from shared.calendars import Calendar
from shared.schemas.processing import CalendarPublished, ClockTarget, DeadlinePolicyPublished


@dataclass(frozen=True, slots=True)
class Rules:
    """The deadlines and the calendar that clocks started now are given."""

    policy_version: str
    targets: tuple[ClockTarget, ...]
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Occasion:
    """role is the one in which the actor acts; SYS acts on what is owed."""

    now: datetime
    actor: str
    role: str
    rules: Rules
    most_declines: int = 2


def rules_of(policy: DeadlinePolicyPublished, calendar: CalendarPublished) -> Rules:
    """The rules that these two publications say."""
    return Rules(
        policy.version,
        tuple(policy.targets),
        Calendar(calendar.version, frozenset(calendar.weekdays), time.fromisoformat(calendar.cut_off)),
    )
