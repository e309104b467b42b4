"""The published language is complete: every event is catalogued, classed, shown by an example, and has a schema."""

import json
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel

import shared.schemas
from shared.schemas import codes
from shared.schemas.base import PUBLISHERS, Event, Part, parts_of
from shared.schemas.catalogue import CATALOGUE
from shared.schemas.envelope import Unreadable, read
from shared.schemas.privacy import Clear, Privacy, PrivacyClass, Sealed
from shared.schemas.published import breaking_changes, schema_files
from shared.schemas.retired import UPCASTERS
from shared.schemas.topics import TOPICS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "shared" / "schemas" / "examples"
PUBLISHED = ROOT / "docs" / "schemas"

for module in pkgutil.iter_modules(shared.schemas.__path__):
    import_module(f"shared.schemas.{module.name}")


def below(kind: type[Part]) -> Iterator[type[Part]]:
    """The classes of the language; other tests make some of their own."""
    for child in kind.__subclasses__():
        if child.__module__.startswith("shared.schemas."):
            yield child
        yield from below(child)


def test_every_event_class_is_catalogued_under_its_own_type() -> None:
    assert {entry.event for entry in CATALOGUE.values()} == set(below(Event))
    assert all(name == entry.event.type for name, entry in CATALOGUE.items())


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_type_is_publisher_event_and_version_and_stands_in_the_publishers_module(name: str) -> None:
    entry = CATALOGUE[name]
    assert re.fullmatch(rf"({'|'.join(PUBLISHERS)})\.[a-z]+(-[a-z]+)*\.v[1-9]\d*", name)
    home = "retired" if entry.retired else entry.publisher
    assert entry.event.__module__ == f"shared.schemas.{home}"
    assert entry.topic in TOPICS
    assert set(entry.consumers) <= set(PUBLISHERS)


def test_every_field_of_every_event_carries_its_privacy_class() -> None:
    unclassed = [
        f"{kind.__name__}.{name}"
        for kind in below(Part)
        for name, field in kind.model_fields.items()
        if not any(isinstance(mark, Privacy) for mark in field.metadata)
        and not list(parts_of(field.annotation))
    ]
    assert unclassed == []


def test_personal_fields_are_sealed_fields_and_name_their_group() -> None:
    for kind in below(Part):
        for name, field in kind.model_fields.items():
            for mark in (mark for mark in field.metadata if isinstance(mark, Privacy)):
                holds_text = Clear in getattr(field.annotation, "__args__", ())
                is_personal = mark.classed in (PrivacyClass.PERSONAL, PrivacyClass.SPECIAL)
                assert holds_text == is_personal, f"{kind.__name__}.{name}"
                assert (mark.group is not None) == is_personal, f"{kind.__name__}.{name}"


def test_a_field_without_a_class_fails_the_build() -> None:
    with pytest.raises(TypeError, match="Careless.note has no privacy class"):

        class Careless(Part):
            note: str


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_type_is_shown_by_golden_examples_that_are_read_today(name: str) -> None:
    examples = list((EXAMPLES / name).glob("*.json"))
    assert examples, f"no example of {name}"
    for example in examples:
        recorded = read(example.read_bytes())
        assert recorded.type == name
        assert recorded.event.publisher() == recorded.publisher
        assert type(recorded.event) not in UPCASTERS


def test_there_is_no_example_of_a_type_that_does_not_exist() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == set(CATALOGUE)


def test_a_retired_classification_is_read_as_its_successor() -> None:
    body = (EXAMPLES / "intake.complaint-classified.v1" / "one-category.json").read_bytes()
    event = read(body).event
    assert event.model_dump(mode="json", exclude_none=True) == {
        "item": 1,
        "category": ["billing", "wrong-amount"],
        "scheme_version": "0",
        "urgency": "P3",
    }


def test_an_unknown_type_is_unreadable_and_its_content_is_not_repeated() -> None:
    body = (EXAMPLES / "processing.handling-started.v1" / "owner-begins.json").read_bytes()
    with pytest.raises(Unreadable) as unreadable:
        read(body.replace(b"handling-started.v1", b"secret-words.v1"))
    assert "secret-words" not in str(unreadable.value)


def test_published_schemas_are_fresh() -> None:
    on_disk = {path.name: path.read_text() for path in PUBLISHED.glob("*.schema.json")}
    assert on_disk == dict(schema_files()), "run `.venv/bin/python -m shared.schemas.published docs/schemas`"


def test_data_in_clear_is_no_part_of_the_published_language() -> None:
    assert not any('"Clear"' in text or "$defs/Clear" in text for text in schema_files().values())
    assert Sealed.__name__ in (PUBLISHED / "intake.complaint-received.v1.schema.json").read_text()


def committed(revision: str) -> dict[str, str]:
    """The published schemas as a commit has them; none where there is no such commit."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    names = git("ls-tree", "-r", "--name-only", revision, "docs/schemas").split()
    return {Path(name).name: git("show", f"{revision}:{name}") for name in names}


@pytest.mark.parametrize("revision", ["HEAD", "HEAD~1"])
def test_schemas_only_grow_since_the_last_commits(revision: str) -> None:
    now = schema_files()
    broken = {}
    for name, text in committed(revision).items():
        if name not in now:
            broken[name] = ["the type is gone; retire it with an upcaster instead"]
        elif changes := breaking_changes(json.loads(text), json.loads(now[name])):
            broken[name] = [*changes, f"deploy readers first: {json.loads(text)['x-consumers']}"]
    assert broken == {}, "make a new version of the type and an upcaster"


def test_a_field_taken_away_retyped_or_newly_demanded_is_a_breaking_change() -> None:
    before = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": []}
    after = {"properties": {"a": {"type": "integer"}, "c": {"type": "string"}}, "required": ["c"]}
    assert breaking_changes(before, after) == ["a has another type", "b is gone", "c is demanded now"]
    assert (
        breaking_changes(before, {**before, "properties": {**before["properties"], "c": {"type": "string"}}})
        == []
    )


def test_codes_are_kebab_case_words_or_priorities() -> None:
    kinds = [kind for kind in vars(codes).values() if isinstance(kind, type) and issubclass(kind, str)]
    values = [value.value for kind in kinds for value in getattr(kind, "__members__", {}).values()]
    assert values
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*|P[1-4]", value) for value in values)


def test_models_outside_events_are_none() -> None:
    """Everything pydantic in the language is a Part, a sealed or clear text, or the envelope."""
    strays = [
        kind.__name__
        for kind in BaseModel.__subclasses__()
        if kind.__module__.startswith("shared.schemas.") and kind not in (Part, Clear, Sealed)
    ]
    assert strays == ["_Envelope"]
