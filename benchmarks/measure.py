"""Samples, and what is said of them. Nothing here knows what is measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, TypeVar

T = TypeVar("T")

#: Fewer runs than this say nothing about how much a figure varies.
LEAST_RUNS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Some samples of one figure."""

    median: float
    low: float
    """The least of them."""
    high: float
    """The greatest of them."""
    runs: int
    """How many there are."""


def summary(samples: Sequence[float]) -> Summary:
    """The median of samples, and how far they lie apart.

    Args:
        samples: One or more.

    Raises:
        ValueError: There are none.
    """
    if not samples:
        raise ValueError("there is nothing to sum up")
    return Summary(
        median=statistics.median(samples),
        low=min(samples),
        high=max(samples),
        runs=len(samples),
    )


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> Summary:
    """How samples compare with those of a baseline that were taken in turns with them.

    Args:
        ours: One sample per run.
        baseline: As many, each taken next to its partner, so that what else
            the machine did meanwhile is in both.

    Raises:
        ValueError: They are not as many, or none.
    """
    if len(ours) != len(baseline):
        raise ValueError(f"{len(ours)} samples against {len(baseline)}")
    return summary([each / other for each, other in zip(ours, baseline, strict=True)])


def percentile(samples: Sequence[float], hundredth: float) -> float:
    """The least sample that is not below so many hundredths of all (the nearest rank).

    Args:
        samples: One or more.
        hundredth: From 0 to 100.

    Raises:
        ValueError: There are none, or there is no such hundredth.
    """
    if not samples or not 0 <= hundredth <= 100:
        raise ValueError(f"no {hundredth}th percentile of {len(samples)} samples")
    rank = max(1, math.ceil(len(samples) * hundredth / 100))
    return sorted(samples)[rank - 1]


def timed(action: Callable[[], object]) -> float:
    """How long something takes, in seconds."""
    started = perf_counter()
    action()
    return perf_counter() - started


def in_turns(
    sides: Mapping[str, Callable[[], T]], runs: int, *, warm_up: int = 1
) -> dict[str, list[T]]:
    """Takes samples of each side in turns: A B A B, and not A A B B.

    Args:
        sides: What to do for a sample of each.
        runs: How many samples of each.
        warm_up: How often all sides are done before, for nothing.

    Returns:
        Of each side, its samples, in the order in which they were taken.
    """
    samples: dict[str, list[T]] = {name: [] for name in sides}
    for number in range(-warm_up, runs):
        for name, take in sides.items():
            sample = take()
            if number >= 0:
                samples[name].append(sample)
    return samples
