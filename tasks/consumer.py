"""A worker's main process, which no message ends.

Celery's own takes a message for well-formed once its headers name a task: anything else
than a list in its body, or a header of another type than it expects, ends the worker;
and the next one, as the message then goes back to the queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer

_log = logging.getLogger(__name__)


class Consumer(CelerysConsumer):
    """Celery's, as `worker_consumer` names it."""

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """What takes each message."""
        handle = super().create_task_handler(*args, **options)
        of_broker = (*self.connection_errors, *self.channel_errors)

        def handle_or_refuse(message: Any) -> Any:
            try:
                return handle(message)
            except of_broker:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a stranger's message leads to
                # A job whose message this was is sent again by the sweep.
                _log.error("a message makes no sense, and is thrown away", exc_info=error)
                message.reject_log_error(_log, self.connection_errors)
                return None

        return handle_or_refuse
