"""Messages that carry jobs to their queues, many on their way at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import ChannelError

from app.ports import Chunk, Sent
from tasks.confirms import Confirms
from tasks.link import Link

_log = logging.getLogger(__name__)

#: Name of the task for a job that has a message of its own.
RUN_JOB: Final = "qdispatch.run_job"

#: Name of the one for the jobs of a chunk.
RUN_CHUNK: Final = "qdispatch.run_chunk"

# How long the broker may take to confirm what was sent together, in seconds: one
# that is in an alarm, or frozen, must not hold the thread for good.
_CONFIRM_S: Final = 10.0


class Sender:
    """Sends jobs and chunks, and says which of them the broker has.

    Args:
        celery: An application.
        link: To the broker; for one thread.
    """

    def __init__(self, celery: Celery, link: Link) -> None:
        self._celery = celery
        self._link = link
        self._confirms: Confirms[Sent] | None = None

    def send(self, items: Sequence[Sent]) -> list[Sent]:
        """Sends all of these; returns those that the broker has confirmed."""
        confirmed: list[Sent] = []

        def publish(connection: Connection) -> None:
            confirms = self._confirming(connection)
            producer = self._celery.amqp.Producer(confirms.channel, auto_declare=False)
            known = set(confirmed)
            try:
                for item in items:
                    if item not in known:
                        confirms.send(item, partial(self._publish, item, producer))
                confirms.wait(_CONFIRM_S)
            finally:
                confirmed.extend(confirms.confirmed())

        error: Exception | None = None
        try:
            self._link.use(publish)
        except Exception as caught:  # noqa: BLE001 - each transport has its own; a caller lives on
            self._confirms, error = None, caught
        known = set(confirmed)
        left = [each for each in items if each not in known]
        if error is not None and len(left) > 1 and not _is_away(error):
            # What one of them is refused is no reason to keep the others back.
            return confirmed + [done for each in left for done in self.send([each])]
        for each in left:
            reason = error or "the broker refuses it"
            _log.warning("cannot send %s, the sweep will: %s", _name(each), reason)
        return confirmed

    def _confirming(self, connection: Connection) -> Confirms[Sent]:
        # A channel ends with its connection, which may be another by now.
        if self._confirms is None or self._confirms.connection is not connection:
            self._confirms = Confirms(connection)
        return self._confirms

    def _publish(self, item: Sent, producer: Producer) -> None:
        task, task_id, args, shown = _message_of(item)
        self._celery.send_task(
            task,
            args=args,
            task_id=task_id,
            queue=item.target,
            # What Flower's list shows; the worker reads the ids only.
            argsrepr=shown,
            kwargsrepr=item.label,
            producer=producer,
            retry=False,
            priority=item.urgency,
        )


def _is_away(error: Exception) -> bool:
    # A queue that is refused ends its channel; all else, but defects, ends the connection.
    return not isinstance(error, ChannelError | LookupError | ValueError | TypeError)


def _name(item: Sent) -> str:
    if isinstance(item, Chunk):
        return f"chunk {item.chunk_id} of {len(item.job_ids)} jobs"
    return f"job {item.job_id}"


def _message_of(item: Sent) -> tuple[str, str, tuple[object, ...], str]:
    """Name and id of the task, its arguments, and how monitors show them."""
    if isinstance(item, Chunk):
        job_ids = [str(job_id) for job_id in item.job_ids]
        return RUN_CHUNK, str(item.chunk_id), (job_ids,), f"({len(job_ids)} jobs,)"
    job_id = str(item.job_id)
    return RUN_JOB, job_id, (job_id,), f"({job_id!r},)"
