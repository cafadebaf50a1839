"""What the kernel tells of memory: what a process holds, and whom it killed for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")

# Its line "oom_kill N" counts every process that was killed for want of memory,
# of the whole machine or of a control group; see proc(5).
_COUNTERS: Final = Path("/proc/vmstat")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def available_bytes() -> int:
    """What the machine can still give, see MemAvailable in proc(5); 0 if it does not tell."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


class KernelKills:
    """Tells whether the kernel killed a process for want of memory meanwhile."""

    def __init__(self) -> None:
        self._before = 0

    def note(self) -> None:
        """From now on."""
        self._before = _oom_kills()

    def since_noted(self) -> bool:
        """Whether it did, since the last note."""
        return _oom_kills() > self._before


def _oom_kills() -> int:
    for line in _COUNTERS.read_text().splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
