"""Import profiles: a TOML file says which columns of a source's file mean what, so that a new source needs no code."""

import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from redress.failures import WrongUse

RECORD_FIELDS = (
    "source_reference", "occurred_at", "channel", "product", "sub_product", "narrative", "category", "severity",
    "annoyance", "wish", "name", "email", "phone", "customer_number", "unit", "language",
)  # fmt: skip
"""What a column can be mapped to; every other column is kept among the details."""
REPORTED_AS = {"forwarded": "forwarding", "answered": "answer", "closed": "closing", "disputed": "dispute"}


def plain_name(header: str) -> str:
    """A header in its one form: "Date received", "date_received" and "DATE RECEIVED?" are the same column."""
    name = re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")
    return (name if name[:1].isalpha() else f"column_{name}".rstrip("_"))[:64]


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _folded(words: Mapping[str, Any]) -> Mapping[str, Any]:
    return {word.casefold(): value for word, value in words.items()}


Columns = Annotated[list[str], BeforeValidator(_names), Field(min_length=1)]
"""The names under which a file may have a column; the first that the file has is taken."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ValueMap(_Part):
    """The source's words and what they are called here; without a default an unlisted word is sent as it is."""

    words: Annotated[Mapping[str, Any], AfterValidator(_folded)]
    default: Any = None


class FactColumns(_Part):
    """A fact that the source tells in its columns. only: the fact is there when the deciding cell matches.

    The deciding cell is that of the label, else of the flag, else of the moment.
    """

    kind: str
    label: Columns | None = None
    flag: Columns | None = None
    timely: Columns | None = None
    moment: Columns | None = None
    only: str = "."


class Profile(_Part):
    """How the files of one source are read."""

    source_system: str
    origin: str = "history"
    time_zone: str
    language: str
    dates: list[str]
    yes: list[str] = ["yes", "true", "1"]
    no: list[str] = ["no", "false", "0"]
    columns: Mapping[str, Columns]
    moment_if_unstated: Columns | None = None
    values: Mapping[str, ValueMap] = {}
    facts: list[FactColumns] = []


def load(name: str) -> Profile:
    """A shipped profile by its name, or any other by its path. Raises WrongUse."""
    try:
        return Profile.model_validate(tomllib.loads(_text(name)))
    except FileNotFoundError:
        shipped = ", ".join(sorted(_shipped()))
        raise WrongUse(
            f"there is no import profile {name}", f"Name one of {shipped}, or a TOML file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUse(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        where = "; ".join(".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors())
        raise WrongUse(f"the import profile {name} is not as it should be: {where}") from None


def _text(name: str) -> str:
    if name in _shipped():
        return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")


def _shipped() -> set[str]:
    files = (file.name for file in resources.files(__name__).iterdir())
    return {name.removesuffix(".toml") for name in files if name.endswith(".toml")}
