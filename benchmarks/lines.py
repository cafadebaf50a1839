"""What a row of the table says: its figures, its goal, and whether that is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.measure import Summary


class Bound(StrEnum):
    """Which side of a goal is good."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a ratio is to be."""

    bound: Bound
    value: float

    def met_by(self, figure: float) -> bool:
        """Whether a figure is good enough."""
        return figure <= self.value if self.bound is Bound.AT_MOST else figure >= self.value

    def __str__(self) -> str:
        return f"{self.bound.value}{self.value:g}"


def at_most(value: float) -> Goal:
    """A goal for times and sizes."""
    return Goal(bound=Bound.AT_MOST, value=value)


def at_least(value: float) -> Goal:
    """A goal for rates."""
    return Goal(bound=Bound.AT_LEAST, value=value)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table; a row may have several."""

    row: int
    """Number of the row; 0 for what is no row of its own."""
    what: str
    """What was measured, in a few words."""
    baseline: str
    """What it is held against."""
    ratio: Summary | None = None
    """Ours by the baseline's; None if it could not be measured."""
    goal: Goal | None = None
    """What the median of the ratio is to be; None if it is only reported."""
    absolute: str = ""
    """Both sides in units, for orientation."""
    problem: str = ""
    """Why there is no ratio."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if there is none, or nothing was measured."""
        if self.ratio is None or self.goal is None:
            return None
        return self.goal.met_by(self.ratio.median)


class RowTimeoutError(TimeoutError):
    """A whole row has had its time."""


def attempt(row: int, what: str, baseline: str, measure: Callable[[], Line]) -> Line:
    """One of several lines of a row, which are independent of each other.

    Args:
        row: Number of the row.
        what: What the line says if it cannot be measured.
        baseline: Likewise.
        measure: Measures it.
    """
    try:
        return measure()
    except RowTimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - the other lines are still to be measured
        return Line(row=row, what=what, baseline=baseline, problem=problem(error))


def problem(error: Exception) -> str:
    """What the table says of an error."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
