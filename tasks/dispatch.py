"""Sends jobs to their queues and revokes them, off the caller's path.

Celery is told of a job by its id only; the database is the truth, and what is
lost here is sent again by the sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, TypeAlias
from uuid import UUID

from celery import Celery

from app.ports import Dispatch
from qdispatch.errors import QDispatchError

_log = logging.getLogger(__name__)

#: Name of the one task that there is.
RUN_JOB: Final = "qdispatch.run_job"

#: Sent to a slot to make it look whether it still holds its job.
WAKE_SIGNAL: Final = "SIGUSR2"

# Jobs whose sending is noted in one transaction.
_BATCH: Final = 200

_Revocation: TypeAlias = tuple[UUID, bool]


class BackgroundDispatcher:
    """A thread with a queue of things to tell the broker.

    Args:
        celery: An application whose result backend is disabled, so that
            publishing needs the broker and nothing else.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._queue: SimpleQueue[Dispatch | _Revocation | None] = SimpleQueue()
        # The sweep sends a job again and again as long as the broker is away.
        self._waiting: set[UUID] = set()
        self._on_sent: Callable[[Sequence[Dispatch]], None] = lambda _: None
        self._thread = Thread(target=self._work, name="dispatcher", daemon=True)

    def start(self, on_sent: Callable[[Sequence[Dispatch]], None]) -> None:
        """Starts the thread.

        Args:
            on_sent: Told of jobs whose messages the broker has confirmed.
        """
        self._on_sent = on_sent
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Sends what is left, for so long; the sweep sends the rest."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def send(self, dispatch: Dispatch) -> None:
        """Puts a committed job on its queue, unless it waits for that already."""
        if dispatch.job_id not in self._waiting:
            self._waiting.add(dispatch.job_id)
            self._queue.put(dispatch)

    def revoke(self, job_id: UUID, *, running: bool) -> None:
        """Tells workers that a job is canceled."""
        self._queue.put((job_id, running))

    def _work(self) -> None:
        sent: list[Dispatch] = []
        while True:
            try:
                # As long as more is to be sent, the note can wait for it.
                item = self._queue.get(block=not sent)
            except Empty:
                self._note(sent)
                continue
            if item is None:
                self._note(sent)
                return
            if isinstance(item, Dispatch):
                self._waiting.discard(item.job_id)
                if self._publish(item):
                    sent.append(item)
                if len(sent) >= _BATCH:
                    self._note(sent)
            else:
                self._revoke(*item)

    def _note(self, sent: list[Dispatch]) -> None:
        if sent:
            try:
                self._on_sent(tuple(sent))
            except QDispatchError as error:
                # They will be sent once more, and claimed once all the same.
                _log.warning("cannot note %d jobs as sent: %s", len(sent), error)
            except Exception:  # noqa: BLE001 - a defect elsewhere; the thread lives on
                _log.exception("cannot note %d jobs as sent", len(sent))
            sent.clear()

    def _publish(self, dispatch: Dispatch) -> bool:
        job_id = str(dispatch.job_id)
        try:
            self._celery.send_task(
                RUN_JOB,
                args=(job_id,),
                task_id=job_id,
                queue=dispatch.target,
                # What Flower's list shows; the worker reads the id only.
                argsrepr=f"({job_id!r},)",
                kwargsrepr=dispatch.label,
                retry=False,
            )
        except Exception as error:  # noqa: BLE001 - each transport has its own; the thread lives on
            _log.warning("cannot send job %s, the sweep will: %s", job_id, error)
            return False
        return True

    def _revoke(self, job_id: UUID, running: bool) -> None:
        try:
            self._celery.control.revoke(str(job_id), terminate=running, signal=WAKE_SIGNAL)
        except Exception as error:  # noqa: BLE001 - as above
            # Its worker finds out by itself when it renews the lease or claims.
            _log.warning("cannot revoke job %s: %s", job_id, error)
