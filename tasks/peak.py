"""The peak of a process' resident memory, job by job, and what is given back after it."""

from __future__ import annotations

import ctypes
import gc
import os
import weakref
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

#: A peak this much above what is resident is forgotten before the next job, in
#: bytes. The kernel itself counts no finer: some pages of each thread are not
#: in its sum yet.
TOLERANCE_BYTES: Final = 2**20

#: A job that took this much more than there was at first is followed by giving back what
#: the C library keeps of it, in bytes.
MUCH_BYTES: Final = 64 * 2**20


class PeakMemory:
    """The peak of this process' resident memory since a job began.

    Its files of /proc stay open: an engine in its cage may open none of them.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._peaks = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        self._status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._first = self._resident()
        # The GNU C library has it, others may not.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        for each in (self._peaks, self._status, self._statm):
            weakref.finalize(self, os.close, each)

    def begin(self) -> None:
        """Forgets what earlier jobs took, which is theirs.

        Writing 5 to clear_refs does it; see proc(5). Most jobs are small and
        leave the peak where it was, so that there is nothing to forget.
        """
        if self._last is None or self._last - self._resident() > TOLERANCE_BYTES:
            self._forget()

    def peak(self) -> int:
        """The peak in bytes; it may be too high by `TOLERANCE_BYTES`."""
        _, _, found = os.pread(self._status, 4096, 0).partition(b"VmHWM:")
        self._last = int(found.split(maxsplit=1)[0]) * 1024 if found else 0
        return self._last

    def give_back(self) -> None:
        """Returns free memory to the kernel, if the last job took much.

        A million small objects of an SDK leave some hundred MiB with the C library, which
        gives back by itself only what is free at the end of its heap.
        """
        if self._trim is not None and (self._last or 0) - self._first > MUCH_BYTES:
            # What is in cycles is free only then.
            gc.collect()
            self._trim(0)

    def _resident(self) -> int:
        return int(os.pread(self._statm, 4096, 0).split(maxsplit=2)[1]) * _PAGE_BYTES

    def _forget(self) -> None:
        os.write(self._peaks, b"5")
