"""How every field of every event is classed for the protection of personal data, and how a classed value looks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

T = TypeVar("T")


class PrivacyClass(StrEnum):
    NONE = "none"
    PSEUDONYMOUS = "pseudonymous"
    PERSONAL = "personal"
    SPECIAL = "special"


class DataGroup(StrEnum):
    """What is erased together: one data key per subject, case and group."""

    CONTACT = "contact"
    NARRATIVE = "narrative"
    CORRESPONDENCE = "correspondence"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Privacy:
    """The class of a field; for personal and special data also the group it is erased with and whose it is."""

    classed: PrivacyClass
    group: DataGroup | None = None
    whose: Literal["complainant", "staff"] | None = None

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The published schema says the class of every field."""
        said = {"class": self.classed, "group": self.group, "whose": self.whose}
        return {**handler(schema), "x-privacy": {name: value for name, value in said.items() if value}}


class Unsealed(TypeError):
    """Personal data in clear reached the serialiser: it must be sealed first."""


class Clear(BaseModel):
    """Personal text as a decision writes it: it lives in memory only and cannot be serialised."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str

    def __repr__(self) -> str:
        return "Clear(…)"

    __str__ = __repr__

    @model_serializer
    def _refuse(self) -> Any:
        raise Unsealed("personal data must be sealed before it is written")


class Sealed(BaseModel):
    """Personal text as the log keeps it: AES-256-GCM under the key named by kid; base64url without padding.

    v 1 is a sealed value. v 0 was written after its key had been destroyed: it never held anything.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    v: Literal[0, 1]
    kid: str
    nonce: str
    ct: str


Classed: TypeAlias = Clear | Sealed


@dataclass(frozen=True, slots=True)
class Kept:
    """A sealed value with the place that it was sealed for: without event and path it cannot be opened."""

    event: UUID
    path: str
    value: Sealed


Plain: TypeAlias = Annotated[T, Privacy(PrivacyClass.NONE)]
Pseudonym: TypeAlias = Annotated[T, Privacy(PrivacyClass.PSEUDONYMOUS)]

_CONTACT = Privacy(PrivacyClass.PERSONAL, DataGroup.CONTACT, "complainant")
# Free text of the complainant may hold health or belief, so it is always special.
_NARRATIVE = Privacy(PrivacyClass.SPECIAL, DataGroup.NARRATIVE, "complainant")
_CORRESPONDENCE = Privacy(PrivacyClass.PERSONAL, DataGroup.CORRESPONDENCE, "complainant")

ContactIfAny: TypeAlias = Annotated[Classed | None, _CONTACT]
Narrative: TypeAlias = Annotated[Classed, _NARRATIVE]
NarrativeIfAny: TypeAlias = Annotated[Classed | None, _NARRATIVE]
CorrespondenceIfAny: TypeAlias = Annotated[Classed | None, _CORRESPONDENCE]
