"""The cage of an engine: what the kernel lets it have, and what it cannot reach.

A program is data from a stranger, and engines are where it is read and run. What is
decided in Python about a program's size holds for what was foreseen; this is for
the rest. See docs/decisions/0029-the-engines-cage.md.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tasks import landlock, seccomp
from tasks.pipe import Limits

_log = logging.getLogger(__name__)

# What a simulation may map beside its memory limit, in bytes: libraries that are
# loaded late, what the allocator keeps, and the sixteenth that the slot grants.
_MARGIN_BYTES: Final = 512 * 2**20
# glibc maps two of its heaps for each thread and gives one back; see mallopt(3).
_HEAP_BYTES: Final = 128 * 2**20
# A stack where none is limited, see pthread_create(3).
_STACK_BYTES: Final = 8 * 2**20
# What a file may take beside the largest results, in bytes.
_FILE_MARGIN_BYTES: Final = 2**20
# Processor time beside the time limit on all threads, in seconds: the slot, which
# goes by the clock, comes first as long as it lives.
_CPU_MARGIN_S: Final = 1.0
# How often the limit of memory is moved, in seconds. Jobs that are over sooner leave little.
_MOVE_S: Final = 1.0
_MAX_FILES: Final = 64
# 0 would still start a program that core dumps are piped to; 1 starts none, see
# coredump_pipe() in the kernel.
_NO_CORE: Final = 1

# What native libraries ask of the machine.
_MACHINE: Final = (
    "/proc/self/cgroup",
    "/proc/self/maps",
    "/proc/self/mountinfo",
    "/proc/self/stat",
    "/proc/self/statm",
    "/proc/self/status",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
)
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
# To be listed; what is below is about more than this process (net).
_LISTED: Final = ("/proc/self/fd", "/proc/self/task")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

_PROJECT: Final = Path(__file__).resolve().parent.parent
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Cage:
    """What an engine lives in; made by its fork server, entered by the engine.

    Args:
        limits: Of one simulation.
        folder: Where engines have their folders.
    """

    def __init__(self, limits: Limits, folder: Path) -> None:
        self._limits = limits
        self._folder = folder
        self._landlock = landlock.version()
        self._moved_at = -math.inf
        self._statm = -1
        # By the fork server, once: to find them takes longer than a small job.
        self._readable = readable()
        # Only a soft limit can be moved up again.
        self._most_cpu_s = resource.getrlimit(resource.RLIMIT_CPU)[1]
        if not self._landlock:
            _log.warning("the kernel has no Landlock: simulations may read what this user may")
        self._filter = None
        if seccomp.available():
            self._filter = seccomp.Filter(os.uname().machine, limits.calls)
        else:
            _log.warning(
                "the kernel has no seccomp filters, or they are unknown for this machine:"
                " simulations may start and stop processes, and connect, as this user may"
            )

    def folder_of(self, pid: int) -> Path:
        """The private working directory of an engine."""
        return self._folder / f"engine-{pid}"

    def enter(self, pipe: int) -> None:
        """Shuts this process in.

        Args:
            pipe: The only file descriptor to keep, beside the log's and those that
                this process has opened itself since its fork.
        """
        os.umask(0o077)
        _read_nothing()
        folder = self.folder_of(os.getpid())
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chdir(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        _limit(resource.RLIMIT_CORE, _NO_CORE)
        _limit(resource.RLIMIT_FSIZE, self._limits.max_result_bytes + _FILE_MARGIN_BYTES)
        _limit(resource.RLIMIT_NOFILE, max(_MAX_FILES, pipe + 1))
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._move_memory()
        # Python ignores this one, and native code what it is told of a write.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        landlock.gain_no_privileges()
        if self._landlock:
            self._wall_in(folder)
        # The last: it refuses what is done above.
        if self._filter is not None:
            self._filter.enter()

    def begin(self, time_limit_s: float | None) -> None:
        """Moves the limits for a job: what was used before is not its own.

        Args:
            time_limit_s: The job's.
        """
        if time.monotonic() - self._moved_at >= _MOVE_S:
            self._move_memory()
        seconds = resource.RLIM_INFINITY
        if time_limit_s is not None:
            allowed_s = time_limit_s * self._limits.threads + _CPU_MARGIN_S
            seconds = math.ceil(min(time.process_time() + allowed_s, 2**31))
        most = self._most_cpu_s
        resource.setrlimit(resource.RLIMIT_CPU, (_at_most(seconds, most), most))

    def remove(self, pid: int) -> None:
        """Removes what an engine that has ended leaves."""
        # It may have nested folders as deep as it liked.
        with suppress(RecursionError):
            shutil.rmtree(self.folder_of(pid), ignore_errors=True)

    def _move_memory(self) -> None:
        self._moved_at = time.monotonic()
        limits = self._limits
        memory = limits.memory_limit_bytes + limits.memory_limit_bytes // 16
        threads = limits.threads * (_HEAP_BYTES + _stack_bytes())
        mapped = int(os.pread(self._statm, 4096, 0).split(maxsplit=1)[0]) * _PAGE
        room = mapped + memory + threads + _MARGIN_BYTES
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_at_most(room, most), most))

    def _wall_in(self, folder: Path) -> None:
        rules = landlock.Ruleset(self._landlock)
        rules.allow(self._readable, landlock.READ)
        rules.allow(map(Path, _LISTED), landlock.Right.READ_DIR)
        rules.allow(map(Path, _DEVICES), landlock.READ | landlock.Right.WRITE_FILE)
        rules.allow([folder, *map(Path, self._limits.paths)], landlock.KEEP)
        rules.enter()
        rules.close()


def close_files(*, but: int) -> None:
    """Closes all files of this process but that one and the three that each process has."""
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
        if number > 2 and number != but:
            # The one that the list was read from is closed by now.
            with suppress(OSError):
                os.close(number)


def readable() -> set[Path]:
    """What an engine may read: Python, its packages, shared libraries, what the machine is like."""
    found = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib")}
    found |= {Path(prefix) / "lib" for prefix in (sys.prefix, sys.base_prefix)}
    found |= set(map(Path, (*_MACHINE, *_LIBRARIES)))
    for entry in map(Path, filter(None, sys.path)):
        # Beside this project's packages there may be its settings and its data.
        found |= {_PROJECT / "app", _PROJECT / "tasks"} if entry == _PROJECT else {entry}
    return found


def _read_nothing() -> None:
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _limit(kind: int, value: int) -> None:
    """Sets a limit for good."""
    _, most = resource.getrlimit(kind)
    value = _at_most(value, most)
    resource.setrlimit(kind, (value, value))


def _at_most(value: int, most: int) -> int:
    if most == resource.RLIM_INFINITY:
        return value
    return most if value == resource.RLIM_INFINITY else min(value, most)


def _stack_bytes() -> int:
    size, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return _STACK_BYTES if size == resource.RLIM_INFINITY else size
