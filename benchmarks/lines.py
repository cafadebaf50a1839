"""What a row of the table says: its figures, its goal, and whether that is met."""

from __future__ import annotations

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
    """Number of the row, 1 to 16; 0 for what is no row of its own."""
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
