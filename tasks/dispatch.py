"""Sends jobs to their queues and revokes them, off the caller's path.

Celery is told of a job by its id only; the database is the truth, and what is
lost here is sent again by the sweep.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, TypeAlias
from uuid import UUID

from celery import Celery
from kombu import Connection

from app.ports import Dispatch
from qdispatch.errors import QDispatchError, UnavailableError

_log = logging.getLogger(__name__)

#: Name of the one task that there is.
RUN_JOB: Final = "qdispatch.run_job"

#: Sent to a slot to make it look whether it still holds its job. Of the signals
#: that the kernel ignores unless they are handled, one that no pool handles.
WAKE_SIGNAL: Final = signal.SIGURG

# Jobs whose sending is noted in one transaction.
_BATCH: Final = 200
# How long the broker may take to confirm a message, in seconds: one that is in
# an alarm, or frozen, must not hold the thread for good.
_CONFIRM_S: Final = 10.0

_Revocation: TypeAlias = tuple[tuple[UUID, ...], bool]


class BackgroundDispatcher:
    """A thread with a queue of things to tell the broker.

    Args:
        celery: An application whose result backend is disabled, so that
            publishing needs the broker and nothing else.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._link = _Link(celery)
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

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        """Tells workers that jobs are canceled."""
        self._queue.put((tuple(job_ids), running))

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
                self._link.drop()
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

        def send(connection: Connection) -> None:
            self._celery.send_task(
                RUN_JOB,
                args=(job_id,),
                task_id=job_id,
                queue=dispatch.target,
                # What Flower's list shows; the worker reads the id only.
                argsrepr=f"({job_id!r},)",
                kwargsrepr=dispatch.label,
                producer=self._celery.amqp.Producer(connection, auto_declare=False),
                retry=False,
                confirm_timeout=_CONFIRM_S,
            )

        try:
            self._link.use(send)
        except Exception as error:  # noqa: BLE001 - each transport has its own; the thread lives on
            _log.warning("cannot send job %s, the sweep will: %s", job_id, error)
            return False
        return True

    def _revoke(self, job_ids: Sequence[UUID], running: bool) -> None:
        arguments = {
            "task_id": [str(job_id) for job_id in job_ids],
            # What a worker of the version before goes by.
            "terminate": running,
            "signal": WAKE_SIGNAL.name,
            "noted": True,
        }

        def cast(connection: Connection) -> None:
            mailbox = self._celery.control.mailbox(connection)
            # Else it would use a connection of Celery's pool instead.
            mailbox.producer_pool = None
            mailbox.abcast("revoke", arguments)

        try:
            self._link.use(cast)
        except Exception as error:  # noqa: BLE001 - as above
            # Workers find out by themselves when they look, or claim.
            _log.warning("cannot revoke %d jobs: %s", len(job_ids), error)


class _Link:
    """A connection to the broker that is made when needed, and anew when it fails.

    Celery's own pool would keep one whose last answer is still to come, and
    take that for the answer to the next question.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._connection: Connection | None = None

    def use(self, act: Callable[[Connection], None]) -> None:
        """Does something with the connection; twice, if it was an old one and is dead."""
        old = self._connection is not None
        try:
            act(self._connected())
        except Exception:
            self.drop()
            if not old:
                raise
            try:
                act(self._connected())
            except Exception:
                self.drop()
                raise

    def drop(self) -> None:
        """Ends the connection without a word to the broker, which may not listen."""
        if self._connection is not None:
            self._connection.collect()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._celery.connection_for_write()
            connection.connect()
            self._connection = connection
        return self._connection


class BrokerQueues:
    """The queues of targets, as the broker has them.

    Args:
        celery: As for `BackgroundDispatcher`.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._link = _Link(celery)

    def length(self, target: str) -> int:
        """How many messages wait; a queue that somebody has deleted is made anew.

        Raises:
            UnavailableError: The broker does not answer.
        """
        lengths: list[int] = []

        def ask(connection: Connection) -> None:
            with connection.channel() as channel:
                queue = self._celery.amqp.queues[target](channel)
                queue.declare()
                lengths.append(queue.queue_declare(passive=True).message_count)

        try:
            self._link.use(ask)
        except Exception as error:
            raise UnavailableError(f"the broker does not tell of {target}: {error}") from error
        return lengths[-1]
