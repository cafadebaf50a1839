"""The fork server of a worker: imports the target's SDK once, and forks engines.

It never simulates, so that a fork of it is always safe; it starts no thread;
it knows no broker, database or secret: its environment is cleared of them.
Each slot holds one connection to it and has at most one engine; an engine dies
with its slot's connection, and all die with the worker's main process, whose
end of the standard input it watches. A program may have made an engine its own:
what comes from one, or is no request, ends the connection that it came by, and
nothing else.

    slot -> fork server   "spawn", with one end of a socket pair
    fork server -> slot   {"spawned": PID, "fingerprint": TEXT};
                          {"exited": PID, "signal": N, "code": N, "cpu_s": SECONDS}
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
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NoReturn

from app.lifeline import die_with_parent
from app.logs import set_up_logging
from tasks import simulators
from tasks.cage import Cage, close_files
from tasks.fingerprint import fingerprint
from tasks.parse import warm_up as warm_up_parser
from tasks.pipe import MESSAGE_BYTES, SPAWN, Limits
from tasks.simulate import Answers, serve_with
from tasks.simulators import Simulator

_log = logging.getLogger(__name__)

# struct ucred, see unix(7): process, user, group.
_PEER: Final = struct.Struct("iII")


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
        folder: Where engines have their private folders.
        session: The session of the worker, whose processes are served.
    """

    def __init__(
        self,
        listener: socket.socket,
        simulator: Simulator,
        limits: Limits,
        folder: Path,
        session: int,
    ) -> None:
        self._listener = listener
        self._session = session
        self._simulator = simulator
        self._limits = limits
        self._fingerprint = fingerprint(simulator, limits)
        self._cage = Cage(limits, folder)
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
                    self._accept()
                elif key.fd in self._slots:
                    self._hear(self._slots[key.fd])

    def _accept(self) -> None:
        control, _ = self._listener.accept()
        peer = _peer(control)
        if not self._serves(peer):
            _log.error("process %d is none of this worker's: it is not served", peer)
            control.close()
            return
        self._slots[control.fileno()] = _Slot(control)
        self._selector.register(control, selectors.EVENT_READ)

    def _serves(self, peer: int) -> bool:
        # Each engine has a session of its own, and nobody can enter another's.
        try:
            return os.getsid(peer) == self._session
        except OSError:  # it has ended
            return False

    def _hear(self, slot: _Slot) -> None:
        try:
            message, fds, flags, _ = socket.recv_fds(slot.control, MESSAGE_BYTES, 1)
        except ConnectionError:
            message, fds, flags = b"", [], 0
        cut_short = flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        if message == SPAWN and len(fds) == 1 and not cut_short:
            self._spawn(slot, fds[0])
            return
        for each in fds:
            os.close(each)
        if message or fds:
            _log.error("a connection is closed: what came by it is no request")
        self._drop(slot)

    def _spawn(self, slot: _Slot, data: int) -> None:
        # An engine writes to the same pipe, and could have made it one that is full.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Its slot has given the one before up.
        _kill(slot.engine)
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
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # Should the machine run out of memory, engines go first.
            Path("/proc/self/oom_score_adj").write_text("1000")
            # The fork server's, other slots', and whatever an SDK has opened.
            close_files(but=data)
            # What it keeps open of /proc, it opens before it is shut in.
            answers = Answers(self._simulator, self._limits, self._cage.begin)
            self._cage.enter(data)
            serve_with(Connection(data), answers)
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
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            # What it may have started, while the number of the group is still its own.
            with suppress(ProcessLookupError):
                os.killpg(ended.si_pid, signal.SIGKILL)
            pid, status, used = os.wait4(ended.si_pid, 0)
            self._cage.remove(pid)
            for slot in self._slots.values():
                if slot.engine == pid:
                    slot.engine = None
                    exited: dict[str, float | str] = {
                        "exited": pid,
                        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
                        "cpu_s": used.ru_utime + used.ru_stime,
                    }
                    self._tell(slot, exited)

    def _tell(self, slot: _Slot, message: dict[str, float | str]) -> None:
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


def _peer(control: socket.socket) -> int:
    """The process that has made a connection."""
    found = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    pid: int = _PEER.unpack(found)[0]
    return pid


def _kill(engine: int | None) -> None:
    # It is reaped by this process only, so the number is still its own.
    if engine is not None:
        os.kill(engine, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Runs the fork server: SOCKET SIMULATOR LIMITS-AS-JSON LOGGING-AS-JSON."""
    address, name, limits, log = arguments
    # What an SDK's exception says may quote a program: its kind and place must do.
    set_up_logging(**json.loads(log), texts=False)
    # A Ctrl-C at the terminal is for the worker, which then ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    session = os.getsid(os.getppid())
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
    folder = Path(address).resolve().parent
    try:
        server = ForkServer(listener, simulator, Limits(**json.loads(limits)), folder, session)
    except LookupError as error:
        _log.critical("engines cannot be caged: %s", error)
        return 1
    server.run()
    # The worker is gone, maybe by a SIGKILL: nobody else removes its folder.
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
