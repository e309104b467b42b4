"""The same message meets itself; a case number survives being read aloud and typed."""

from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from services.intake.domain.decisions.telling import Fact, RecordFact
from services.intake.domain.identity import (
    ALPHABET,
    case_number,
    complaint_of_command,
    complaint_of_reference,
    content_command,
    read_case_number,
)
from shared.schemas.codes import FactKind
from tests.unit.intake.stories import parcel
from tests.unit.specification import COMMAND, NOON

KEY = b"k" * 32
randoms = st.binary(min_size=5, max_size=5)


def test_a_reference_of_a_source_is_one_complaint() -> None:
    assert complaint_of_reference("shop", "4711") == complaint_of_reference("shop", "4711")
    assert complaint_of_reference("shop", "4711") != complaint_of_reference("crm", "4711")
    assert complaint_of_reference("a", "b-c") != complaint_of_reference("a-b", "c")


def test_a_command_without_a_reference_is_one_complaint() -> None:
    assert complaint_of_command(COMMAND) == complaint_of_command(COMMAND) != COMMAND


def test_the_same_content_is_the_same_command() -> None:
    one, same = replace(parcel, details={"a": "1", "b": "2"}), replace(parcel, details={"b": "2", "a": "1"})
    assert content_command("shop", "1", one, KEY) == content_command("shop", "1", same, KEY)


def test_other_content_another_reference_or_another_key_is_another_command() -> None:
    fact = RecordFact("shop", Fact(FactKind.CLOSED))
    commands = {
        content_command("shop", "1", parcel, KEY),
        content_command("shop", "1", replace(parcel, narrative="Anders."), KEY),
        content_command("shop", "1", replace(parcel, details={"order": "A-18"}), KEY),
        content_command("shop", "2", parcel, KEY),
        content_command("shop", "1", parcel, b"x" * 32),
        content_command("shop", "1", fact, KEY),
    }
    assert len(commands) == 6


def test_the_same_moment_in_utc_is_the_same_content() -> None:
    berlin = replace(parcel, occurred_at=NOON.astimezone(timezone(timedelta(hours=1))))
    utc = replace(parcel, occurred_at=berlin.occurred_at and berlin.occurred_at.astimezone(UTC))
    assert content_command("shop", "1", utc, KEY) == content_command("shop", "1", parcel, KEY)


@forall(randoms)
def test_a_case_number_is_read_back_as_it_was_given(random: bytes) -> None:
    number = case_number(2026, random)
    assert read_case_number(number) == number
    assert read_case_number(f" {number.lower().replace('-', ' ')} ") == number


@forall(randoms, st.integers(0, 12), st.sampled_from(ALPHABET))
def test_one_mistyped_character_is_noticed(random: bytes, place: int, other: str) -> None:
    plain = case_number(2026, random).replace("-", "")
    mistyped = plain[:place] + other + plain[place + 1 :]
    assert (read_case_number(mistyped) is None) == (mistyped != plain)


@forall(randoms)
def test_a_case_number_has_no_character_that_is_misread(random: bytes) -> None:
    assert not set(case_number(2026, random)) & set("ILOU")


def test_letters_that_look_like_digits_are_taken_for_them() -> None:
    number = case_number(2026, bytes(5))
    assert read_case_number(number.replace("0", "O")) == number


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-K7Q2M9XD-5", "2026-K7Q2M9XU-4", "٢٠٢٦-K7Q2M9XD-4", "x" * 13]
)
def test_what_is_no_case_number_is_none(text: str) -> None:
    assert read_case_number(text) is None
