"""How long a job runs, from earlier jobs of its target that were like it.

The nearest neighbours of a job are looked for by qubits, depth, shots and points,
each but the qubits as its logarithm to the base of 2. A step of 1 on any of these
axes makes a run up to twice as long: a state vector has twice the amplitudes for
each qubit, and depth, shots and points are repetitions. Where fixed costs prevail,
or another method is used, a step costs nothing. The truth is in between; so the
expected factor is the root of the upper one.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

_Axes: TypeAlias = tuple[float, float, float, float]

# Runs that an estimate is made from, and how much farther than the closest one they
# may be: what is scaled by more than that would be a guess, however little it weighs.
_NEAREST: Final = 30
_FARTHER: Final = 3.0
# Half a step on an axis is not worth an estimate of its own.
_GRID: Final = 2
# What a run takes at the least, in seconds, and what is ever said of one.
_SHORTEST_S: Final = 1e-3
LONGEST_S: Final = 1e8
# The most that an upper bound is scaled by, as a power of 2.
_FAR: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What makes jobs alike."""

    n_qubits: int
    depth: int
    shots: int
    n_points: int
    """0, for a job without a sweep, counts as 1."""
    limit_s: float = LONGEST_S
    """What its run does not exceed, in seconds; it makes no jobs alike."""

    @cached_property
    def axes(self) -> _Axes:
        """The place among all jobs: qubits, and log2 of depth, shots and points.

        Rounded to half a step, so that jobs of about the same load share it.
        """
        return (
            float(self.n_qubits),
            _step(self.depth),
            _step(self.shots),
            _step(self.n_points),
        )


def _step(number: int) -> float:
    return round(math.log2(max(number, 1)) * _GRID) / _GRID


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A job that has finished."""

    load: Load
    run_s: float
    """From its last start to its end, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How long a run takes, in seconds; lower <= expected <= upper."""

    lower: float
    """One in twenty is shorter."""
    expected: float
    """Half of them are shorter."""
    upper: float
    """One in twenty is longer."""
    mean: float
    """The average, between lower and upper; it is what adds up over many runs."""
    basis: float = 1.0
    """How many like runs this is worth: the error that all estimates made from
    them have in common is smaller by its root."""

    def within(self, limit_s: float) -> Spread:
        """The same of a run that is ended at a limit, in seconds."""
        limit_s = max(limit_s, 0.0)
        if self.upper <= limit_s:
            return self
        return Spread(
            lower=min(self.lower, limit_s),
            expected=min(self.expected, limit_s),
            upper=limit_s,
            mean=min(self.mean, limit_s),
            basis=self.basis,
        )

    def after(self, running_for_s: float) -> Spread:
        """What is left of a run that has lasted for so long.

        Beyond what was expected, a run may last as much longer as it is late, and
        in the middle half of that.
        """
        late_s = running_for_s - self.expected
        upper = max(self.upper - running_for_s, late_s, 0.0)
        more = min(running_for_s, upper) / 2
        expected = min(max(-late_s, more), upper)
        return Spread(
            lower=min(max(self.lower - running_for_s, 0.0), expected),
            expected=expected,
            upper=upper,
            mean=min(max(self.mean - running_for_s, more), upper),
            basis=self.basis,
        )


class History:
    """The finished jobs of one target.

    Args:
        runs: Of those that are equally alike the first count: the latest come first.
    """

    def __init__(self, runs: Sequence[PastRun]) -> None:
        self._runs: defaultdict[_Axes, list[float]] = defaultdict(list)
        for run in runs:
            at = self._runs[run.load.axes]
            if len(at) < _NEAREST:
                at.append(max(run.run_s, _SHORTEST_S))
        self._known: dict[tuple[_Axes, float], Spread | None] = {}

    def run_s(self, load: Load) -> Spread | None:
        """How long a job will run; None without any history."""
        key = load.axes, load.limit_s
        if key not in self._known:
            spread = self._spread(load.axes) if self._runs else None
            self._known[key] = spread and spread.within(min(load.limit_s, LONGEST_S))
        return self._known[key]

    def _spread(self, axes: _Axes) -> Spread:
        near = self._nearest(axes)
        closest = near[0].distance
        weights = [4.0 ** (closest - each.distance) for each in near]
        basis = max(sum(weights) ** 2 / sum(weight * weight for weight in weights), 1.0)
        # Few runs do not show how far others may be off.
        widening = 1 + 3 / basis
        scaled = [each.run_s * 2**each.expected for each in near]
        expected = _quantile(scaled, weights, 0.5)
        lower = _quantile([each.run_s * 2**each.lower for each in near], weights, 0.05)
        upper = _quantile([each.run_s * 2**each.upper for each in near], weights, 0.95)
        lower = min(lower / widening, expected)
        upper = max(upper * widening, expected)
        mean = sum(map(math.prod, zip(scaled, weights, strict=True))) / sum(weights)
        return Spread(
            lower=lower,
            expected=expected,
            upper=upper,
            mean=min(max(mean, lower), upper),
            basis=basis,
        )

    def _nearest(self, axes: _Axes) -> list[_Neighbour]:
        n_qubits, depth, shots, points = axes
        # Written out: with a long history and a long queue this is what takes the time.
        distances = [
            (abs(n_qubits - q) + abs(depth - d) + abs(shots - s) + abs(points - p), (q, d, s, p))
            for q, d, s, p in self._runs
        ]
        near: list[_Neighbour] = []
        for distance, place in heapq.nsmallest(_NEAREST, distances):
            steps = [ours - theirs for ours, theirs in zip(axes, place, strict=True)]
            near += [
                _Neighbour(
                    run_s=run_s,
                    distance=distance,
                    lower=max(sum(min(step, 0) for step in steps), -_FAR),
                    expected=min(max(sum(steps) / 2, -_FAR), _FAR),
                    upper=min(sum(max(step, 0) for step in steps), _FAR),
                )
                for run_s in self._runs[place]
            ]
            if len(near) >= _NEAREST:
                break
        farthest = near[0].distance + _FARTHER
        return [each for each in near[:_NEAREST] if each.distance <= farthest]


@dataclass(frozen=True, kw_only=True)
class _Neighbour:
    """An earlier run, and how a run of our load differs from it."""

    run_s: float
    distance: float
    # Exponents of 2 of the factors to our run.
    lower: float
    expected: float
    upper: float


def _quantile(values: Sequence[float], weights: Sequence[float], part: float) -> float:
    """The weighted quantile, interpolated between the middles of the weights."""
    pairs = sorted(zip(values, weights, strict=True))
    wanted = part * sum(weights)
    before, at = pairs[0][0], 0.0
    total = 0.0
    for value, weight in pairs:
        middle = total + weight / 2
        if middle >= wanted:
            reach = middle - at
            return value if reach <= 0 else before + (value - before) * (wanted - at) / reach
        before, at = value, middle
        total += weight
    return before
