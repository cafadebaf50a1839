"""`python -m app up`: all processes of the embedded default, in one terminal."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from contextlib import closing
from functools import partial
from typing import Any, Final

import honcho.manager
from honcho.manager import Manager
from honcho.process import Process

from app.database import migrate, open_store
from app.exposure import check_exposure, check_page_exposure, is_loopback
from app.forked import Forked, share
from app.lifeline import die_with_parent
from app.ports import utc_now
from app.readiness import answers, page_answers, page_url, server_address, trust_of
from app.settings import PROJECT, Settings, SettingsError
from app.targets import TargetControl
from qdispatch.errors import QDispatchError, UnavailableError

_READY_S: Final = 120.0
# How long processes may take to stop, beyond the time that jobs get to end,
# before they are killed; honcho's own 5 s are short for a worker that ends its
# connections.
_STOP_S: Final = 15
_POLL_S: Final = 0.1
# How long the server may take to say that it is serving, in seconds.
_ANSWER_S: Final = 2.0


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
    "tasks.consumer",
    "tasks.dispatch",
    "tasks.listen",
    "tasks.main_process",
    "tasks.pool",
    "tasks.records",
    "tasks.transport",
    "rpc.server",
    "structlog",
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
    check_exposure(settings)
    trust_of(settings.tls)
    if flower:
        _check_flower(flower)
    _check_free(settings.server.address, "server.address")
    if page:
        check_page_exposure(settings)
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
    # Sooner than its own process would say so; see tasks.dashboard.
    host = address.rpartition(":")[0] or "127.0.0.1"
    given = {"FLOWER_BASIC_AUTH_FILE", "FLOWER_BASIC_AUTH", "FLOWER_AUTH"} & os.environ.keys()
    if not given and not is_loopback(f"{host}:0"):
        raise SettingsError(
            f"Flower on {address} would let everybody stop workers: set FLOWER_BASIC_AUTH_FILE"
            " to a file that has USER:PASSWORD on each line, or use 127.0.0.1"
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


def wait_until_ready(settings: Settings) -> None:
    """Waits until the server answers and every target has a worker.

    Raises:
        QDispatchError: That took too long.
    """
    until = time.monotonic() + _READY_S
    with closing(open_store(settings)) as store:
        control = TargetControl(settings=settings, store=store, clock=utc_now)
        while missing := _missing(settings, control):
            if time.monotonic() > until:
                raise QDispatchError(f"not ready after {_READY_S:g} s: {', '.join(missing)}")
            time.sleep(_POLL_S)


def _missing(settings: Settings, control: TargetControl) -> list[str]:
    """What is not ready yet."""
    # The server is asked last: who calls it once it answers finds the workers there.
    try:
        missing = [each.name for each in control.states() if not each.workers]
    except UnavailableError:
        return ["the database"]
    if missing or answers(settings, server_address(settings), timeout_s=_ANSWER_S):
        return missing
    return ["the server"]


def wait_for_page(settings: Settings) -> str:
    """Waits until the page answers; returns its address for a browser.

    Raises:
        QDispatchError: That took too long.
    """
    until = time.monotonic() + _READY_S
    while not page_answers(settings, timeout_s=_ANSWER_S):
        if time.monotonic() > until:
            raise QDispatchError(f"the page does not answer after {_READY_S:g} s")
        time.sleep(_POLL_S)
    return page_url(settings)
