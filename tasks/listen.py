"""Hears which jobs have changed; see `tasks.notices`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import Final
from uuid import UUID

from celery import Celery
from kombu import Connection

from tasks.notices import consumer

_log = logging.getLogger(__name__)

# How long to wait for the next notice before looking whether to stop, in seconds.
_LOOK_S: Final = 0.5
# How often heartbeats are looked after, in seconds; twice as often as they come.
_BEAT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class Listener:
    """A thread that listens to notices.

    Args:
        celery: An application.
        on_job: Told the jobs that a notice is about.
    """

    def __init__(self, celery: Celery, *, on_job: Callable[[Sequence[UUID]], None]) -> None:
        self._celery = celery
        self._on_job = on_job
        self._closed = Event()
        self._pause_s = _FIRST_PAUSE_S
        self._thread = Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Starts listening."""
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                # A broker that has fallen silent is noticed by its missing heartbeats.
                heartbeat = self._celery.conf.broker_heartbeat
                with self._celery.connection_for_read(heartbeat=heartbeat) as connection:
                    self._listen(connection)
            except Exception as error:  # noqa: BLE001 - every transport has errors of its own
                _log.warning("no notices for now: %s", error)
                self._closed.wait(self._pause_s)
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _listen(self, connection: Connection) -> None:
        # Celery itself would try for ever, and whoever stops would wait for that.
        connection.ensure_connection(max_retries=1, interval_start=_FIRST_PAUSE_S)
        with consumer(connection, self._on_job):
            self._pause_s = _FIRST_PAUSE_S
            beat_at = monotonic()
            while not self._closed.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_LOOK_S)
                # Also while notices come without a pause.
                if monotonic() >= beat_at:
                    connection.heartbeat_check()
                    beat_at = monotonic() + _BEAT_S
