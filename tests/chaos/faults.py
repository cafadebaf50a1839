"""Makes faults happen, and mends them."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread

import psutil

from tests.chaos.installation import Installation
from tests.chaos.keeper import Keeper
from tests.chaos.plan import OF_A_WORKER, SERVICES, Fault
from tests.chaos.proxy import Mode
from tests.services.process import Service

_log = logging.getLogger(__name__)

#: Mends what a fault did; empty if it did nothing.
Mend = Callable[[], None]


class Saboteur:
    """Makes faults happen in an installation.

    Args:
        installation: Whose.
        keepers: Who start again what ends.
    """

    def __init__(self, installation: Installation, keepers: Mapping[str, Keeper]) -> None:
        self._installation = installation
        self._stack = installation.stack
        self._keepers = keepers
        self._stopped: list[psutil.Process] = []

    def begin(self, fault: Fault) -> Mend | None:
        """Lets it happen; returns what mends it, or None if there was nothing to hit."""
        begin = {"kill": self._kill, "stop": self._stop, "cut": self._cut, "disk": self._fill}
        try:
            return begin[fault.action](fault)
        except psutil.NoSuchProcess:
            return None

    def heal(self) -> None:
        """Mends everything, also what a fault forgot."""
        for process in self._stopped:
            _send(process, signal.SIGCONT)
        self._installation.proxies.heal()
        for disk in self._installation.disks.values():
            disk.free()
        for keeper in self._keepers.values():
            keeper.release()

    def _kill(self, fault: Fault) -> Mend | None:
        name = fault.target if fault.subject == "worker" else fault.subject
        keeper = self._keepers.get(name)
        if keeper is None:
            # What a worker has, it starts again by itself.
            found = self._family(fault)
            return _nothing if any(_send(each, signal.SIGKILL) for each in found) else None
        if not keeper.part.running():
            return None
        keeper.hold()
        if fault.subject in SERVICES:
            self._service(fault.subject).kill()
        else:
            _send(self._stack.process(name), signal.SIGKILL)
        return keeper.release

    def _stop(self, fault: Fault) -> Mend | None:
        # Until no more are found: they start others until they stand still.
        stopped: list[psutil.Process] = []
        while found := [each for each in self._family(fault) if each not in stopped]:
            stopped += found
            for process in found:
                _send(process, signal.SIGSTOP)
            if fault.subject not in SERVICES:
                break
        self._stopped += stopped
        return (lambda: _resume(stopped)) if stopped else None

    def _cut(self, fault: Fault) -> Mend:
        proxies = self._installation.proxies
        proxies.set_mode(fault.subject, Mode.BLACK_HOLE if fault.black_hole else Mode.REFUSE)
        return lambda: proxies.set_mode(fault.subject, Mode.PASS)

    def _fill(self, fault: Fault) -> Mend:
        disk = self._installation.disks[fault.subject]
        over = Event()

        def keep_full() -> None:
            # What others free meanwhile is taken as well.
            while not over.is_set():
                disk.fill()
                over.wait(0.05)

        filling = Thread(target=keep_full, name="ballast", daemon=True)
        filling.start()

        def mend() -> None:
            over.set()
            filling.join()
            disk.free()

        return mend

    def _family(self, fault: Fault) -> list[psutil.Process]:
        """Those to be hit."""
        if fault.subject in SERVICES:
            supervisor = self._service(fault.subject)._supervisor
            return psutil.Process(supervisor.pid).children(recursive=True) if supervisor else []
        if fault.subject not in OF_A_WORKER:
            return [self._stack.process(fault.subject)]
        target = fault.target
        if fault.subject == "worker":
            return [self._stack.process(target)]
        found = {
            "slot": lambda: [psutil.Process(pid) for pid in sorted(self._stack.slots(target))],
            "engine": lambda: self._stack.engines(target),
            "forkserver": lambda: self._stack.fork_servers(target),
        }[fault.subject]()
        return [found[int(fault.pick * len(found))]] if found else []

    def _service(self, name: str) -> Service:
        service: Service = getattr(self._installation.services, name)
        return service


def _send(process: psutil.Process, number: signal.Signals) -> bool:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        return True
    return False


def _resume(stopped: list[psutil.Process]) -> None:
    for process in stopped:
        _send(process, signal.SIGCONT)


def _nothing() -> None:
    return
