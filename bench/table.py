"""The figures as people and as programs read them."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.measuring import ROUNDS, Figure, Section

HOW = f"Median (least-most) of {ROUNDS} rounds by turns, after one of warm-up; the ratio is made round by round."
HEADS = ("what", "unit", "floor", "ours", "ratio", "goal", "reached", "CPU floor/ours")


def table(sections: Mapping[str, Section]) -> str:
    """Plain columns, and under them what has to be known to read them."""
    rows = [HEADS, *(_row(figure) for section in sections.values() for figure in section.figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
    lines = [
        "  ".join(
            _fit(cell, width, place) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"  {name}: {note}" for name, section in sections.items() for note in section.notes]
    return "\n".join(line.rstrip() for line in [*lines, "", HOW, *notes])


def _fit(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place < 2 else cell.rjust(width)


def _row(figure: Figure) -> tuple[str, ...]:
    reached = {None: "", True: "yes", False: "no"}[figure.reached]
    goal = "" if figure.goal is None else f">= {figure.goal:g}"
    if figure.most is not None:
        goal = f"<= {figure.most:g} {figure.unit}"
    busy = "" if figure.busy is None else " / ".join(f"{share:.0%}" for share in figure.busy)
    told = (_spread(values, figure.unit) for values in (figure.floor, figure.ours))
    return figure.what, figure.unit, *told, _spread(figure.ratios, "ratio"), goal, reached, busy


def _spread(values: Sequence[float], unit: str) -> str:
    form = {"ms": "{:.2f}", "ratio": "{:.2f}"}.get(unit, "{:,.0f}")
    middle, least, most = (form.format(value) for value in (median(values), min(values), max(values)))
    return f"{middle} ({least}-{most})"


def plain(sections: Mapping[str, Section], versions: Mapping[str, str]) -> dict[str, Any]:
    """One object for a program."""
    return {
        "versions": dict(versions),
        "sections": {
            name: {"figures": [_plain(figure) for figure in section.figures], "notes": list(section.notes)}
            for name, section in sections.items()
        },
    }


def _plain(figure: Figure) -> dict[str, Any]:
    return {
        "what": figure.what,
        "unit": figure.unit,
        "floor": list(figure.floor),
        "ours": list(figure.ours),
        "ratio": median(figure.ratios),
        "goal": figure.goal,
        "most": figure.most,
        "reached": figure.reached,
    }
