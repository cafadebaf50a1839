"""Processes that do not outlive their parent."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

# prctl(2): the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int | None = None) -> None:
    """Has the kernel kill this process when its parent dies, however it dies.

    Args:
        parent: Its parent's process number, from before the fork: a parent
            that is dead by now sends no signal any more.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
