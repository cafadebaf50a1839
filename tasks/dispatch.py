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
from time import monotonic
from typing import Final, TypeAlias
from uuid import UUID

from celery import Celery
from kombu import Connection

from app.ports import Chunk, Dispatch, Sent
from qdispatch.errors import QDispatchError, UnavailableError
from tasks.link import Link
from tasks.send import Sender

_log = logging.getLogger(__name__)

#: Sent to a slot to make it look whether it still holds its job. Of the signals
#: that the kernel ignores unless they are handled, one that no pool handles.
WAKE_SIGNAL: Final = signal.SIGURG

# Messages that are on their way to the broker at the same time, and revocations
# that go in between; also what is noted in one transaction.
_TOGETHER: Final = 200
# How long the note may wait that something was sent, in seconds. Most jobs are taken
# by then, and need none. The sweep sends again what was not noted for longer.
_NOTE_S: Final = 0.5

_Revocation: TypeAlias = tuple[tuple[UUID, ...], bool]


class BackgroundDispatcher:
    """A thread with a queue of things to tell the broker.

    Args:
        celery: An application whose result backend is disabled, so that
            publishing needs the broker and nothing else.
        note_after_s: How long the note may wait that something was sent, in seconds.
    """

    def __init__(self, celery: Celery, *, note_after_s: float = _NOTE_S) -> None:
        self._celery = celery
        self._note_after_s = note_after_s
        self._link = Link(celery)
        self._sender = Sender(celery, self._link)
        self._queue: SimpleQueue[Sent | _Revocation | None] = SimpleQueue()
        # The sweep sends a job again and again as long as the broker is away.
        self._waiting: set[UUID] = set()
        self._sent: list[Sent] = []
        self._note_at = float("inf")
        self._on_sent: Callable[[Sequence[Sent]], None] = lambda _: None
        self._thread = Thread(target=self._work, name="dispatcher", daemon=True)

    def start(self, on_sent: Callable[[Sequence[Sent]], None]) -> None:
        """Starts the thread.

        Args:
            on_sent: Told, a little later, of what the broker has confirmed.
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

    def send_chunk(self, chunk: Chunk) -> None:
        """Puts committed jobs on their queue, all in one message."""
        self._queue.put(chunk)

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        """Tells workers that jobs are canceled."""
        self._queue.put((tuple(job_ids), running))

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            items = self._take()
            goes_on = None not in items
            publish: list[Sent] = []
            for item in items:
                if isinstance(item, Dispatch | Chunk):
                    publish.append(item)
                elif item is not None:
                    # What is canceled is to be sent before that is told.
                    self._publish(publish)
                    publish = []
                    self._revoke(*item)
            self._publish(publish)
            if not goes_on or len(self._sent) >= _TOGETHER or monotonic() >= self._note_at:
                self._note()
        self._link.drop()

    def _take(self) -> list[Sent | _Revocation | None]:
        """What there is to tell, when there is any, or when it is time for the notes."""
        items: list[Sent | _Revocation | None] = []
        try:
            left_s = self._note_at - monotonic()
            items.append(self._queue.get(timeout=max(0.0, left_s) if self._sent else None))
            while len(items) < _TOGETHER and items[-1] is not None:
                items.append(self._queue.get_nowait())
        except Empty:
            pass
        for item in items:
            if isinstance(item, Dispatch):
                self._waiting.discard(item.job_id)
        return items

    def _note(self) -> None:
        sent, self._sent, self._note_at = self._sent, [], float("inf")
        if sent:
            try:
                self._on_sent(tuple(sent))
            except QDispatchError as error:
                # They will be sent once more, and claimed once all the same.
                _log.warning("cannot note %d messages as sent: %s", len(sent), error)
            except Exception:  # noqa: BLE001 - a defect elsewhere; the thread lives on
                _log.exception("cannot note %d messages as sent", len(sent))

    def _publish(self, items: Sequence[Sent]) -> None:
        if items:
            if not self._sent:
                self._note_at = monotonic() + self._note_after_s
            self._sent += self._sender.send(items)

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


class BrokerQueues:
    """The queues of targets, as the broker has them.

    Args:
        celery: As for `BackgroundDispatcher`.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._link = Link(celery)

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
