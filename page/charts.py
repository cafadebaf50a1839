"""Geometry of charts; the templates draw it as SVG. Lengths without a unit are its units."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from page.formats import real

WIDTH: Final = 640
HEIGHT: Final = 260
LEFT: Final = 56
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 40

MOST_BARS: Final = 32
#: More lines than these are no picture.
MOST_LINES: Final = 8
# So few points are marked.
_MARKED: Final = 64
# The most intervals between ticks of the vertical axis; the other is twice as long.
_TICKS: Final = 6


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of a histogram."""

    label: str
    value: float
    width: float
    """Of the longest bar, in percent."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """The largest values, in the order of their labels."""

    bars: tuple[Bar, ...]
    n_left_out: int
    """How many others there are."""
    sum_left_out: float


def histogram(values: Iterable[tuple[str, float]]) -> Histogram:
    """A histogram of not too many bars.

    Args:
        values: Labels with what belongs to them.
    """
    pairs = list(values)
    largest = heapq.nlargest(MOST_BARS, pairs, key=lambda pair: pair[1])
    top = max((value for _, value in largest), default=0.0)
    return Histogram(
        bars=tuple(
            # Quasi-probabilities of a plug-in may be below 0; a bar is not.
            Bar(label=label, value=value, width=max(100 * value / top, 0.0) if top > 0 else 0.0)
            for label, value in sorted(largest)
        ),
        n_left_out=len(pairs) - len(largest),
        sum_left_out=math.fsum(value for _, value in pairs)
        - math.fsum(value for _, value in largest),
    )


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart."""

    name: str
    path: str
    """SVG's path data."""
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over a common axis."""

    x_label: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    n_left_out: int
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def chart(
    x_label: str,
    xs: Sequence[float],
    lines: Sequence[tuple[str, Sequence[float]]],
    *,
    n_left_out: int = 0,
) -> Chart | None:
    """A chart; None without two points to draw a line between.

    Args:
        x_label: What is on the horizontal axis.
        xs: Where the points are on it.
        lines: Names, each with one value a point.
        n_left_out: How many lines there are besides.
    """
    ys = [y for _, values in lines for y in values]
    if len(xs) < 2 or not all(map(math.isfinite, [*xs, *ys])) or not ys:
        return None
    across = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    up = _Axis(min(ys), max(ys), HEIGHT - BOTTOM, TOP, margin=0.05)
    order = sorted(range(len(xs)), key=xs.__getitem__)
    return Chart(
        x_label=x_label,
        lines=tuple(
            _line(name, [(across.place(xs[at]), up.place(values[at])) for at in order])
            for name, values in lines
        ),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
        n_left_out=n_left_out,
    )


def _line(name: str, points: Sequence[tuple[float, float]]) -> Line:
    path = " ".join(f"{'L' if at else 'M'}{x:.1f} {y:.1f}" for at, (x, y) in enumerate(points))
    return Line(name=name, path=path, marks=tuple(points) if len(points) <= _MARKED else ())


class _Axis:
    """From values to places."""

    def __init__(
        self, low: float, high: float, begin: float, end: float, *, margin: float = 0.0
    ) -> None:
        # A constant lies in the middle.
        extent = (high - low) or max(abs(low), 1.0)
        extra = extent * margin if high > low else extent / 2
        self._low, self._high = low - extra, high + extra
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        part = (value - self._low) / (self._high - self._low)
        return self._begin + part * (self._end - self._begin)

    def ticks(self) -> tuple[Tick, ...]:
        step = _round_step(
            (self._high - self._low) / (_TICKS if self._begin > self._end else 2 * _TICKS)
        )
        first, last = math.ceil(self._low / step), math.floor(self._high / step)
        values = [number * step for number in range(first, last + 1)]
        return tuple(Tick(at=self.place(value), label=real(value)) for value in values)


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, ... that is not below."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((power * each for each in (1, 2, 5) if power * each >= least), power * 10)


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A part of a bar that is cut into parts."""

    name: str
    amount: float
    begin: float
    """In percent, as is the width."""
    width: float


def slices(parts: Sequence[tuple[str, float]], whole: float = 0.0) -> tuple[Slice, ...]:
    """A bar cut into parts.

    Args:
        parts: Names and amounts; what is 0 is left out.
        whole: What the full length stands for, if that is more than all parts.
    """
    ends = [0.0]
    for _, amount in parts:
        ends.append(ends[-1] + amount)
    scale = 100 / (max(ends[-1], whole) or 1)
    return tuple(
        Slice(name=name, amount=amount, begin=begin * scale, width=(end - begin) * scale)
        for (name, amount), (begin, end) in zip(parts, pairwise(ends), strict=True)
        if amount
    )
