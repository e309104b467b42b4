"""What the command line says when something cannot be done: never a traceback, always a next step."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a caller of the command can rely on."""

    DONE = 0
    CHECK_FAILED = 1
    WRONG_USE = 2
    NOT_RUNNING = 3


class Failure(Exception):
    """A check did not hold: what was wrong and where, and what to do about it."""

    code = ExitCode.CHECK_FAILED

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class WrongUse(Failure):
    """The command was called in a way that cannot mean anything."""

    code = ExitCode.WRONG_USE


class NotRunning(Failure):
    """Something is not running, could not be started, or cannot be reached."""

    code = ExitCode.NOT_RUNNING
