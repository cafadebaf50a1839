"""Starts again what has ended, as systemd or Compose would."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

from tests.chaos.installation import Installation
from tests.services.process import Service, ServiceError

_log = logging.getLogger(__name__)

_LOOK_S: Final = 0.1
#: How long what ended by itself stays down.
_RESTART_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that is to run."""

    name: str
    running: Callable[[], bool]
    start: Callable[[], object]


class Keeper:
    """Keeps one part running, in a thread of its own.

    The thread lives until `close`: the kernel kills a process of the project
    when the thread that started it ends.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.ended_by_itself = 0
        self._held = Event()
        # Whether its next end is a fault's doing.
        self._expected = False
        self._retired = Event()
        self._closed = Event()
        self._thread = Thread(target=self._keep, name=f"keeper of {part.name}", daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """Does not start it until it is released; its end is expected."""
        self._expected = True
        self._held.set()

    def release(self) -> None:
        """Starts it if it does not run."""
        self._held.clear()

    def retire(self) -> None:
        """Starts it no more."""
        self._retired.set()

    def close(self) -> None:
        """Ends the thread, and what it started."""
        self._retired.set()
        self._closed.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._closed.wait(_LOOK_S):
            if self._retired.is_set() or self._held.is_set() or self.part.running():
                continue
            if not self._expected:
                self.ended_by_itself += 1
                _log.warning("%s has ended by itself", self.part.name)
                if self._closed.wait(_RESTART_S):
                    return
            self._expected = False
            self._start()

    def _start(self) -> None:
        try:
            self.part.start()
        except (ServiceError, OSError) as error:
            _log.warning("%s does not start: %s", self.part.name, str(error)[-500:])
        else:
            _log.info("%s started", self.part.name)


def keepers(installation: Installation) -> dict[str, Keeper]:
    """One for each process and each service, by name."""
    stack = installation.stack
    parts = [
        Part(
            name=name,
            running=lambda name=name: stack.exit_code(name) is None,
            start=lambda name=name: stack.start_part(name),
        )
        for name in installation.parts
    ]
    if installation.services is not None:
        services = installation.services
        for name in ("rabbitmq", "redis", "postgresql"):
            service: Service = getattr(services, name)
            parts.append(Part(name=name, running=lambda s=service: s.running, start=service.start))
    return {part.name: Keeper(part) for part in parts}
