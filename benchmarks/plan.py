"""How much of everything a run does."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.measure import LEAST_RUNS

if TYPE_CHECKING:
    from benchmarks.installation import Workshop


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a row is given to measure with."""

    full: bool
    """Whether it is the whole, as the table of goals says; else a short form of it."""
    shop: Workshop
    """Installations and folders."""
    kept: dict[str, list[float]] = field(default_factory=dict)
    """Absolute values of each run that another row may want, by name."""

    @property
    def runs(self) -> int:
        """How many samples of each side."""
        return LEAST_RUNS

    def choose(self, short: int, full: int) -> int:
        """A number of the short form, or of the whole."""
        return full if self.full else short


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))
