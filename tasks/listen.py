"""Hears from Celery's events which jobs may have changed.

They come within milliseconds, or not at all: whoever needs to know looks for
himself as well, now and then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any, Final
from uuid import UUID

from celery import Celery
from kombu import Connection

from app.ids import known_id

_log = logging.getLogger(__name__)

# How long to wait for the next event before looking whether to stop, in seconds.
_LOOK_S: Final = 0.5
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class EventListener:
    """A thread that listens to the workers' events.

    Args:
        celery: An application.
        on_job: Told the jobs that an event is about.
    """

    def __init__(self, celery: Celery, *, on_job: Callable[[Sequence[UUID]], None]) -> None:
        self._celery = celery
        self._on_job = on_job
        self._closed = Event()
        self._thread = Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Starts listening."""
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._closed.is_set():
            try:
                with self._celery.connection_for_read() as connection:
                    self._listen(connection)
            except Exception as error:  # noqa: BLE001 - every transport has errors of its own
                _log.warning("no events for now: %s", error)
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                pause = _FIRST_PAUSE_S

    def _listen(self, connection: Connection) -> None:
        # Of tasks only: workers say that they are alive every other second.
        receiver = self._celery.events.Receiver(
            connection, handlers={"*": self._hear}, routing_key="task.#"
        )
        with receiver.consumer_context(wakeup=False) as (own, _, _):
            while not self._closed.is_set():
                try:
                    own.drain_events(timeout=_LOOK_S)
                except TimeoutError:
                    own.heartbeat_check()

    def _hear(self, event: dict[str, Any]) -> None:
        key = known_id(str(event.get("uuid", "")))
        if key is not None:
            self._on_job([key])
