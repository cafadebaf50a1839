"""What a process asks of the kernel: an end with its parent, and a name."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

# prctl(2): the signal that a process gets when its parent dies; what it is called.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15


def die_with_parent(parent: int | None = None) -> None:
    """Has the kernel kill this process when its parent dies, however it dies.

    Args:
        parent: Its parent's process number, from before the fork: a parent
            that is dead by now sends no signal any more.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def name_process(name: str) -> None:
    """Sets what `ps`, `top` and `pstree` call this process.

    Args:
        name: The kernel keeps its first 15 bytes.
    """
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())
