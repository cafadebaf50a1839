"""The peak of a process' resident memory, job by job."""

from __future__ import annotations

import os
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

#: A peak this much above what is resident is forgotten before the next job, in
#: bytes. The kernel itself counts no finer: some pages of each thread are not
#: in its sum yet.
TOLERANCE_BYTES: Final = 2**20


class PeakMemory:
    """The peak of this process' resident memory since a job began."""

    def __init__(self) -> None:
        self._last: int | None = None

    def begin(self) -> None:
        """Forgets what earlier jobs took, which is theirs.

        Writing 5 to clear_refs does it; see proc(5). Most jobs are small and
        leave the peak where it was, so that there is nothing to forget.
        """
        if self._last is None or self._last - _resident() > TOLERANCE_BYTES:
            _forget()

    def peak(self) -> int:
        """The peak in bytes; it may be too high by `TOLERANCE_BYTES`."""
        _, _, found = _read("/proc/self/status").partition(b"VmHWM:")
        self._last = int(found.split(maxsplit=1)[0]) * 1024 if found else 0
        return self._last


def _forget() -> None:
    descriptor = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"5")
    finally:
        os.close(descriptor)


def _resident() -> int:
    return int(_read("/proc/self/statm").split(maxsplit=2)[1]) * _PAGE_BYTES


def _read(path: str) -> bytes:
    # A file of Python's own takes twice as long as the kernel does.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
