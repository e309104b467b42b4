"""Whether a text can be read anywhere: in any record, any column, any log, as it is or decoded."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import asyncpg
from confluent_kafka import Consumer

from redress.stack import Stack
from tests.journeys.acting import everything_on, query

ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")  # what is searched for is longer than an id
ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")
DEPTH = 2
_TABLES = """
select n.nspname || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"""
_DATABASES = "select datname from pg_database where datallowconn and not datistemplate"


async def found(
    stack: Stack, wanted: Mapping[str, str], topics: Collection[str] | None = None
) -> dict[str, set[str]]:
    """Of each named text the places where it can be read. topics: only these, else all of the broker's."""
    places: dict[str, set[str]] = {name: set() for name in wanted}
    needles = {name: text.encode() for name, text in wanted.items()}
    known: dict[bytes, list[str]] = {}  # one event stands in many places
    async for place, content in _everything(stack, topics):
        mark = sha256(content).digest()
        if mark not in known:
            readable = list(readings(content))
            known[mark] = [
                name for name, needle in needles.items() if any(needle in reading for reading in readable)
            ]
        for name in known[mark]:
            places[name].add(place)
    return places


def readings(content: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """The content as it is, with JSON's escapes resolved, and what its base64 segments decode to."""
    yield content
    if b"\\u" in content:
        yield ESCAPE.sub(lambda found: chr(int(found[1], 16)).encode("utf-8", "replace"), content)
    if depth:
        for segment in ENCODED.findall(content):
            for decoded in _decoded(segment):
                yield from readings(decoded, depth - 1)


def _decoded(segment: bytes) -> Iterator[bytes]:
    bare = segment.rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_"))
    usable = bare[: len(bare) // 4 * 4 + (0 if len(bare) % 4 == 1 else len(bare) % 4)]
    try:
        yield base64.urlsafe_b64decode(usable + b"=" * (-len(usable) % 4))
    except binascii.Error:
        return


async def _everything(stack: Stack, topics: Collection[str] | None) -> AsyncIterator[tuple[str, bytes]]:
    bootstrap = stack.env["KAFKA_BOOTSTRAP"]
    for topic in _topics(bootstrap) if topics is None else topics:
        for record in everything_on(bootstrap, topic):
            parts = [record.key() or b"", record.value() or b""]
            parts += [
                part for name, value in record.headers() or [] for part in (name.encode(), value or b"")
            ]
            yield f"topic {topic}", b"\x00".join(parts)
    for (database,) in await query(stack.admin_dsn, _DATABASES):
        dsn = stack.admin_dsn.rpartition("/")[0] + f"/{database}"
        for (table,) in await query(dsn, _TABLES):
            for row in await query(dsn, f"select * from {table}"):
                for column, value in row.items():
                    yield f"table {database}.{table}.{column}", plain(value)
    for file in logs_of(stack):
        with file.open("rb") as lines:
            for line in lines:
                yield f"log {file.name}", line


def plain(value: object) -> bytes:
    """A column's value as bytes that can be searched."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, list | tuple | asyncpg.Record):
        return b" ".join(plain(each) for each in value)
    return value.encode() if isinstance(value, str) else b""  # no number, moment or id can hold a text


def logs_of(stack: Stack) -> list[Path]:
    return sorted(file for file in stack.layout.logs.rglob("*") if file.is_file())


def _topics(bootstrap: str) -> list[str]:
    """All of the broker's, its own too."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "plain-reader"})
    try:
        return sorted(consumer.list_topics(timeout=10).topics)
    finally:
        consumer.close()


def escaped(text: str) -> str:
    """The text as a JSON writer that escapes everything has it."""
    return "".join(f"\\u{ord(character):04x}" for character in text)
