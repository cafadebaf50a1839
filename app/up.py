"""`python -m app up`: all processes of the embedded default, in one terminal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import honcho.manager
from honcho.manager import Manager
from honcho.process import Process

from app.database import migrate
from app.forked import Forked, share
from app.lifeline import die_with_parent
from app.settings import PROJECT, Settings, SettingsError
from qdispatch.client import Client
from qdispatch.errors import QDispatchError
from qdispatch.model import TargetInfo

_READY_S: Final = 120.0
# How long processes may take to stop, beyond the time that jobs get to end,
# before they are killed; honcho's own 5 s are short for a worker that ends its
# connections.
_STOP_S: Final = 15
_POLL_S: Final = 0.1


#: What several processes import. Named, not imported above: the command line is a
#: program of its own, and nothing of it depends on them.
SHARED: Final = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.log",
    "celery.apps.worker",
    "celery.bin.worker",
    "celery.fixups.django",
    "celery.worker.components",
    "celery.worker.consumer",
    "app.upkeep",
    "app.history",
    "tasks.dispatch",
    "tasks.listen",
    "tasks.main_process",
    "tasks.pool",
    "tasks.records",
    "tasks.transport",
    "rpc.server",
)


class _Child(Process):  # type: ignore[misc]
    """A process that does not outlive this one, even if this one is killed."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Runs it, in the helper process that honcho keeps for each."""
        die_with_parent()
        self._child_ctor: Any = partial(Forked, name=f"qd-{self.name}")
        super().run(events, ignore_signals)


def up(settings: Settings, *, flower: str | None, page: bool, run: str | None, leave: bool) -> int:
    """Starts everything, and stops everything when one of it ends.

    Args:
        settings: What to start.
        flower: HOST:PORT for the dashboard, or None for none.
        page: Whether the page to look at jobs is started too.
        run: A command to run once all is ready, with QDISPATCH_ADDRESS set.
        leave: Whether to stop when ``run`` has ended.

    Returns:
        The exit code: of ``run`` if it was to leave then, of the first process
        that ended otherwise.
    """
    settings.check_machine()
    if flower:
        _check_flower(flower)
    _check_free(settings.server.address, "server.address")
    if page:
        _check_free(settings.page.address, "page.address")
    migrate(settings)
    share(SHARED)
    # Its helpers are to be forks of this process, whatever Python's default is.
    multiprocessing.set_start_method("fork", force=True)
    honcho.manager.KILL_WAIT = _STOP_S + settings.jobs.stop_grace_s
    manager = Manager()
    manager._process_ctor = _Child
    add = _adder(manager)
    # Their fork servers take the longest.
    for target in settings.targets:
        add(target, _worker(target))
    add("server", ["rpc"])
    add("sweep", ["tasks.sweep"])
    if flower:
        host, _, port = flower.rpartition(":")
        add("flower", _flower(host or "127.0.0.1", port))
    if page:
        add("page", ["page"])
    ready = ["app", "ready", *(["--page"] if page else [])]
    if run:
        ready += ["--run", run]
    if leave:
        ready += ["--exit"]
    add("jobs" if run else "ready", ready)
    manager.loop()
    code: int = manager.returncode or 0
    # Ctrl-C and SIGTERM are how this is meant to be ended.
    stopped = (128 + signal.SIGINT, 128 + signal.SIGTERM)
    return 0 if code in stopped and not leave else code


def _adder(manager: Manager) -> Any:
    def add(name: str, command: list[str]) -> None:
        environment = os.environ | {"QDISPATCH_LOG_TIMES": "false"}
        manager.add_process(name, command, env=environment, cwd=str(PROJECT))

    return add


def _worker(target: str) -> list[str]:
    return [
        "tasks", "-Q", target, "-n", f"{target}@{socket.gethostname()}", "-l", "INFO",
        # They would look for workers of the same kind; there are none.
        "--without-mingle", "--without-gossip",
    ]  # fmt: skip


def _check_flower(address: str) -> None:
    host = address.rpartition(":")[0] or "127.0.0.1"
    if host not in ("127.0.0.1", "localhost", "[::1]") and "FLOWER_BASIC_AUTH" not in os.environ:
        raise SettingsError(
            f"Flower on {address} would let everybody stop workers:"
            " set FLOWER_BASIC_AUTH=user:password, or use 127.0.0.1"
        )


def _check_free(address: str, key: str) -> None:
    """Says at once what the process itself would say many seconds later.

    Raises:
        SettingsError: Somebody listens there: most likely it is running already.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            pass
    except (OSError, ValueError):
        return
    variable = f"QDISPATCH_{key.upper().replace('.', '__')}"
    raise SettingsError(
        f"{address} is in use: is qdispatch running already? Another address: {key}, or {variable}"
    )


def _flower(host: str, port: str) -> list[str]:
    return ["celery", "-A", "tasks", "flower", f"--address={host}", f"--port={port}"]


def wait_until_ready(settings: Settings) -> list[TargetInfo]:
    """Waits until the server answers and every target has a worker.

    Raises:
        QDispatchError: That took too long.
    """
    until = time.monotonic() + _READY_S
    with Client(settings.server.address, timeout_s=2.0) as client:
        while True:
            try:
                targets = client.targets()
            except QDispatchError:
                targets = []
            missing = [each.name for each in targets if not each.workers_online]
            if targets and not missing:
                return targets
            if time.monotonic() > until:
                waited_for = ", ".join(missing) or "the server"
                raise QDispatchError(f"not ready after {_READY_S:g} s: {waited_for}")
            time.sleep(_POLL_S)


def wait_for_page(settings: Settings) -> str:
    """Waits until the page answers; returns its address for a browser.

    Raises:
        QDispatchError: That took too long.
    """
    host, port = settings.page.listens_on
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - to tell, not to listen
    name = everywhere.get(host, f"[{host}]" if ":" in host else host)
    until = time.monotonic() + _READY_S
    while not _page_answers(name, port):
        if time.monotonic() > until:
            raise QDispatchError(f"the page does not answer after {_READY_S:g} s")
        time.sleep(_POLL_S)
    return f"http://{name}:{port}"


def _page_answers(host: str, port: int) -> bool:
    connection = HTTPConnection(host.strip("[]"), port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
