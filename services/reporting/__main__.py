"""`python -m services.reporting serve [--role http|worker|all] | migrate | rebuild NAME`."""

from services.reporting.app import BLUEPRINT
from shared.runtime.service import main

main(BLUEPRINT)
