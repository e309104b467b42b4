"""`python -m services.processing serve [--role http|worker|all] | migrate | rebuild NAME`"""

from services.processing.app import BLUEPRINT
from shared.runtime.service import main

if __name__ == "__main__":
    main(BLUEPRINT)
