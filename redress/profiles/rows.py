"""A source's file, row by row, in the form that intake takes; what intake would refuse is sent as it is."""

import base64
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from charset_normalizer import from_bytes

from redress.failures import WrongUse
from redress.profiles import RECORD_FIELDS, REPORTED_AS, Columns, FactColumns, Profile, plain_name

SAMPLE_BYTES = 1 << 20
LONGEST_CELL = 1 << 22
NDJSON = (".ndjson", ".jsonl")
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be written as JSON: the column at fault, why, and the row as far as it can be told."""

    field: str
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """line is where the row begins in the file."""

    line: int
    content: dict[str, Any] | Unreadable

    def wire(self) -> dict[str, Any]:
        """The row in the form of POST /v1/imports."""
        if isinstance(self.content, Unreadable):
            raw = base64.b64encode(self.content.raw).decode()
            told = {"field": self.content.field, "reason": self.content.reason, "raw": raw}
            return {"line": self.line, "unreadable": told}
        return {"line": self.line, "complaint": self.content}


def rows_of(path: Path, profile: Profile) -> Iterator[Row]:
    """Streams the rows of a CSV or NDJSON file. Raises WrongUse where the file is none or lacks a needed column."""
    with path.open(encoding=encoding_of(path), errors="surrogateescape", newline="") as file:
        cells = _ndjson(file) if path.suffix.lower() in NDJSON else _csv(file, profile)
        for line, found in cells:
            yield Row(line, found if isinstance(found, Unreadable) else _content(found, profile))


def encoding_of(path: Path) -> str:
    """UTF-8 where the beginning of the file is; else what its bytes look like."""
    with path.open("rb") as file:
        sample = file.read(SAMPLE_BYTES)
    try:
        sample[: sample.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        best = from_bytes(sample).best()
        return best.encoding if best else "utf-8"
    return "utf-8-sig"


def _csv(file: TextIO, profile: Profile) -> Iterator[tuple[int, Mapping[str, str] | Unreadable]]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(file)
    headers = [plain_name(header) for header in next(reader, [])]
    _check_columns(headers, profile)
    line = reader.line_num + 1
    while (cells := _next_row(reader)) is not None:
        if isinstance(cells, Unreadable):
            yield line, cells
        elif len(cells) > len(headers):
            yield line, Unreadable("columns", "too-many", _raw(cells))
        elif cells:
            yield line, dict(zip(headers, cells, strict=False))
        line = reader.line_num + 1


def _next_row(reader: Any) -> list[str] | Unreadable | None:
    try:
        row: list[str] | None = next(reader, None)
    except csv.Error:
        return Unreadable("columns", "not-csv", b"")
    return row


def _ndjson(file: TextIO) -> Iterator[tuple[int, Mapping[str, str] | Unreadable]]:
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield line, {plain_name(str(name)): _cell(value) for name, value in found.items()}
        else:
            yield line, Unreadable("body", "not-json", text.encode("utf-8", "surrogateescape"))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _check_columns(headers: list[str], profile: Profile) -> None:
    for needed in ("source_reference", "channel"):
        if needed not in profile.columns or not set(profile.columns[needed]) & set(headers):
            names = ", ".join(profile.columns.get(needed, [needed]))
            raise WrongUse(
                f"the file has no column for {needed}", f"Its first line must name one of: {names}."
            )


def _content(cells: Mapping[str, str], profile: Profile) -> dict[str, Any] | Unreadable:
    for name, text in cells.items():
        if bad := _UNSENDABLE.search(text):
            reason = "forbidden-characters" if bad[0] == "\0" else "not-utf-8"
            return Unreadable(name or "columns", reason, _raw(list(cells.values())))
    used = {_column(cells, names) for names in profile.columns.values()}
    body: dict[str, Any] = {
        "source_system": profile.source_system,
        "time_zone": profile.time_zone,
        "language": profile.language,
    }
    for field in RECORD_FIELDS:
        text = _first(cells, profile.columns.get(field))
        if text:
            body[field] = _value(field, text, profile)
    told = [(fact, *_fact(fact, cells, profile)) for fact in profile.facts]
    body["facts"] = [fact for _, _, fact in told if fact]
    for columns, _, _ in told:
        used |= {
            _column(cells, names) for names in (columns.label, columns.flag, columns.timely, columns.moment)
        }
    details = {name: text.strip() for name, text in cells.items() if name not in used}
    # Several words of the source may be one of ours: kept, so that a change from one to the other is seen.
    details["category"] = _first(cells, profile.columns.get("category"))
    details |= {REPORTED_AS[columns.kind]: cell for columns, cell, _ in told}
    body["details"] = {name: text for name, text in details.items() if text}
    return body


def _fact(
    columns: FactColumns, cells: Mapping[str, str], profile: Profile
) -> tuple[str, dict[str, Any] | None]:
    """The cell that decides whether the fact is there, and the fact if it is."""
    label, stated = _first(cells, columns.label), _moment(_first(cells, columns.moment), profile)
    deciding = label or _first(cells, columns.flag) or stated
    if not deciding or not re.search(columns.only, deciding):
        return deciding, None
    moment = stated or _moment(_first(cells, profile.moment_if_unstated), profile)
    timely = _first(cells, columns.timely).lower()
    fact = {
        "kind": columns.kind,
        "label": label or None,
        "timely": timely in profile.yes if timely in (*profile.yes, *profile.no) else timely or None,
        "occurred_at": moment or None,
        "stated": bool(stated),
    }
    return deciding, {name: value for name, value in fact.items() if value is not None}


def _value(field: str, text: str, profile: Profile) -> Any:
    if field == "occurred_at":
        return _moment(text, profile)
    if field in ("severity", "annoyance") and text.isascii() and text.isdigit():
        return int(text)
    if mapped := profile.values.get(field):
        value = mapped.words.get(text.casefold(), text if mapped.default is None else mapped.default)
    else:
        value = text
    return [value] if field in ("category", "wish") and isinstance(value, str) else value


def _moment(text: str, profile: Profile) -> str:
    """The moment with its zone; a day without a time begins at midnight. What is no date is sent as it is."""
    for form in profile.dates:
        try:
            local = datetime.strptime(text, form)  # noqa: DTZ007 - its zone is the profile's
        except ValueError:
            continue
        return (local if local.tzinfo else local.replace(tzinfo=ZoneInfo(profile.time_zone))).isoformat()
    return text


def _column(cells: Mapping[str, str], names: Columns | None) -> str | None:
    return next((name for name in names or () if name in cells), None)


def _first(cells: Mapping[str, str], names: Columns | None) -> str:
    column = _column(cells, names)
    return "" if column is None else cells[column].strip()


def _raw(cells: list[str]) -> bytes:
    return json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogateescape")
