"""The processor time of an engine, job by job, as the slot sees it."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class CpuTime:
    """What the job took that a process runs; an engine reports it itself if it answers.

    The kernel tells it in hundredths of a second. Engines have no children.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._before_s = 0.0
        self._last_s = 0.0

    def begin(self, pid: int) -> None:
        """A process begins a job."""
        self._pid = pid
        self._last_s = 0.0
        self._before_s = cpu_s(pid) or 0.0

    def end(self) -> None:
        """The job has ended, or its process has."""
        self._pid = 0
        self._last_s = 0.0

    def so_far(self) -> float:
        """What the job has taken, in seconds; what was seen last if the process is gone."""
        now_s = cpu_s(self._pid) if self._pid else None
        if now_s is not None:
            self._last_s = max(self._last_s, now_s - self._before_s)
        return self._last_s

    def of_all(self, total_s: float) -> float:
        """What the job has taken, if the process took so much in all its life."""
        return max(0.0, total_s - self._before_s) if self._pid else 0.0


def cpu_s(pid: int) -> float | None:
    """Processor time that a process has taken, in seconds; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Its name, in parentheses, may have anything in it; see proc(5).
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) * _TICK_S


def own_cpu_s() -> float:
    """Processor time that this process has taken, of all its threads, in seconds.

    The clock of processor time (`time.process_time`) stands still between two ticks of
    the kernel, 4 or 10 ms, in a process that has a limit of it, as engines have.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
