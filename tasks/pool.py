"""The worker's pool: Celery's, which fills the place of a child that was killed at once."""

from __future__ import annotations

from typing import Any, Final

from billiard.pool import RUN
from celery.concurrency import asynpool, prefork

# How long until a child that was not to be reaped yet is looked at again, in seconds.
_REAP_S: Final = 0.02


class _Pool(asynpool.AsynPool):
    def _event_process_exit(self, hub: Any, process: Any) -> None:
        # A dying child's files close, which is the event, a moment before it
        # can be waited for; Celery looks once, and then every 5 s.
        super()._event_process_exit(hub, process)
        if self._state == RUN and process in self._pool:
            hub.call_later(_REAP_S, self._event_process_exit, hub, process)


class TaskPool(prefork.TaskPool):
    """Celery's prefork pool, on an event loop."""

    Pool = _Pool
