"""What watchers are told, from the thread that knows it to the streams."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from qdispatch.errors import QDispatchError
from qdispatch.updates import BatchUpdate, JobUpdate


class Mailbox:
    """What one stream has still to send; made in the event loop.

    A client that reads slowly gets every event, and of mere outlooks the last.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._waiting: deque[JobUpdate | BatchUpdate | QDispatchError | None] = deque()

    def tell(self, update: JobUpdate | BatchUpdate | QDispatchError | None) -> None:
        """Takes what is to be sent; from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._put, update)
        except RuntimeError:
            # The loop is closed: there is nobody to send it to any more.
            return

    def _put(self, update: JobUpdate | BatchUpdate | QDispatchError | None) -> None:
        waiting = self._waiting
        if waiting and _is_outlook(waiting[-1]) and _is_outlook(update):
            waiting.pop()
        waiting.append(update)
        self._filled.set()

    async def updates(self) -> AsyncIterator[JobUpdate | BatchUpdate]:
        """What is told, up to the end.

        Raises:
            QDispatchError: It could not go on.
        """
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                update = self._waiting.popleft()
                if update is None:
                    return
                if isinstance(update, QDispatchError):
                    raise update
                yield update


def _is_outlook(update: JobUpdate | BatchUpdate | QDispatchError | None) -> bool:
    return isinstance(update, JobUpdate | BatchUpdate) and not update.events
