"""Rows go to intake in requests that it takes, whatever their size."""

import base64
import json
from typing import Any

from redress.profiles.batches import MOST_BYTES, MOST_ROWS, batches
from redress.profiles.rows import Row, Unreadable


def rows(count: int, narrative: str = "x") -> list[Row]:
    return [Row(line, {"source_reference": str(line), "narrative": narrative}) for line in range(count)]


def lines(batch: list[dict[str, Any]]) -> list[int]:
    return [row["line"] for row in batch]


def test_no_request_has_more_than_five_hundred_rows_and_none_is_lost() -> None:
    made = list(batches(rows(MOST_ROWS * 2 + 1)))
    assert [len(batch) for batch in made] == [MOST_ROWS, MOST_ROWS, 1]
    assert [line for batch in made for line in lines(batch)] == list(range(MOST_ROWS * 2 + 1))


def test_no_request_is_longer_than_intake_takes() -> None:
    made = list(batches(rows(30, "x" * 100_000)))
    assert len(made) > 1
    assert all(len(json.dumps(batch)) < 2**20 for batch in made)
    assert sum(map(len, made)) == 30


def test_a_row_that_fits_no_request_is_told_as_too_long_by_its_longest_field() -> None:
    ((row,),) = batches(rows(1, "x" * MOST_BYTES))
    assert (row["unreadable"]["field"], row["unreadable"]["reason"]) == ("narrative", "too-long")
    assert base64.b64decode(row["unreadable"]["raw"]).startswith(b'{"line": 0')
    assert len(json.dumps(row)) < MOST_BYTES


def test_an_unreadable_row_that_fits_no_request_keeps_its_field() -> None:
    ((row,),) = batches([Row(3, Unreadable("company", "not-utf-8", b"x" * MOST_BYTES))])
    assert (row["line"], row["unreadable"]["field"]) == (3, "company")


def test_an_empty_file_is_no_request() -> None:
    assert list(batches([])) == []
