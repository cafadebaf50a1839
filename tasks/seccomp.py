"""seccomp: which system calls a process may still make, for itself and all its threads.

Landlock is about files; this is about the rest that the kernel would do for a user's
process, see seccomp(2). What no simulation needs is refused as it would be to somebody
without the right to it; all else is allowed. The filter is a program of classic BPF
that the kernel runs before each call, see
https://docs.kernel.org/userspace-api/seccomp_filter.html.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

# What is refused: the call, and its number on x86_64 and on aarch64 ("-" where there is
# none). From the kernel's own tables: arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h.
_REFUSED: Final = {
    "to reach whom it does not know": """
        socket 41 198, socketpair 53 199, bind 49 200, connect 42 203, listen 50 201,
        accept 43 202, accept4 288 242""",
    "processes that outlive it, or that nobody watches": """
        fork 57 -, vfork 58 -, execve 59 221, execveat 322 281""",
    "other processes of its user": """
        ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271,
        process_madvise 440 440, process_mrelease 448 448, kcmp 312 272, move_pages 279 239,
        migrate_pages 256 238, pidfd_open 434 434, pidfd_getfd 438 438,
        pidfd_send_signal 424 424, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240,
        setpriority 141 140, ioprio_set 251 30, sched_setaffinity 203 122,
        sched_setparam 142 118, sched_setscheduler 144 119, sched_setattr 314 274""",
    "changes to files that Landlock does not know of": """
        chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -,
        fchown 93 55, lchown 94 -, fchownat 260 54, setxattr 188 5, lsetxattr 189 6,
        fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16,
        utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88, truncate 76 45,
        name_to_handle_at 303 264, open_by_handle_at 304 265""",
    "what is shared by all processes of its user, or stays when it ends": """
        inotify_init 253 -, inotify_init1 294 26, fanotify_init 300 262, shmget 29 194,
        shmat 30 196, shmctl 31 195, msgget 68 186, msgsnd 69 189, msgrcv 70 188,
        msgctl 71 187, semget 64 190, semop 65 193, semtimedop 220 192, semctl 66 191,
        mq_open 240 180, mq_unlink 241 181, add_key 248 217, request_key 249 218,
        keyctl 250 219""",
    "parts of the kernel that holes are found in, or that pass this filter by": """
        bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_uring_setup 425 425,
        io_uring_enter 426 426, io_uring_register 427 427""",
    "the machine, should it run as root": """
        unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41,
        chroot 161 51, open_tree 428 428, move_mount 429 429, fsopen 430 430,
        fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442,
        init_module 175 105, finit_module 313 273, delete_module 176 106,
        kexec_load 246 104, kexec_file_load 320 294, reboot 169 142, swapon 167 224,
        swapoff 168 225, settimeofday 164 170, clock_settime 227 112, sethostname 170 161,
        setdomainname 171 162, syslog 103 116, acct 163 89, quotactl 179 60,
        quotactl_fd 443 443, iopl 172 -, ioperm 173 -""",
}

_ALL: Final = 0xFFFFFFFF
_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW: Final = 0x7E020000  # all namespaces
# Stands for the process' own number, which no other call has for an argument.
_OWN: Final = -1


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What of an argument decides about a call."""

    numbers: str
    """On x86_64 and on aarch64."""
    argument: int
    """Its place, from 0. Its lower 32 bits are looked at: the kernel takes no more of these."""
    mask: int = _ALL
    """The bits that count."""
    only: int | None = None
    """What alone is allowed."""
    never: tuple[int, ...] = ()
    """What is refused."""


_RULES: Final = {
    # Threads of its own.
    "clone": _Rule(
        numbers="56 220", argument=0, mask=_CLONE_THREAD | _CLONE_NEW, only=_CLONE_THREAD
    ),
    # Limits of its own.
    "prlimit64": _Rule(numbers="302 261", argument=0, only=0),
    # Signals to itself.
    "kill": _Rule(numbers="62 129", argument=0, only=_OWN),
    "tkill": _Rule(numbers="200 130", argument=0, only=_OWN),
    "tgkill": _Rule(numbers="234 131", argument=0, only=_OWN),
    # F_SETOWN, F_SETSIG, F_SETOWN_EX: whom a file signals when it gets ready.
    "fcntl": _Rule(numbers="72 25", argument=1, never=(8, 10, 15)),
    # FIOSETOWN, SIOCSPGRP: the same; FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR: a file's attributes.
    "ioctl": _Rule(numbers="16 29", argument=1, never=(0x8901, 0x8902, 0x40086602, 0x401C5820)),
    # PR_SET_PDEATHSIG: to live on when the fork server has been killed.
    "prctl": _Rule(numbers="157 167", argument=0, never=(1,)),
}

# Its flags are where no filter can read them. The C library then uses clone.
_CLONE3: Final = 435
# mseal, Linux 6.10. What came later nobody has looked at, and libraries do without.
# All numbers of x86_64's x32 are above it, too.
_LAST: Final = 462

# AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, see linux/audit.h.
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_CALLS: Final = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER: Final = 1
# For all threads; and without a mitigation that protects a process from itself, and
# that some kernels would slow it down by: an engine holds no secret.
_FLAGS: Final = 1 << 0 | 1 << 2

# BPF_LD | BPF_W | BPF_ABS and so on, see linux/bpf_common.h.
_LOAD: Final = 0x20
_AND: Final = 0x54
_JUMP_IF_EQUAL: Final = 0x15
_JUMP_IF_GREATER: Final = 0x25
_RETURN: Final = 0x06
_KILL: Final = 0x80000000
_ERROR: Final = 0x00050000
_ALLOW: Final = 0x7FFF0000
# Of struct seccomp_data, see linux/seccomp.h.
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16


def available() -> bool:
    """Whether this kernel has such filters, and this module knows the machine."""
    # It looks at the flags first and at the filter, which is not there, then.
    call = _CALLS.get(os.uname().machine)
    # There are programs of 32 bits on machines of 64.
    if call is None or sys.maxsize < 2**32:
        return False
    return _seccomp(call, None) == errno.EFAULT


class Filter:
    """Refuses what no simulation needs.

    Args:
        machine: The hardware's name, see uname(2).
        but: Calls that are allowed all the same.

    Raises:
        LookupError: The machine is unknown, or a call is none that would be refused.
    """

    def __init__(self, machine: str, but: Collection[str] = ()) -> None:
        column, self._architecture = _MACHINES[machine]
        rows = {name: numbers for name, *numbers in map(str.split, _rows())}
        unknown = set(but) - rows.keys() - _RULES.keys()
        if unknown:
            raise LookupError(f"no such calls are refused: {', '.join(sorted(unknown))}")
        self._call = _CALLS[machine]
        self._refused = [
            int(numbers[column])
            for name, numbers in rows.items()
            if name not in but and numbers[column] != "-"
        ]
        self._rules = [
            (int(rule.numbers.split()[column]), rule)
            for name, rule in _RULES.items()
            if name not in but
        ]

    def enter(self) -> None:
        """Refuses them from now on, for good; the process may gain no privileges any more.

        Raises:
            OSError: The kernel does not want it.
        """
        code = self.program(os.getpid())
        error = _seccomp(self._call, code)
        if error:
            raise OSError(error, f"seccomp: {os.strerror(error)}")

    def program(self, own: int) -> bytes:
        """The filter as the kernel takes it, an array of struct sock_filter.

        Args:
            own: The number of the process that will enter it.
        """
        refuse = (_RETURN, 0, 0, _ERROR | errno.EPERM)
        unknown = (_RETURN, 0, 0, _ERROR | errno.ENOSYS)
        allow = (_RETURN, 0, 0, _ALLOW)
        code = [
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_JUMP_IF_EQUAL, 1, 0, self._architecture),
            (_RETURN, 0, 0, _KILL),
            (_LOAD, 0, 0, _NUMBER),
            (_JUMP_IF_GREATER, 1, 0, _LAST),
            (_JUMP_IF_EQUAL, 0, 1, _CLONE3),
            unknown,
        ]
        for number in self._refused:
            code += [(_JUMP_IF_EQUAL, 0, 1, number), refuse]
        for number, rule in self._rules:
            tests = _tests(rule, own)
            code += [
                (_JUMP_IF_EQUAL, 0, len(tests) + 4, number),
                (_LOAD, 0, 0, _ARGUMENTS + 8 * rule.argument),
                (_AND, 0, 0, rule.mask),
                *tests,
                *((allow, refuse) if rule.only is None else (refuse, allow)),
            ]
        code.append(allow)
        return b"".join(struct.pack("=HBBI", *each) for each in code)


def _rows() -> list[str]:
    return ",".join(_REFUSED.values()).split(",")


def _tests(rule: _Rule, own: int) -> list[tuple[int, int, int, int]]:
    """Each goes to the second of what follows them if it holds, else on."""
    values = rule.never if rule.only is None else (own if rule.only == _OWN else rule.only,)
    return [(_JUMP_IF_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]


def _seccomp(call: int, code: bytes | None) -> int:
    """Installs a filter; returns an error's number, or 0."""
    found: Any = ctypes.CDLL(None, use_errno=True).syscall
    found.restype = ctypes.c_long
    program = None
    if code is not None:
        # struct sock_fprog: the number of instructions, and where they are.
        place = ctypes.cast(ctypes.c_char_p(code), ctypes.c_void_p).value
        program = struct.pack("@HP", len(code) // 8, place)
    result: int = found(
        ctypes.c_long(call), ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_FLAGS), program
    )
    # Above 0 it is a thread that could not follow.
    return ctypes.get_errno() if result < 0 else errno.EAGAIN * (result > 0)
