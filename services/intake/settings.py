"""What intake is told by its environment besides what every service is told."""

from shared.runtime.settings import RuntimeSettings


class IntakeSettings(RuntimeSettings):
    """default_language and default_time_zone are taken where a source does not say."""

    default_language: str = "de"
    default_time_zone: str = "Europe/Berlin"
