"""Celery's records of tasks, which are for people: without one, everything goes on."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from celery.backends.filesystem import FilesystemBackend

_log = logging.getLogger(__name__)


# A backend that failed is not asked again for so long, in seconds: each try may
# take seconds of a process that serves all slots.
_PAUSE_S: Final = 10.0


class Forgiving:
    """Loses a record that cannot be stored; Celery's own would end the worker."""

    _asked_from = 0.0

    def store_result(self, task_id: str, result: Any, state: str, **options: Any) -> Any:
        """Stores a record, if that can be done now."""
        if time.monotonic() >= self._asked_from:
            try:
                return super().store_result(task_id, result, state, **options)  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - each backend has errors of its own
                _log.warning("Celery's records are lost for now: %s", error)
                self._asked_from = time.monotonic() + _PAUSE_S
        _log.info("Celery's record of job %s (%s) is lost", task_id, state)
        return result


class FileRecords(Forgiving, FilesystemBackend):
    """Records as files, of the embedded default."""

    def _do_directory_test(self, key: bytes) -> None:
        """Celery tries its folder when a backend is made: with the first record.

        With a disk that is full for now, the message that this was about would then
        never be let go, and its worker take no other.
        """


#: By the scheme of the result backend's URL, for Celery's loader.
BACKENDS: Final = {
    "file": "tasks.records:FileRecords",
    "redis": "tasks.redis_records:RedisRecords",
}
