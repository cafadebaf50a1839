"""What is to be expected of a job: when it starts, and when it ends.

The jobs of a target start in their order, each on the slot that is free first.
Deviations of runs that follow each other on a slot add up in two ways: what each
run has of its own as squares, and what all have in common, the error of the
estimate, as it is.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.likeness import LONGEST_S, History, Load, PastRun, Spread
from qdispatch.updates import Estimate

__all__ = ["Ahead", "History", "Line", "Load", "PastRun", "Spread", "outlook"]


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A job before ours."""

    load: Load
    running_for_s: float | None = None
    """For how long it has run, in seconds; None if it waits."""
    points_done: int = 0
    """Points of its sweep that are done."""


@dataclass(frozen=True, kw_only=True, order=True)
class _Sum:
    """Runs one after the other, in seconds; the deviations are from the mean."""

    mean: float = 0.0
    own_down: float = 0.0
    """Sum of the squares of what each run has of its own, downwards."""
    own_up: float = 0.0
    common_down: float = 0.0
    """Sum of what the runs' estimates have in common."""
    common_up: float = 0.0

    def then(self, run: Spread) -> _Sum:
        """With another run after the last."""
        down, up = run.mean - run.lower, run.upper - run.mean
        if self.mean:
            # Skewness is lost in a sum.
            down = up = math.hypot(down, up) / math.sqrt(2)
        # Of a single past run, all that it may be off is in common.
        common = 1 / run.basis
        return _Sum(
            mean=self.mean + run.mean,
            own_down=self.own_down + (1 - common) * down**2,
            own_up=self.own_up + (1 - common) * up**2,
            common_down=self.common_down + math.sqrt(common) * down,
            common_up=self.common_up + math.sqrt(common) * up,
        )

    def down(self, more: float = 0.0) -> float:
        """How much earlier than the mean, together with another deviation."""
        return math.sqrt(self.own_down + self.common_down**2 + more**2)

    def up(self, more: float = 0.0) -> float:
        """How much later than the mean, together with another deviation."""
        return math.sqrt(self.own_up + self.common_up**2 + more**2)


_NOTHING: Final = _Sum()


class Line:
    """The jobs of a target in their order, to be gone through once for all who wait.

    Args:
        history: The target's.
        running: Its jobs that run.
        slots: How many it has.
        now: The time.
    """

    def __init__(
        self, history: History, *, running: Sequence[Ahead], slots: int, now: datetime
    ) -> None:
        self._history = history
        self._now = now
        self._known = True
        busy = [self._left(each) for each in running]
        # Of more jobs than slots, those that end first make room for nobody.
        self._slots = heapq.nlargest(slots, busy)
        self._slots += [_NOTHING] * (slots - len(self._slots))
        heapq.heapify(self._slots)

    def _left(self, job: Ahead) -> _Sum:
        left = _left(self._history, job.load, job.running_for_s or 0.0, job.points_done)
        # Without any it may be for ever: another slot may be free.
        return _Sum(mean=math.inf) if left is None else _NOTHING.then(left)

    def add(self, load: Load) -> None:
        """Has another job wait, behind all others."""
        run = self._history.run_s(load)
        if run is None:
            self._known = False
        elif self._slots:
            heapq.heapreplace(self._slots, self._slots[0].then(run))

    def outlook(self, load: Load) -> tuple[Estimate | None, Estimate | None]:
        """Start and end of a job that would be added now; None where nothing is known."""
        if not (self._slots and self._known and math.isfinite(self._slots[0].mean)):
            return None, None
        wait = self._slots[0]
        start = self._estimate(wait.mean, wait.down(), wait.up())
        run = self._history.run_s(load)
        if run is None:
            return start, None
        down, up = run.expected - run.lower, run.upper - run.expected
        finish = self._estimate(wait.mean + run.expected, wait.down(down), wait.up(up))
        return start, finish

    def _estimate(self, expected: float, down: float, up: float) -> Estimate:
        return _moments(self._now, max(expected - down, 0.0), expected, expected + up)


def outlook(
    history: History,
    *,
    load: Load,
    ahead: Sequence[Ahead],
    slots: int,
    now: datetime,
    running_for_s: float | None,
    points_done: int,
) -> tuple[Estimate | None, Estimate | None]:
    """Start and end of a job.

    Who asks for many jobs of a target goes through them by `Line`, and asks this
    for those that run only.

    Args:
        history: The target's.
        load: The job's.
        ahead: The jobs before it, in the order in which they start.
        slots: How many the target has.
        now: The time.
        running_for_s: For how long it has run, in seconds; None if it waits.
        points_done: Points of its sweep that are done.

    Returns:
        When it is expected to start: None if it has, or nothing is known. When it
        is expected to end: None if nothing is known. Neither is in the past.
    """
    if slots < 1:
        return None, None
    if running_for_s is not None:
        left = _left(history, load, max(running_for_s, 0.0), points_done)
        finish = None if left is None else _moments(now, left.lower, left.expected, left.upper)
        return None, finish
    running = [each for each in ahead if each.running_for_s is not None]
    line = Line(history, running=running, slots=slots, now=now)
    for each in ahead:
        if each.running_for_s is None:
            line.add(each.load)
    return line.outlook(load)


def _left(history: History, load: Load, running_for_s: float, points_done: int) -> Spread | None:
    if points_done > 0 and load.n_points > 0:
        left = _left_of_sweep(running_for_s, points_done, max(load.n_points - points_done, 0))
    elif run := history.run_s(load):
        left = run.after(running_for_s)
    else:
        return None
    return left.within(load.limit_s - running_for_s)


def _left_of_sweep(running_for_s: float, done: int, left: int) -> Spread:
    """By the sweep's own pace; the more points are done, the surer it is."""
    pace_s = running_for_s / done
    expected = left * pace_s
    doubt = 1 + 2 / math.sqrt(done)
    # One more point: what is done is heard of late, and results need saving.
    return Spread(
        lower=expected / doubt, expected=expected, upper=(left + 1) * pace_s * doubt, mean=expected
    )


def _moments(now: datetime, lower: float, expected: float, upper: float) -> Estimate:
    def after(seconds: float) -> datetime:
        return now + timedelta(seconds=min(seconds, LONGEST_S))

    return Estimate(lower=after(lower), expected=after(expected), upper=after(upper))
