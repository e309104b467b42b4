"""A source's file becomes history: once however often it comes, changes named, and nobody owes anything for it."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redress.client import Client
from redress.demonstration import generated
from redress.stack import Stack
from services.intake.domain.identity import complaint_of_reference
from shared.runtime.auth import Role
from tests.journeys.acting import CASES, everything_is_read, everything_on, query, redress
from tests.plugins.data_files import DATA

pytestmark = pytest.mark.timeout(180)
Caller = Callable[..., Client]

MADE_UP = "made up"
ROWS = 349
CHANNELS = {
    "Web": "web-form",
    "Phone": "phone",
    "Postal mail": "letter",
    "Referral": "referral",
    "Fax": "fax",
}


def file_named(name: str, folder: Path) -> Path:
    """The published file, or one that is made up in its columns."""
    return generated.write(folder / "made_up.csv", ROWS) if name == MADE_UP else DATA / name


def rows_in(file: Path) -> list[dict[str, str]]:
    """The file as anybody reads it, in the one spelling of its headers that both years have."""
    with file.open(newline="", encoding="utf-8") as opened:
        return [
            {name.lower().replace(" ", "_"): cell for name, cell in row.items()}
            for row in csv.DictReader(opened)
        ]


def imported(stack: Stack, file: Path) -> dict[str, Any]:
    """What the command line's last line says."""
    done = redress(stack, "import", str(file), "--profile", "cfpb", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def figures(result: dict[str, Any]) -> dict[str, int]:
    return {name: result[name] for name in ("rows", "new", "known", "changed", "refused")}


def counted(caller: Caller) -> dict[str, Counter[str]]:
    """What the register counts of the source's complaints."""
    asked = {"by": "product,channel", "source_system": "cfpb"}
    told = caller(Role.QM).ask("reporting", "GET", "/v1/register/counts", params=asked).json()["by"]
    return {
        name: Counter({row["value"]: row["count"] for row in told[name]["rows"]})
        for name in ("product", "channel")
    }


def count_of(rows: list[dict[str, str]]) -> dict[str, Counter[str]]:
    """The same of a file."""
    channels = Counter(CHANNELS[row["submitted_via"]] for row in rows)
    return {"product": Counter(row["product"] for row in rows), "channel": channels}


def more(before: dict[str, Counter[str]], rows: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    return {name: before[name] + rows[name] for name in before}


@pytest.mark.parametrize("name", [MADE_UP, pytest.param("cfpb_2016_349.csv", marks=pytest.mark.data)])
async def test_a_file_is_new_once_known_ever_after_and_a_change_in_it_is_named(
    stack: Stack, caller: Caller, tmp_path: Path, name: str
) -> None:
    file = file_named(name, tmp_path)
    rows, before = rows_in(file), counted(caller)
    assert len(rows) == ROWS
    first = imported(stack, file)
    assert figures(first) == {"rows": ROWS, "new": ROWS, "known": 0, "changed": 0, "refused": 0}
    await everything_is_read(stack)
    assert counted(caller) == more(before, count_of(rows))

    again = imported(stack, file)
    assert figures(again) == {"rows": ROWS, "new": 0, "known": ROWS, "changed": 0, "refused": 0}

    line = next(number for number, row in enumerate(rows) if row["submitted_via"] == "Web")
    changed = imported(stack, with_cell(file, tmp_path / "changed.csv", line, "Submitted via", "Phone"))
    assert figures(changed) == {"rows": ROWS, "new": 0, "known": ROWS - 1, "changed": 1, "refused": 0}
    (named,) = changed["changes"]
    case = complaint_of_reference("cfpb", rows[line]["complaint_id"])
    assert (named["case_id"], named["changed"]) == (str(case), ["channel"])
    await everything_is_read(stack)
    rows[line]["submitted_via"] = "Phone"
    assert counted(caller) == more(before, count_of(rows))
    await nobody_owes_anything(stack, rows)


def with_cell(file: Path, changed: Path, line: int, column: str, value: str) -> Path:
    """A copy in which one cell is another."""
    with file.open(newline="", encoding="utf-8") as opened:
        header, *rows = csv.reader(opened)
    rows[line][header.index(column)] = value
    with changed.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([header, *rows])
    return changed


@pytest.mark.data
async def test_the_file_of_the_next_year_is_read_by_the_same_profile(stack: Stack, caller: Caller) -> None:
    file = DATA / "cfpb_2017_145.csv"
    before = counted(caller)
    assert figures(imported(stack, file)) == {
        "rows": 145,
        "new": 145,
        "known": 0,
        "changed": 0,
        "refused": 0,
    }
    await everything_is_read(stack)
    assert counted(caller)["product"] == before["product"] + Counter(row["product"] for row in rows_in(file))
    await nobody_owes_anything(stack, rows_in(file))


async def nobody_owes_anything(stack: Stack, rows: list[dict[str, str]]) -> None:
    """No service owes these cases anything, and no clock was ever started for one of them."""
    cases = {complaint_of_reference("cfpb", row["complaint_id"]) for row in rows}
    assert len(cases) == len(rows)
    for service in ("intake", "processing"):
        dsn = stack.env[f"PG_DSN_{service.upper()}"]
        assert await query(dsn, "select what from owed where case_id = any($1)", list(cases)) == []
        held = await query(dsn, "select id from cases where id = any($1)", list(cases))
        assert len(held) == len(cases)
    theirs = {str(case).encode() for case in cases}  # as bytes: other journeys forge keys that are no ids
    clocks = [
        key
        for record in everything_on(stack.env["KAFKA_BOOTSTRAP"], CASES)
        if (key := record.key()) in theirs
        and dict(record.headers() or [])["ce_type"] == b"processing.clock-started.v1"
    ]
    assert clocks == []
