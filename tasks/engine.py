"""The slot's side of its engine: start it, give it a job, wait, kill it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any, Final, TypeAlias

from app.jobs import EncodedResult, Failed, Finished
from qdispatch.codec import encode_spec
from qdispatch.errors import QDispatchError
from qdispatch.model import ErrorKind, JobSpec
from tasks.answers import NONSENSE, AnswerError, check_answer, check_points, size_of
from tasks.cpu import CpuTime
from tasks.memory import KernelKills, resident_bytes
from tasks.pipe import MESSAGE_BYTES, SPAWN

# How long the fork server may take to import an SDK, in seconds.
_START_S: Final = 120.0
_RETRY_S: Final = 0.05
# How often who waits for an engine is asked whether to go on, in seconds.
_ASK_S: Final = 1.0
# How long an engine may pause while it answers, in seconds.
_ANSWER_S: Final = 30
# The most that an answer says, besides results in shared memory, in bytes.
_MOST_BYTES: Final = 2**26
# How long the fork server may take to tell of an engine's end, in seconds.
_REAP_S: Final = 5.0
# How long a killed engine may take to give its memory back, in seconds.
_KILL_S: Final = 60.0
# How often the memory of a working engine is looked at, in seconds.
_LOOK_S: Final = 0.05
# A crash with this part of the allowed memory taken is put down to memory:
# native code seldom survives an allocation that fails.
_NEAR: Final = 0.9


_log = logging.getLogger(__name__)


class EngineError(QDispatchError):
    """No engine can be had."""


class ImpatientError(QDispatchError):
    """None was to be had for as long as there was patience."""


#: Asked about once a second: whether to go on waiting for an engine.
Patience: TypeAlias = Callable[[], bool]


class Signal(Enum):
    """What may happen while an engine works."""

    WOKEN = "woken"
    """Somebody wants this slot to look at its job."""
    TIMEOUT = "timeout"
    """Nothing happened for as long as was asked."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The engine tells how far its sweep is, and works on."""

    points_done: int


@dataclass(frozen=True, kw_only=True)
class OverMemory:
    """The engine took more memory than its job may, and still works."""

    taken_bytes: int
    """What the job has taken."""
    limit_bytes: int
    """What it may take."""
    peak_bytes: int
    """Resident memory of the whole engine."""


@dataclass(frozen=True, kw_only=True)
class Exited:
    """The engine is gone."""

    signal: int
    """The signal that killed it, or 0."""
    code: int
    """Its exit code, if no signal killed it."""
    with_all: bool = False
    """Whether the fork server is gone too, or does not tell."""
    out_of_memory: bool = False
    """Whether the kernel killed it for want of memory, or it was close to its limit."""
    peak_bytes: int = field(default=0, compare=False)
    """The most resident memory that it was seen with."""
    cpu_s: float = field(default=0.0, compare=False)
    """Processor time that its job took."""

    def __str__(self) -> str:
        if self.signal:
            known = self.signal in signal.valid_signals() and self.signal < signal.SIGRTMIN
            name = signal.Signals(self.signal).name if known else f"signal {self.signal}"
            return f"killed by {name}"
        return f"exit code {self.code}"


#: What a wait for an engine may end with.
Event: TypeAlias = Finished | Failed | Exited | Signal | OverMemory | Progress


class _Waiting:
    """How long to wait for the fork server, and for whose sake."""

    def __init__(self, limit_s: float, patience: Patience = lambda: True) -> None:
        now = time.monotonic()
        self._until = now + limit_s
        self._ask_at = now + _ASK_S
        self._patience = patience

    def go_on(self) -> None:
        """Returns as long as that makes sense.

        Raises:
            EngineError: It was long enough.
            ImpatientError: Nobody wants it any more.
        """
        now = time.monotonic()
        if now >= self._until:
            raise EngineError("the fork server does not answer")
        if now >= self._ask_at:
            self._ask_at = now + _ASK_S
            if not self._patience():
                raise ImpatientError("nobody waits for an engine any more")


