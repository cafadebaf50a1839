"""Landlock: which files a process may still open, for itself and all that it becomes.

The kernel's own sandbox for those without privileges, see landlock(7) and
https://docs.kernel.org/userspace-api/landlock.html. A process gives rights up, for
good; nobody has to allow it to.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from enum import IntFlag
from functools import cache
from pathlib import Path
from typing import Any, Final

# The same on all machines, see syscalls(2).
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_VERSION_ONLY: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


class Right(IntFlag):
    """What may be done with a file, or below a folder."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ: Final = Right.READ_FILE | Right.READ_DIR
#: To keep files and folders of one's own; no links, devices or sockets.
KEEP: Final = (
    READ
    | Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.MAKE_REG
    | Right.MAKE_DIR
    | Right.REMOVE_FILE
    | Right.REMOVE_DIR
)

# Those that a file can have, too.
_OF_FILES: Final = (
    Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
)
# By the version of the interface that brought them: the last that it knows.
_LAST: Final = {1: Right.MAKE_SYM, 2: Right.REFER, 3: Right.TRUNCATE, 5: Right.IOCTL_DEV}
# To listen and to connect by TCP, since version 4.
_TCP: Final = 0b11
# To speak to sockets without a path, and to send signals, outside; since version 6.
_SCOPES: Final = 0b11


def version() -> int:
    """The version of the kernel's interface; 0 where there is none."""
    found = _call(_CREATE_RULESET, None, 0, _VERSION_ONLY)
    return max(0, found)


class Ruleset:
    """What is still allowed, once it is entered: no execution, no TCP, no signal to others.

    Args:
        known: The kernel's version of the interface, see `version`.

    Raises:
        OSError: The kernel does not want it.
    """

    def __init__(self, known: int) -> None:
        last = max(right for since, right in _LAST.items() if since <= known)
        self._handled = (last << 1) - 1
        attributes = struct.pack("=Q", self._handled)
        if known >= 4:
            attributes += struct.pack("=Q", _TCP)
        if known >= 6:
            attributes += struct.pack("=Q", _SCOPES)
        self._fd = _checked(_CREATE_RULESET, attributes, len(attributes), 0)

    def allow(self, paths: Iterable[Path], rights: Right) -> None:
        """Allows that much of files, and below folders; paths that are not there are skipped."""
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
                given = rights if is_folder else rights & _OF_FILES
                rule = struct.pack("=Qi", given & self._handled, place)
                _checked(_ADD_RULE, self._fd, _PATH_BENEATH, rule, 0)
            finally:
                os.close(place)

    def enter(self) -> None:
        """Gives up all other rights, for this thread and those that it starts."""
        _checked(_RESTRICT_SELF, self._fd, 0)

    def close(self) -> None:
        """Forgets the rules; who has entered is bound by them all the same."""
        os.close(self._fd)


def gain_no_privileges() -> None:
    """Whatever this process may execute, it gets no more rights by it; see prctl(2)."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _checked(number: int, *arguments: int | bytes | None) -> int:
    result = _call(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return result


@cache
def _syscall() -> Any:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    return syscall


def _call(number: int, *arguments: int | bytes | None) -> int:
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _syscall()(ctypes.c_long(number), *words)
    return result
