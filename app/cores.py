"""What the processors of this machine are good for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

#: At least two simulations at once, so that a long one does not hold up all
#: others; and no more than these without being told, for each may take its
#: memory limit.
_FEWEST: Final = 2
_MOST: Final = 8

#: The limit of a container: quota and period in microseconds, or "max" and the
#: period. See cgroup-v2 in the kernel's documentation.
_CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")


def cores(cpu_max: Path = _CPU_MAX) -> int:
    """The processors that this process may use, at least 1.

    Args:
        cpu_max: Where the limit of a container is told, if there is one.
    """
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        limit = max(1, round(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        # Not in a container, or one without a limit ("max").
        return allowed
    return min(allowed, limit)


def concurrency() -> int:
    """The simulations of one target at once, where the settings say 0."""
    return min(max(cores(), _FEWEST), _MOST)


def threads() -> int:
    """The threads of one simulation, where the settings say 0.

    All cores: with OpenMP's threads asleep while they wait, two simulations
    with two threads each take as long as two with one each, and one alone takes
    about half as long.
    """
    return cores()
