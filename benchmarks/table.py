"""The one table that a run prints, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Line
from benchmarks.measure import Summary

if TYPE_CHECKING:
    from benchmarks.stages import Breakdown

WIDTH: Final = 80

# Row, what, baseline, ratio, goal, met; one space between.
_COLUMNS: Final = (3, 27, 16, 17, 7, 5)
_INDENT: Final = " " * 4


def heading() -> str:
    """The names of the columns, and a line below."""
    names = ("row", "what", "baseline", "ratio (min-max)", "goal", "met")
    return f"{_cells(names)}\n{'-' * WIDTH}"


def render(line: Line) -> str:
    """A line of the table, with its absolute values below it."""
    number = str(line.row) if line.row else ""
    cells = (number, line.what, line.baseline, _ratio(line), str(line.goal or ""), verdict(line))
    below = line.problem or line.absolute
    rows = [_cells(cells)]
    if below:
        rows += textwrap.wrap(
            " ".join(below.split()),
            WIDTH,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
        )[:4]
    return "\n".join(rows)


def verdict(line: Line) -> str:
    """The last column."""
    if line.problem:
        return "n/a"
    return {True: "yes", False: "NO", None: "-"}[line.met]


def stages(known: Breakdown) -> str:
    """Where the time of a small job goes."""
    total = sum(known.seconds.values())
    head = f"where the {seconds(known.trip_s)} of a small job go, with probes"
    rows = [
        f"{_INDENT}{name:10} {1e3 * took:7.2f} ms {100 * took / total:5.1f} %"
        for name, took in known.seconds.items()
    ]
    return "\n".join([head, *rows])


def closing(lines: Iterable[Line]) -> str:
    """How many goals are met."""
    verdicts = [line.met for line in lines if line.goal is not None and not line.problem]
    failed = sum(1 for line in lines if line.problem)
    text = f"{sum(map(bool, verdicts))} of {len(verdicts)} goals are met"
    return text + (f"; {failed} lines could not be measured" if failed else "")


def spread(figure: Summary) -> str:
    """A median with the least and the most in parentheses."""
    return f"{_short(figure.median)} ({_short(figure.low)}-{_short(figure.high)})"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def number(value: float) -> str:
    """Three digits that count, without an exponent where that is short."""
    if value < 0:
        return f"-{number(-value)}"
    if value >= 99.5:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 0.01 else f"{value:.1g}"


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    if value < 0.9995:
        return f"{number(value * 1e3)} ms"
    return f"{number(value)} s"


def _ratio(line: Line) -> str:
    return "-" if line.ratio is None else spread(line.ratio)


def _cells(cells: Iterable[str]) -> str:
    padded = (_cut(cell, width).ljust(width) for cell, width in zip(cells, _COLUMNS, strict=True))
    return " ".join(padded).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