class Engine:
    """A warm child process that simulates, behind the worker's fork server.

    Args:
        address: The fork server's socket.
        wake: A file descriptor that ends a wait when it gets readable; what
            can be read from it is read.
        memory_limit_bytes: What one job may take.

    Attributes:
        fingerprint: Of what the engine runs jobs with; empty until the first one is there.
    """

    def __init__(self, address: Path, wake: int, *, memory_limit_bytes: float = inf) -> None:
        self.fingerprint = ""
        self._address = address
        self._wake = wake
        self._memory_limit_bytes = memory_limit_bytes
        self._control: socket.socket | None = None
        self._data: Connection | None = None
        self._pid = 0
        # Stands for the process, even when its number is another's.
        self._process = -1
        self._before_bytes = 0
        self._peak_bytes = 0
        self._kernel_kills = KernelKills()
        self._cpu = CpuTime()

    def start(self, patience: Patience = lambda: True) -> None:
        """Makes sure that there is an engine, and waits until it is warm.

        Args:
            patience: Whether to go on waiting.

        Raises:
            EngineError: The fork server does not answer.
            ImpatientError: It does not, and there was no more patience.
        """
        if self._data is not None:
            return
        if self._control is not None:
            # If the fork server has died since, the worker starts another.
            with suppress(EngineError):
                self._spawn(self._control, patience)
                return
        self._control = self._connect(patience)
        self._spawn(self._control, patience)

    def submit(self, spec: JobSpec, patience: Patience = lambda: True) -> None:
        """Gives the engine a job; starts one if there is none. See `start`."""
        message = encode_spec(spec).SerializeToString()
        self.start(patience)
        try:
            self._pipe.send_bytes(message)
        except OSError:
            # It died while idle, so nothing is lost: once more, on a fresh one.
            self.kill()
            self.start(patience)
            try:
                self._pipe.send_bytes(message)
            except OSError as error:
                raise EngineError("engines die before they are given a job") from error
        self._before_bytes = self._peak_bytes = resident_bytes(self._pid)
        self._kernel_kills.note()
        self._cpu.begin(self._pid)

    def wait(self, timeout_s: float) -> Event:
        """Waits for the outcome of the job that was given, or for something else."""
        until = time.monotonic() + timeout_s
        while True:
            left = max(0.0, until - time.monotonic())
            event = self._wait(min(left, _LOOK_S))
            goes_on = event is Signal.TIMEOUT or isinstance(event, Progress)
            # However much an engine has to tell, its memory is looked at.
            over = self._over_memory() if goes_on else None
            if over is not None:
                return over
            if isinstance(event, Finished | Failed):
                self._cpu.end()
            if event is not Signal.TIMEOUT or time.monotonic() >= until:
                return event

    def _wait(self, timeout_s: float) -> Event:
        control = self._control
        watched: list[Connection | socket.socket | int]
        watched = [self._pipe, self._wake, self._process, *([control] if control else [])]
        ready = wait(watched, timeout_s)
        if self._pipe in ready:
            # Before its end: what it sent is an answer, even if it died then.
            try:
                return _read_answer(self._pipe, self.fingerprint)
            except BlockingIOError:
                return self._give_up("it does not end its answer")
            except (EOFError, OSError):
                return self._read_exit()
            except AnswerError as error:
                return self._give_up(str(error))
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.read(self._wake, MESSAGE_BYTES)
            return Signal.WOKEN
        return self._read_exit() if ready else Signal.TIMEOUT

    def _over_memory(self) -> OverMemory | None:
        # By the time that somebody asks, the process may be gone.
        self._cpu.so_far()
        now_bytes = resident_bytes(self._pid)
        self._peak_bytes = max(self._peak_bytes, now_bytes)
        taken = now_bytes - self._before_bytes
        if taken <= self._memory_limit_bytes:
            return None
        return OverMemory(
            taken_bytes=taken, limit_bytes=int(self._memory_limit_bytes), peak_bytes=now_bytes
        )

    def cpu_s(self) -> float:
        """Processor time that its job has taken so far, in seconds; 0 if it has none."""
        return self._cpu.so_far()

    def _give_up(self, why: str) -> Exited:
        """Ends an engine that says what no engine of ours does."""
        _log.error("engine %d is killed: %s", self._pid, why)
        peak_bytes = self._peak_bytes
        self.kill()
        return Exited(signal=signal.SIGKILL, code=0, peak_bytes=peak_bytes)

    def kill(self) -> None:
        """Kills the engine, whatever it does, and waits until it and its memory are gone."""
        if self._process >= 0:
            # The fork server is not asked: it may be gone, or stopped.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
            if not wait([self._process], _KILL_S):
                _log.critical("engine %d was killed and does not end", self._pid)
        self._forget()

    def close(self) -> None:
        """Ends the engine with its slot."""
        self._forget()
        self._disconnect()

    @property
    def _pipe(self) -> Connection:
        if self._data is None:
            raise EngineError("no engine was started")
        return self._data

    def _connect(self, patience: Patience) -> socket.socket:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        waiting = _Waiting(_START_S, patience)
        try:
            while True:
                try:
                    control.connect(str(self._address))
                except OSError:
                    # The fork server is being started, for the first time or anew.
                    waiting.go_on()
                    time.sleep(_RETRY_S)
                else:
                    return control
        except BaseException:
            control.close()
            raise

    def _spawn(self, control: socket.socket, patience: Patience) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ExitStack() as undo:
            undo.callback(self._disconnect)
            undo.callback(ours.close)
            try:
                with theirs:
                    socket.send_fds(control, [SPAWN], [theirs.fileno()])
                waiting = _Waiting(_START_S, patience)
                told = self._heard(control, "spawned", waiting)
                self._pid = told["spawned"]
                self._process = os.pidfd_open(self._pid)
            except OSError as error:
                raise EngineError("the fork server went away") from error
            undo.pop_all()
        self.fingerprint = told["fingerprint"]
        # An engine that begins an answer and does not end it is not waited for.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _ANSWER_S, 0))
        self._data = Connection(ours.detach())

    def _read_exit(self) -> Exited:
        """Reads the message that the engine has exited, and forgets it."""
        peak_bytes, pid = self._peak_bytes, self._pid
        cpu_s = self._cpu.so_far()
        known: dict[str, Any] = {"signal": signal.SIGKILL, "code": 0, "with_all": True}
        if self._control is not None:
            try:
                told = self._heard(self._control, "exited", _Waiting(_REAP_S), pid=pid)
            except (OSError, EngineError):
                # The fork server is gone, and all its engines with it; or it
                # is stopped, and another will be asked.
                self.kill()
                self._disconnect()
            else:
                known = {"signal": told["signal"], "code": told["code"]}
                cpu_s = self._cpu.of_all(told["cpu_s"])
        self._forget()
        by_kernel = known["signal"] == signal.SIGKILL and self._kernel_kills.since_noted()
        near = peak_bytes - self._before_bytes > _NEAR * self._memory_limit_bytes
        return Exited(**known, out_of_memory=by_kernel or near, peak_bytes=peak_bytes, cpu_s=cpu_s)

    def _heard(
        self, control: socket.socket, word: str, waiting: _Waiting, *, pid: int | None = None
    ) -> dict[str, Any]:
        """The fork server's next message of a kind; what it tells of earlier engines is skipped.

        Raises:
            OSError: It is gone.
            EngineError: It is silent for too long.
        """
        while True:
            if not wait([control], _ASK_S):
                waiting.go_on()
                continue
            message = control.recv(MESSAGE_BYTES)
            if not message:
                raise ConnectionResetError
            told: dict[str, Any] = json.loads(message)
            if word in told and pid in (None, told[word]):
                return told

    def _forget(self) -> None:
        self._cpu.end()
        if self._data is not None:
            self._data.close()
            self._data = None
        if self._process >= 0:
            os.close(self._process)
            self._process = -1

    def _disconnect(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None


def _read_answer(pipe: Connection, fingerprint: str) -> Finished | Failed | Progress:
    try:
        answer = _any_answer(pipe, fingerprint)
        if isinstance(answer, Progress):
            check_points(answer.points_done)
        else:
            check_answer(answer)
    except NONSENSE as error:
        raise AnswerError(f"the engine's answer is none: {type(error).__name__}") from error
    return answer


def _any_answer(pipe: Connection, fingerprint: str) -> Finished | Failed | Progress:
    header: dict[str, Any] = json.loads(pipe.recv_bytes(_MOST_BYTES))
    if "progress" in header:
        return Progress(points_done=header["progress"])
    known = {
        "simulator_version": header["simulator_version"],
        "peak_memory_bytes": header["peak_memory_bytes"],
        "cpu_s": header["cpu_s"],
    }
    if "kind" in header:
        return Failed(
            kind=ErrorKind(header["kind"]),
            message=header["message"],
            parsing_s=header.get("parsing_s"),
            simulating_s=header.get("simulating_s"),
            **known,
        )
    return Finished(
        results=tuple(_results(header["results"], _read_payload(pipe, header))),
        method=header["method"],
        method_reason=header["method_reason"],
        fingerprint=fingerprint,
        parsing_s=header["parsing_s"],
        simulating_s=header["simulating_s"],
        **known,
    )


def _results(known: dict[str, Any], payload: bytes) -> Iterator[EncodedResult]:
    end = 0
    for kind, point, size in zip(known["types"], known["points"], known["sizes"], strict=True):
        begin, end = end, end + size
        yield EncodedResult(result_type=kind, point=point, value=payload[begin:end])


def _read_payload(pipe: Connection, header: dict[str, Any]) -> bytes:
    size = size_of(header["results"]["sizes"])
    if not header["shared"]:
        return pipe.recv_bytes(_MOST_BYTES)
    memory = recv_handle(pipe)
    with os.fdopen(memory, "rb") as file:
        if not stat.S_ISREG(os.fstat(memory).st_mode):
            raise AnswerError("the engine's answer has something else for its results")
        file.seek(0)
        return file.read(size)
