"""Modules that run in forks of this process, each as `python -m` would run it.

The processes of the embedded default import much the same: a fork of one that
has imported it starts at once, and shares the memory. It is as separate as a
process of its own otherwise: session, environment, signals, output.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from app.lifeline import die_with_parent, name_process

_OUTPUTS: Final = (1, 2)
_INTERRUPTED: Final = 128 + signal.SIGINT


def share(modules: Iterable[str]) -> None:
    """Imports modules for all that is forked from now on.

    This process must have one thread, as it is forked: none of the modules may
    start another, or open a connection.
    """
    # What imports leave behind is collected once, below.
    gc.disable()
    for module in modules:
        import_module(module)
    # A collection in one of the forks must not copy what all of them have.
    gc.collect()
    gc.freeze()
    gc.enable()


class Forked:
    """A running fork; what honcho uses of `subprocess.Popen`, and no more.

    Args:
        command: A module, and the arguments of its command line.
        env: Its whole environment.
        cwd: Its working directory.
        name: What `ps` and `top` call it; they keep 15 characters.

    Attributes:
        pid: Its process number; it leads a session of its own.
        stdout: What it writes, standard error included.
        returncode: Its exit code, or minus the signal that ended it; None until
            it was waited for.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: str, name: str
    ) -> None:
        parent = os.getpid()
        readable, writable = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        # The handlers of this process must not run in the other.
        with _held_back({signal.SIGINT, signal.SIGTERM}) as before:
            self.pid = os.fork()
            if not self.pid:
                _become(partial(_start, command, env, cwd, name), writable, parent, before)
        os.close(writable)
        self.stdout = os.fdopen(readable, "rb")
        self.returncode: int | None = None

    def wait(self) -> int:
        """Waits for its end; returns its exit code."""
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


@contextmanager
def _held_back(numbers: set[signal.Signals]) -> Iterator[set[signal.Signals | int]]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _become(
    start: Callable[[], int], output: int, parent: int, unblocked: set[signal.Signals | int]
) -> NoReturn:
    code = 1
    try:
        die_with_parent(parent)
        os.setsid()
        _take_output(output)
        _reset_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        code = start()
        _finish()
    except BaseException:  # noqa: BLE001 - its last words
        traceback.print_exc()
    finally:
        # Not sys.exit: the frames above are another process'.
        os._exit(code)


def _take_output(output: int) -> None:
    for fd in _OUTPUTS:
        os.dup2(output, fd)
    # What else is open is the other process'. It is not closed: objects that this
    # one has inherited would close the numbers again when they go.
    nothing = os.open(os.devnull, os.O_RDWR)
    for each in list(Path("/proc/self/fd").iterdir()):
        fd = int(each.name)
        if fd > max(_OUTPUTS) and fd != nothing:
            _forget(fd, nothing)
    os.close(nothing)
    # What they were may have been put elsewhere.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]


def _forget(fd: int, nothing: int) -> None:
    try:
        os.fstat(fd)
    except OSError:  # it was the one that listed them all
        return
    os.dup2(nothing, fd, inheritable=False)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _start(command: Sequence[str], env: Mapping[str, str], cwd: str, name: str) -> int:
    name_process(name)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    # As for `python -m`: modules of the working directory come first.
    sys.path.insert(0, cwd)
    sys.argv = list(command)
    return _run(command[0])


def _run(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception:  # noqa: BLE001 - as the interpreter does it
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _finish() -> None:
    """What an interpreter does before it ends."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
