"""`python -m services.intake serve | migrate | rebuild NAME`."""

from services.intake.app import BLUEPRINT
from services.intake.settings import IntakeSettings
from shared.runtime.service import main

if __name__ == "__main__":
    main(BLUEPRINT, IntakeSettings)
