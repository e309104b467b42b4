"""python -m bench [SECTION ...] [--seconds N] [--json]: measures, and exits 0 whatever it finds."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NoReturn

from bench import appending, handling, opening, rebuilding, receiving, replaying, verifying
from bench.measuring import Section
from bench.place import Place, throwaway
from bench.table import plain, table
from shared.runtime.collecting import collect_seldom

SECTIONS: Mapping[str, Callable[[Place], Awaitable[Section]]] = {
    "append": appending.measure,
    "handle": handling.measure,
    "open": opening.measure,
    "receive": receiving.measure,
    "rebuild": rebuilding.measure,
    "verify": verifying.measure,
    "replay": replaying.measure,
}


def main(arguments: Sequence[str]) -> None:
    """Everything that was started is stopped and deleted in the end, after ^C too."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    logging.disable(logging.ERROR)  # the clients warn of topics made a moment ago
    found: dict[str, Section] = {}
    _tell("starting a throw-away stack")
    with throwaway() as stack:
        place = Place(stack, asked.seconds)
        versions = asyncio.run(place.versions())
        try:
            collect_seldom()  # as every service does
            asyncio.run(_measure(place, asked.sections or list(SECTIONS), found))
        finally:  # ^C shows what was measured until then
            print(" · ".join(f"{name} {version}" for name, version in versions.items()), "· fsync on")
            print(table(found))
            if asked.json:
                print(json.dumps(plain(found, versions)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(SECTIONS)
    parser.add_argument(
        "sections", nargs="*", type=_section, metavar="SECTION", help=f"all, or some of: {names}"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one run takes (1.0)")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    return parser


def _section(name: str) -> str:
    if name not in SECTIONS:
        raise argparse.ArgumentTypeError(f"there is no {name}; choose from {', '.join(SECTIONS)}")
    return name


async def _measure(place: Place, names: Sequence[str], found: dict[str, Section]) -> None:
    await place.prepare()
    for name in names:
        _tell(f"measuring {name}")
        found[name] = await SECTIONS[name](place)


def _tell(what: str) -> None:
    print(f"{what} ..", file=sys.stderr, flush=True)


def _end(*_: object) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
