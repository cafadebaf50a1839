"""The slot's side of its engine: start it, give it a job, wait, kill it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any, Final

from app.jobs import EncodedResult, Failed, Finished
from qdispatch.codec import encode_spec
from qdispatch.errors import QDispatchError
from qdispatch.model import ErrorKind, JobSpec
from tasks.pipe import KILL, MESSAGE_BYTES, SPAWN

# How long the fork server may take to import an SDK, in seconds.
_START_S: Final = 120.0
_RETRY_S: Final = 0.05


class EngineError(QDispatchError):
    """No engine can be had."""


class Signal(Enum):
    """What may happen while an engine works."""

    WOKEN = "woken"
    """Somebody wants this slot to look at its job."""
    TIMEOUT = "timeout"
    """Nothing happened for as long as was asked."""


@dataclass(frozen=True, kw_only=True)
class Exited:
    """The engine is gone."""

    signal: int
    """The signal that killed it, or 0."""
    code: int
    """Its exit code, if no signal killed it."""
    with_all: bool = False
    """Whether the fork server died, and every engine with it."""

    def __str__(self) -> str:
        if self.signal:
            return f"killed by {signal.Signals(self.signal).name}"
        return f"exit code {self.code}"


class Engine:
    """A warm child process that simulates, behind the worker's fork server.

    Args:
        address: The fork server's socket.
        wake: A file descriptor that ends a wait when it gets readable; what
            can be read from it is read.
    """

    def __init__(self, address: Path, wake: int) -> None:
        self._address = address
        self._wake = wake
        self._control: socket.socket | None = None
        self._data: Connection | None = None

    def start(self) -> None:
        """Makes sure that there is an engine, and waits until it is warm.

        Raises:
            EngineError: The fork server does not answer.
        """
        if self._data is None:
            if self._control is None:
                self._control = self._connect()
            self._spawn(self._control)

    def submit(self, spec: JobSpec) -> None:
        """Gives the engine a job; starts one if there is none."""
        message = encode_spec(spec).SerializeToString()
        self.start()
        try:
            self._pipe.send_bytes(message)
        except OSError:
            # It died while idle, so nothing is lost: once more, on a fresh one.
            self.kill()
            self.start()
            self._pipe.send_bytes(message)

    def wait(self, timeout_s: float) -> Finished | Failed | Exited | Signal:
        """Waits for the outcome of the job that was given, or for something else."""
        control = self._control
        ready = wait([self._pipe, self._wake, *([control] if control else [])], timeout_s)
        if self._pipe in ready:
            # Before its end: what it sent is an answer, even if it died then.
            try:
                return _read_answer(self._pipe)
            except (EOFError, OSError):
                return self._read_exit()
        if self._wake in ready:
            with suppress(BlockingIOError):
                os.read(self._wake, MESSAGE_BYTES)
            return Signal.WOKEN
        if ready:
            return self._read_exit()
        return Signal.TIMEOUT

    def kill(self) -> None:
        """Kills the engine, whatever it does, and waits until it is gone."""
        if self._data is None:
            return
        if self._control is not None:
            try:
                self._control.send(KILL)
            except OSError:
                self._disconnect()
            else:
                self._read_exit()
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

    def _connect(self) -> socket.socket:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        until = time.monotonic() + _START_S
        while True:
            try:
                control.connect(str(self._address))
            except OSError as error:
                # The fork server is being started, for the first time or anew.
                if time.monotonic() > until:
                    control.close()
                    raise EngineError("the fork server does not answer") from error
                time.sleep(_RETRY_S)
            else:
                return control

    def _spawn(self, control: socket.socket) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                socket.send_fds(control, [SPAWN], [theirs.fileno()])
                control.settimeout(_START_S)
                answer = control.recv(MESSAGE_BYTES)
            except OSError as error:
                ours.close()
                self._disconnect()
                raise EngineError("the fork server went away") from error
            finally:
                with suppress(OSError):
                    control.settimeout(None)
        if not answer:
            ours.close()
            self._disconnect()
            raise EngineError("the fork server went away")
        self._data = Connection(ours.detach())

    def _read_exit(self) -> Exited:
        """Reads the message that the engine has exited, and forgets it."""
        exited = Exited(signal=signal.SIGKILL, code=0, with_all=True)
        if self._control is not None:
            try:
                message = self._control.recv(MESSAGE_BYTES)
            except OSError:
                message = b""
            if message:
                fields = json.loads(message)
                exited = Exited(signal=fields["signal"], code=fields["code"])
            else:
                # The fork server died, and all its engines with it.
                self._disconnect()
        self._forget()
        return exited

    def _forget(self) -> None:
        if self._data is not None:
            self._data.close()
            self._data = None

    def _disconnect(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None


def _read_answer(pipe: Connection) -> Finished | Failed:
    header: dict[str, Any] = json.loads(pipe.recv_bytes())
    known = {
        "simulator_version": header["simulator_version"],
        "peak_memory_bytes": header["peak_memory_bytes"],
    }
    if "kind" in header:
        return Failed(
            kind=ErrorKind(header["kind"]),
            message=header["message"],
            parsing_s=header.get("parsing_s"),
            simulating_s=header.get("simulating_s"),
            **known,
        )
    payload = memoryview(_read_payload(pipe, header))
    results = []
    at = 0
    for each in header["results"]:
        value = bytes(payload[at : at + each["size"]])
        results.append(EncodedResult(result_type=each["type"], point=each["point"], value=value))
        at += each["size"]
    return Finished(
        results=tuple(results),
        method=header["method"],
        parsing_s=header["parsing_s"],
        simulating_s=header["simulating_s"],
        **known,
    )


def _read_payload(pipe: Connection, header: dict[str, Any]) -> bytes:
    if not header["shared"]:
        return pipe.recv_bytes()
    memory = recv_handle(pipe)
    with os.fdopen(memory, "rb") as file:
        file.seek(0)
        return file.read()
