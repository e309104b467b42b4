"""A TOML file maps a source's columns, whatever style its headers have."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from redress.failures import WrongUse
from redress.profiles import Profile, load, plain_name
from redress.profiles.rows import Row, Unreadable, encoding_of, rows_of
from services.intake.adapters.upstream import Message, read_row
from services.intake.adapters.wire import Defaults
from services.intake.domain.decisions.receiving import Receive
from services.intake.domain.defaults import category_scheme
from services.intake.domain.scheme import scheme_of
from shared.schemas.codes import FactKind, Origin

HEADERS = [
    "Date received",
    "Product",
    "Sub-product",
    "Issue",
    "Consumer complaint narrative",
    "Company",
    "Submitted via",
    "Date sent to company",
    "Company response to consumer",
    "Timely response?",
    "Consumer disputed?",
    "Complaint ID",
]
CELLS = {
    "Date received": "03/28/2016",
    "Product": "Mortgage",
    "Issue": "Loan servicing, payments, escrow account",
    "Consumer complaint narrative": "First line,\nsecond line.",
    "Company": "Bank of Nowhere",
    "Submitted via": "Postal mail",
    "Date sent to company": "03/29/2016",
    "Company response to consumer": "Closed with explanation",
    "Timely response?": "Yes",
    "Consumer disputed?": "Yes",
    "Complaint ID": "1",
}
DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture
def cfpb() -> Profile:
    return load("cfpb")


def written(path: Path, *rows: dict[str, str], headers: list[str] = HEADERS, encoding: str = "utf-8") -> Path:
    text = io.StringIO()
    out = csv.DictWriter(text, headers, restval="")
    out.writeheader()
    out.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def content(row: Row) -> dict[str, Any]:
    assert isinstance(row.content, dict)
    return row.content


def commands(path: Path, profile: Profile) -> list[Receive]:
    read = [
        read_row(row.wire()["complaint"], row.line, Origin.HISTORY, Defaults())
        for row in rows_of(path, profile)
    ]
    assert all(isinstance(message, Message) for message in read)
    return [message.command for message in read if isinstance(message, Message)]  # type: ignore[misc]


def test_a_row_is_complaint_forwarding_answer_closing_and_dispute(tmp_path: Path, cfpb: Profile) -> None:
    (row,) = rows_of(written(tmp_path / "a.csv", CELLS), cfpb)
    assert row.line == 2
    sent = "2016-03-29T00:00:00-04:00"
    label = "Closed with explanation"
    assert content(row) == {
        "source_system": "cfpb",
        "source_reference": "1",
        "time_zone": "America/New_York",
        "language": "en",
        "occurred_at": "2016-03-28T00:00:00-04:00",
        "channel": "letter",
        "product": "Mortgage",
        "narrative": "First line,\nsecond line.",
        "category": ["finance", "loan-servicing"],
        "facts": [
            {"kind": "forwarded", "occurred_at": sent, "stated": True},
            {"kind": "answered", "label": label, "timely": True, "occurred_at": sent, "stated": False},
            {"kind": "closed", "label": label, "occurred_at": sent, "stated": False},
            {"kind": "disputed", "occurred_at": sent, "stated": False},
        ],
        "details": {
            "company": "Bank of Nowhere",
            "category": "Loan servicing, payments, escrow account",
            "forwarding": sent,
            "answer": label,
            "closing": label,
            "dispute": "Yes",
        },
    }


def test_another_style_of_headers_dates_and_answers_reads_alike(tmp_path: Path, cfpb: Profile) -> None:
    snake = {plain_name(name): cell for name, cell in CELLS.items()}
    snake |= {
        "date_received": "2016-03-28",
        "date_sent_to_company": "2016-03-29",
        "timely_response": "true",
    }
    other = written(tmp_path / "b.csv", snake, headers=[plain_name(name) for name in HEADERS])
    assert list(rows_of(other, cfpb)) == list(rows_of(written(tmp_path / "a.csv", CELLS), cfpb))


@pytest.mark.parametrize(
    ("cells", "kinds"),
    [
        ({"Company response to consumer": "In progress"}, "forwarded answered disputed"),
        ({"Company response to consumer": ""}, "forwarded disputed"),
        ({"Company response to consumer": "Closed"}, "forwarded answered closed disputed"),
        ({"Company response to consumer": "Untimely response"}, "forwarded answered disputed"),
        ({"Consumer disputed?": "No"}, "forwarded answered closed"),
        ({"Consumer disputed?": "", "Date sent to company": ""}, "answered closed"),
    ],
)
def test_only_what_the_source_says_becomes_a_fact(
    tmp_path: Path, cfpb: Profile, cells: dict[str, str], kinds: str
) -> None:
    (row,) = rows_of(written(tmp_path / "a.csv", CELLS | cells), cfpb)
    assert [fact["kind"] for fact in content(row)["facts"]] == kinds.split()


@pytest.mark.parametrize("column", [name for name in HEADERS if name != "Complaint ID"])
def test_a_change_of_any_cell_changes_what_is_sent(tmp_path: Path, cfpb: Profile, column: str) -> None:
    other = {
        "Date received": "03/27/2016",
        "Submitted via": "Fax",
        "Date sent to company": "03/30/2016",
        "Timely response?": "No",
        "Consumer disputed?": "",
    }.get(column, "Something else")
    before, after = (
        list(rows_of(written(tmp_path / "a.csv", CELLS | cells), cfpb)) for cells in ({}, {column: other})
    )
    assert before != after


def test_what_intake_would_refuse_is_sent_as_it_is(tmp_path: Path, cfpb: Profile) -> None:
    odd = {"Date received": "31/31/2016", "Submitted via": "Pigeon", "Timely response?": "Perhaps"}
    (row,) = rows_of(written(tmp_path / "a.csv", CELLS | odd), cfpb)
    assert (content(row)["occurred_at"], content(row)["channel"]) == ("31/31/2016", "Pigeon")
    assert content(row)["facts"][1]["timely"] == "perhaps"


@pytest.mark.parametrize(("cell", "reason"), [("a\x00b", "forbidden-characters"), ("a\udce4b", "not-utf-8")])
def test_a_row_that_json_cannot_carry_is_told_with_its_field(
    tmp_path: Path, cfpb: Profile, cell: str, reason: str
) -> None:
    path = written(tmp_path / "a.csv", CELLS, CELLS | {"Complaint ID": "2"})
    raw = path.read_bytes().replace(b"Bank of Nowhere", cell.encode("utf-8", "surrogateescape"), 1)
    path.write_bytes(raw if reason != "not-utf-8" else b"\xef\xbb\xbf" + raw)
    first, second = rows_of(path, cfpb) if reason != "not-utf-8" else _as_utf_8(path, cfpb)
    assert isinstance(first.content, Unreadable)
    assert (first.line, first.content.field, first.content.reason) == (2, "company", reason)
    assert first.wire()["unreadable"]["field"] == "company"
    assert second.line == 4
    assert isinstance(second.content, dict)


def _as_utf_8(path: Path, profile: Profile) -> list[Row]:
    """The same rows behind a megabyte of good ones, so that the encoding is settled before the bad byte."""
    head, _, tail = path.read_bytes().partition(b"\r\n")
    good = path.with_name("good.csv")
    filler = b",".join([b"x" * 1000] * 11) + b",9\r\n"
    good.write_bytes(head + b"\r\n" + filler * 100 + tail)
    rows = list(rows_of(good, profile))[100:]
    return [Row(row.line - 100, row.content) for row in rows]


def test_a_row_with_too_many_cells_is_told(tmp_path: Path, cfpb: Profile) -> None:
    path = written(tmp_path / "a.csv", CELLS)
    path.write_text(path.read_text() + ",".join("x" * (len(HEADERS) + 1)) + "\n")
    *_, last = rows_of(path, cfpb)
    assert last.content == Unreadable("columns", "too-many", json.dumps(["x"] * 13).encode())


def test_a_file_in_another_encoding_is_read(tmp_path: Path, cfpb: Profile) -> None:
    text = "Das Konto wurde gelöscht und niemand erklärt, weshalb es für ungültig erklärt wurde."
    rows = [CELLS | {"Complaint ID": str(n), "Consumer complaint narrative": text} for n in range(50)]
    path = written(tmp_path / "a.csv", *rows, encoding="cp1252")
    assert encoding_of(path) != "utf-8-sig"
    assert content(next(rows_of(path, cfpb)))["narrative"] == text


def test_ndjson_is_read_like_csv(tmp_path: Path, cfpb: Profile) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(json.dumps(CELLS | {"Complaint ID": 1, "Sub-product": None}) + "\n\nnope\n")
    first, bad = rows_of(path, cfpb)
    assert first.content == next(rows_of(written(tmp_path / "a.csv", CELLS), cfpb)).content
    assert bad == Row(3, Unreadable("body", "not-json", b"nope\n"))


def test_a_file_without_the_needed_columns_is_wrong_use(tmp_path: Path, cfpb: Profile) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(WrongUse, match="source_reference"):
        list(rows_of(path, cfpb))


def test_a_profile_is_shipped_or_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'source_system = "crm"\ntime_zone = "UTC"\nlanguage = "de"\ndates = []\n[columns]\nname = "n"\n'
    )
    assert load(str(own)).columns == {"name": ["n"]}
    with pytest.raises(WrongUse, match="no import profile"):
        load("nowhere")
    own.write_text("source_system = ")
    with pytest.raises(WrongUse, match="not TOML"):
        load(str(own))
    own.write_text('source_system = "crm"')
    with pytest.raises(WrongUse, match="time_zone"):
        load(str(own))


def test_every_category_of_the_shipped_profile_is_in_the_shipped_scheme(cfpb: Profile) -> None:
    scheme = scheme_of(category_scheme())
    mapped = [*cfpb.values["category"].words.values(), cfpb.values["category"].default]
    assert all(scheme.knows(tuple(path)) for path in mapped)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Date received", "date_received"),
        ("Timely response?", "timely_response"),
        ("311 id", "column_311_id"),
    ],
)
def test_headers_have_one_form(header: str, name: str) -> None:
    assert plain_name(header) == name


@pytest.mark.data
def test_the_files_of_2016_and_2017_are_read_whole(cfpb: Profile) -> None:
    older, newer = (commands(DATA / name, cfpb) for name in ("cfpb_2016_349.csv", "cfpb_2017_145.csv"))
    assert (len(older), len(newer)) == (349, 145)
    disputed = [fact for command in older for fact in command.facts if fact.kind is FactKind.DISPUTED]
    assert len(disputed) == 41
    assert len(Counter(command.channel for command in older)) == 4
    untimely = [fact for command in newer for fact in command.facts if fact.timely is False]
    assert len(untimely) == 11
    assert sum(command.narrative is not None for command in newer) == 13
