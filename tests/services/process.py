"""One private server: its directory, its supervisor, its start and its end."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.waiting import wait_until

SUPERVISOR = Path(__file__).with_name("supervisor.py")
LOOPBACK = "127.0.0.1"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Below Linux's ephemeral ports, so that no outgoing connection takes one
# between the moment it is chosen and the moment the server binds it.
PORTS = range(12_000, 32_000)
_given: set[int] = set()


class ServiceError(RuntimeError):
    """A server did not start or did not answer; the message ends with its output."""


class Service:
    """A server process of one's own, in one's own directory, on loopback."""

    # What ends the server in an orderly way.
    stop_signal = signal.SIGTERM
    # What ends it when its owner is dead.
    abandoned_signal = signal.SIGKILL
    # Account to run as: user and group number; None for one's own.
    account: tuple[int, int] | None = None

    def __init__(self, directory: Path, *, remove: bool = False, timeout_s: float = 60) -> None:
        """Prepare, without starting.

        Args:
            directory: where everything the server writes goes; made when missing.
            remove: whether the directory goes too when the owner dies.
            timeout_s: longest time a start or a stop may take.
        """
        self.directory = directory
        self.port = free_port()
        self.start_s = 0.0
        self._remove = remove
        self._timeout_s = timeout_s
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect, in the form Celery or SQLAlchemy takes."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write what the server needs before it starts; called at every start."""

    def commands(self) -> list[list[str]]:
        """What to run; the last one is the server."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Variables beyond the few that every server gets."""
        return {}

    def check(self) -> None:
        """Use the server as a client would; raise when it does not answer."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether the server's supervisor is there."""
        return self._supervisor is not None and self._supervisor.poll() is None

    @property
    def output(self) -> Path:
        """The file with what the server printed."""
        return self.directory / "output.log"

    def start(self) -> Self:
        """Start the server and wait until it answers; nothing when it runs."""
        if self.running:
            return self
        began = time.monotonic()
        self._release()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._launch()
        try:
            self.ready()
        except BaseException:
            self.kill()
            raise
        self.start_s = time.monotonic() - began
        return self

    def ready(self) -> None:
        """Wait until a client is served.

        Raises:
            ServiceError: the server ended, or did not answer in time.
        """
        problem: list[Exception] = []

        def answers() -> bool:
            if not self.running:
                raise ServiceError(f"{type(self).__name__} ended:\n{self._tail()}")
            try:
                self.check()
            except Exception as error:  # noqa: BLE001 - each client has its own kinds
                problem[:] = [error]
                return False
            return True

        if not wait_until(answers, self._timeout_s):
            raise ServiceError(f"{type(self).__name__} gives no answer: {problem}\n{self._tail()}")

    def stop(self) -> None:
        """End the server in an orderly way, and everything it started."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the server by SIGKILL, and everything it started."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Stop and start on the same data and the same port."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def variables(self) -> dict[str, str]:
        """Every variable the server is started with."""
        few = {"PATH": SEARCH_PATH, "HOME": str(self.directory), "LANG": "C.UTF-8"}
        return few | self.environment()

    def _launch(self) -> None:
        user, group = self.account or (None, None)
        plan = {
            "owner": os.getpid(),
            "commands": self.commands(),
            "user": user,
            "group": group,
            "abandoned_signal": self.abandoned_signal,
            "grace_s": self._timeout_s,
            "remove": str(self.directory) if self._remove else None,
        }
        with self.output.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(plan)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self.variables(),
                start_new_session=True,
            )

    def _end(self, number: int) -> None:
        if self._supervisor is None or self._supervisor.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.write(b"%d\n" % number)
            self._supervisor.stdin.flush()
        self._release()

    def _release(self) -> None:
        if self._supervisor is not None:
            self._supervisor.wait(self._timeout_s + 10)
            if self._supervisor.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._supervisor.stdin.close()
            self._supervisor = None

    def _tail(self) -> str:
        return self.output.read_text(errors="replace")[-8000:]


def free_port() -> int:
    """A port on loopback that nobody listens on now, and never the same one twice."""
    # Test processes that run side by side take every n-th port each.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for port in random.sample(sorted(set(PORTS[number::count]) - _given), 200):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind((LOOPBACK, port))
            _given.add(port)
            return port
    raise ServiceError("no free port")
