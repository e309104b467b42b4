"""Every command of intake, and the one door through which it is decided."""

from typing import TypeAlias

from services.intake.domain.decisions import classifying, erasing, receiving, telling
from services.intake.domain.decisions.occasion import Occasion
from shared.case import Case
from shared.schemas.base import Decided

Command: TypeAlias = receiving.Receive | classifying.Classify | telling.RecordFact | erasing.Command


def decide(command: Command, case: Case, occasion: Occasion) -> list[Decided]:
    match command:
        case receiving.Receive():
            return receiving.decide(command, case, occasion)
        case classifying.Classify():
            return classifying.decide(command, case, occasion)
        case telling.RecordFact():
            return telling.decide(command, case, occasion)
        case erasing.OrderErasure() | erasing.ConfirmErasure():
            return erasing.decide(command, case, occasion)
