"""The fork server of a worker: imports the target's SDK once, and forks engines.

It never simulates, so that a fork of it is always safe; it starts no thread;
it knows no broker, database or secret: its environment is cleared of them.
Each slot holds one connection to it and has at most one engine; an engine dies
with its slot's connection, and all die with the worker's main process, whose
end of the standard input it watches.

    slot -> fork server   "spawn", with one end of a socket pair
    fork server -> slot   {"spawned": PID, "fingerprint": TEXT};
                          {"exited": PID, "signal": N, "code": N}
"""

from __future__ import annotations

import gc
import json
import logging
import os
import selectors
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from app.lifeline import die_with_parent
from tasks import simulators
from tasks.fingerprint import fingerprint
from tasks.parse import warm_up as warm_up_parser
from tasks.pipe import MESSAGE_BYTES, SPAWN, Limits
from tasks.simulate import serve
from tasks.simulators import Simulator

_log = logging.getLogger(__name__)


@dataclass
class _Slot:
    """A connection, and the engine behind it."""

    control: socket.socket
    engine: int | None = None


class ForkServer:
    """Serves the slots of one worker.

    Args:
        listener: A bound Unix socket (SOCK_SEQPACKET).
        simulator: The target's, with its SDK imported.
        limits: Of one simulation.
    """

    def __init__(self, listener: socket.socket, simulator: Simulator, limits: Limits) -> None:
        self._listener = listener
        self._simulator = simulator
        self._limits = limits
        self._fingerprint = fingerprint(simulator, limits)
        self._selector = selectors.DefaultSelector()
        self._slots: dict[int, _Slot] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Serves until the standard input is closed."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        stdin = sys.stdin.fileno()
        for fd in (stdin, self._wake_read, self._listener.fileno()):
            self._selector.register(fd, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == stdin:
                    self._kill_all()
                    return
                if key.fd == self._wake_read:
                    os.read(self._wake_read, MESSAGE_BYTES)
                    self._reap()
                elif key.fd == self._listener.fileno():
                    control, _ = self._listener.accept()
                    self._slots[control.fileno()] = _Slot(control)
                    self._selector.register(control, selectors.EVENT_READ)
                elif key.fd in self._slots:
                    self._hear(self._slots[key.fd])

    def _hear(self, slot: _Slot) -> None:
        try:
            message, fds, _, _ = socket.recv_fds(slot.control, MESSAGE_BYTES, 1)
        except ConnectionError:
            message, fds = b"", []
        if message == SPAWN:
            self._spawn(slot, fds[0])
        else:
            self._drop(slot)

    def _spawn(self, slot: _Slot, data: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        fork_server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            # It hears that by the end of its connection, and asks again.
            _log.error("cannot fork: %s", error)
            os.close(data)
            self._drop(slot)
            return
        if pid == 0:
            self._become_engine(data, fork_server)
        os.close(data)
        slot.engine = pid
        self._tell(slot, {"spawned": pid, "fingerprint": self._fingerprint})

    def _become_engine(self, data: int, fork_server: int) -> NoReturn:
        code = 1
        try:
            die_with_parent(fork_server)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Should the machine run out of memory, engines go first.
            Path("/proc/self/oom_score_adj").write_text("1000")
            self._selector.close()
            self._listener.close()
            for slot in self._slots.values():
                slot.control.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            serve(Connection(data), self._simulator, self._limits)
            code = 0
        except (BrokenPipeError, ConnectionResetError):  # the slot is gone
            code = 0
        except BaseException:  # noqa: BLE001 - its last words
            _log.exception("an engine failed")
        finally:
            # Not sys.exit: what the fork server would do at its end is not
            # the engine's to do.
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for slot in self._slots.values():
                if slot.engine == pid:
                    slot.engine = None
                    exited: dict[str, int | str] = {
                        "exited": pid,
                        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
                    }
                    self._tell(slot, exited)

    def _tell(self, slot: _Slot, message: dict[str, int | str]) -> None:
        try:
            slot.control.send(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            # Its end is seen, and acted on, by the select above.
            return

    def _drop(self, slot: _Slot) -> None:
        _kill(slot.engine)
        self._selector.unregister(slot.control)
        del self._slots[slot.control.fileno()]
        slot.control.close()

    def _kill_all(self) -> None:
        for slot in self._slots.values():
            _kill(slot.engine)


def _kill(engine: int | None) -> None:
    # It is reaped by this process only, so the number is still its own.
    if engine is not None:
        os.kill(engine, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Runs the fork server: SOCKET SIMULATOR LIMITS-AS-JSON."""
    address, name, limits = arguments
    logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stderr)
    # A Ctrl-C at the terminal is for the worker, which then ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Slots may connect while the SDK is still being imported; they wait.
    listener.bind(address)
    listener.listen(64)
    # What imports leave behind is collected once, below.
    gc.disable()
    try:
        simulator = simulators.load(name, postponing=True)
    except (LookupError, ImportError) as error:
        _log.critical("simulator %s cannot be loaded: %s", name, error)
        return 1
    warm_up_parser()
    # What is here now is shared with every engine for good; a collection in
    # one of them must not copy it.
    gc.collect()
    gc.freeze()
    gc.enable()
    ForkServer(listener, simulator, Limits(**json.loads(limits))).run()
    # The worker is gone, maybe by a SIGKILL: nobody else removes its folder.
    shutil.rmtree(Path(address).parent, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
