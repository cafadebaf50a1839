"""Processes that do not outlive their parent."""

from __future__ import annotations

import ctypes
import signal
from typing import Final

# prctl(2): the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
