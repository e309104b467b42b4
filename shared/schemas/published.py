"""The published form of the language: one JSON Schema file per event type, made from the classes.

`python -m shared.schemas.published FOLDER` writes them; a test fails when they are stale.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.schemas.catalogue import CATALOGUE, Entry


def schema_of(name: str, entry: Entry) -> dict[str, Any]:
    """The JSON Schema of an event type's data, with publisher, topic, consumers and the privacy class of each field.

    Data in clear exists in memory only, so it is no part of the published form.
    """
    schema = entry.event.model_json_schema()
    definitions = {key: value for key, value in schema.pop("$defs", {}).items() if key != "Clear"}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:redress:{name}",
        "x-topic": f"complaints.{entry.topic}",
        "x-publisher": entry.publisher,
        "x-consumers": list(entry.consumers),
        "x-retired": entry.retired,
    }
    body = {**schema, **({"$defs": definitions} if definitions else {})}
    return {**head, **_without_clear(body)}


def _without_clear(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_clear(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_clear(inner) for inner in value if inner != {"$ref": "#/$defs/Clear"}]
    return value


def schema_files() -> Mapping[str, str]:
    """File name -> text of every published schema."""
    return {
        f"{name}.schema.json": json.dumps(
            schema_of(name, entry), indent=2, ensure_ascii=False, sort_keys=True
        )
        + "\n"
        for name, entry in CATALOGUE.items()
    }


def breaking_changes(before: Mapping[str, Any], after: Mapping[str, Any], at: str = "") -> list[str]:
    """What makes a reader of the old form stumble: a field gone, retyped, or newly demanded of old messages."""
    found: list[str] = []
    old, new = before.get("properties", {}), after.get("properties", {})
    for name, kind in old.items():
        if name not in new:
            found.append(f"{at}{name} is gone")
        elif _shape(kind) != _shape(new[name]):
            found.append(f"{at}{name} has another type")
    demanded = set(after.get("required", [])) - set(before.get("required", []))
    found += [f"{at}{name} is demanded now" for name in sorted(demanded)]
    for name, part in before.get("$defs", {}).items():
        if name in after.get("$defs", {}):
            found += breaking_changes(part, after["$defs"][name], f"{name}.")
            gone = set(map(str, part.get("enum", []))) - set(map(str, after["$defs"][name].get("enum", [])))
            found += [f"{at}{name} lost {value}" for value in sorted(gone)]
    return found


def _shape(kind: Mapping[str, Any]) -> str:
    said = ("type", "$ref", "anyOf", "items", "format")
    return json.dumps({name: kind[name] for name in said if name in kind}, sort_keys=True)


def main() -> None:
    """Writes the schemas into the folder named on the command line and removes those of types that are gone."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    files = schema_files()
    for path in folder.glob("*.schema.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
