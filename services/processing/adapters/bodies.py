"""What requests say, and the commands that they stand for."""

from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from services.processing.domain.decisions.assigning import Assign, Decline
from services.processing.domain.decisions.closing import Close, Reopen
from shared.schemas.codes import ClosingReason, DecliningReason, ReopeningReason
from shared.schemas.privacy import Clear

Code: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
"""A word of a list, never free text: it stands in clear in the log."""
Person: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
"""The subject of a person's token."""
Unit: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,253}[!-~])?$")]


class Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assignment(Body):
    """Who is to answer for the case; without a unit it stays in the one it is in."""

    owner: Person
    unit: Unit | None = None

    def command(self) -> Assign:
        return Assign(self.owner, self.unit)


class Declining(Body):
    """Why the person named does not take the case; the remark is sealed."""

    reason: DecliningReason
    remark: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = None

    def command(self) -> Decline:
        return Decline(self.reason, Clear(text=self.remark) if self.remark else None)


class Settlement(Body):
    """What was found about the objection."""

    finding: Code


class Closing(Body):
    """Why the case comes to rest, and with which outcome."""

    reason: ClosingReason
    outcome: Code | None = None

    def command(self) -> Close:
        return Close(self.reason, self.outcome)


class Reopening(Body):
    """Why the case is woken, and the fact that made it necessary, if one did."""

    reason: ReopeningReason
    fact: UUID | None = None

    def command(self) -> Reopen:
        return Reopen(self.reason, self.fact)
