"""Notices that jobs have changed, from those who changed them to those who tell watchers.

They come within a millisecond, or not at all: whoever needs to know looks for
himself as well, now and then. They say which jobs, and nothing of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final
from uuid import UUID, uuid4

from celery import Celery
from kombu import Connection, Consumer, Exchange, Queue

from app.ids import known_id
from tasks.link import Link

_log = logging.getLogger(__name__)

#: What they come by.
EXCHANGE: Final = Exchange("qdispatch.changed", type="fanout", durable=False, delivery_mode=1)
# Whoever has not taken a notice by then has looked for himself, in seconds.
_OLD_S: Final = 10.0
# How long nothing is said after the broker did not listen, in seconds: a worker
# must not wait for it before every job.
_PAUSE_S: Final = 10.0
# How long a broker may take that has connections and does not read from them: in an
# alarm, or frozen. A slot says so while it has jobs to look after.
_PATIENCE_S: Final = 1.0


class Notices:
    """Says which jobs have changed.

    Args:
        celery: An application.
    """

    def __init__(self, celery: Celery) -> None:
        self._link = Link(celery, patience_s=_PATIENCE_S)
        self._silent_until = 0.0

    @property
    def silent(self) -> bool:
        """Whether nothing is said for now, since the broker did not listen."""
        return monotonic() < self._silent_until

    def __call__(self, job_ids: Sequence[UUID]) -> None:
        """Tells all who listen, if the broker does."""
        if not job_ids or self.silent:
            return

        def publish(connection: Connection) -> None:
            connection.Producer(auto_declare=False).publish(
                {"jobs": [str(job_id) for job_id in job_ids]},
                exchange=EXCHANGE,
                declare=[EXCHANGE],
                serializer="json",
                retry=False,
            )

        began = monotonic()
        try:
            self._link.use(publish)
        except Exception as error:  # noqa: BLE001 - every transport has errors of its own
            _log.info("watchers are not told for now: %s", error)
        else:
            # A broker in an alarm takes new connections, and then reads nothing from them.
            if monotonic() - began < _PATIENCE_S:
                return
            _log.info("watchers are not told for now: the broker takes long")
        self._silent_until = monotonic() + _PAUSE_S

    def close(self) -> None:
        """Ends the connection."""
        self._link.drop()


def consumer(connection: Connection, on_job: Callable[[Sequence[UUID]], None]) -> Consumer:
    """Hears what is said from now on.

    Args:
        connection: Connected.
        on_job: Told the jobs that a notice is about.
    """

    def hear(body: Any, _message: object) -> None:
        named = body.get("jobs", ()) if isinstance(body, dict) else ()
        keys = [key for each in named if (key := known_id(str(each))) is not None]
        if keys:
            on_job(keys)

    queue = Queue(
        f"qdispatch.changed.{uuid4()}",
        EXCHANGE,
        exclusive=True,
        auto_delete=True,
        durable=False,
        message_ttl=_OLD_S,
    )

    def refuse(_message: object, error: Exception) -> None:
        _log.warning("a notice cannot be read: %s", error)

    return Consumer(
        connection.channel(),
        [queue],
        callbacks=[hear],
        accept=["json"],
        no_ack=True,
        on_decode_error=refuse,
    )
