"""What waits in memory to be sent: answers, and the results that streams read from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.identity import Caller
from rpc.load import Share
from rpc.pieces import PIECE_BYTES

#: What is sent is there encoded, and on its way.
COPIES: Final = 2
#: What a stream itself takes: its piece is there as a message, too.
STREAM_BYTES: Final = (COPIES + 1) * PIECE_BYTES
#: Answers of up to so many bytes are not counted: a call takes as much by itself.
SMALL_BYTES: Final = 4 * 2**10


class ToSend(Share):
    """Counts the bytes that wait to be sent, of all owners and of each.

    Args:
        most: How many there may be.
        tells_apart: Whether owners are told apart. Then one has half of them at the most.
    """

    def __init__(self, most: int, *, tells_apart: bool) -> None:
        super().__init__("server.max_bytes_to_send", most, halved=tells_apart)

    def answer(self, owner: str, size: int, context: Any) -> None:
        """Has room for an answer until its call is over: until its client has taken it.

        Args:
            owner: Who has asked.
            size: Bytes of the answer.
            context: Of its call.

        Raises:
            QuotaError: There is not so much now.
        """
        if size > SMALL_BYTES:
            self.take(owner, COPIES * size)
            context.add_done_callback(lambda _: self.give(owner, COPIES * size))


class Shelf:
    """Results in memory, each for as long as somebody reads it; in the event loop only.

    Args:
        threads: Where results are read from the database.
        room: For results, and for what streams take themselves.
    """

    def __init__(self, threads: Executor, room: ToSend) -> None:
        self._threads = threads
        self._room = room
        self._results: dict[UUID, _Result] = {}

    @asynccontextmanager
    async def reading(
        self, job_id: UUID, caller: Caller, size: int, read: Callable[[], Sequence[bytes]]
    ) -> AsyncIterator[Sequence[bytes]]:
        """The results of a job, as long as somebody reads them.

        Args:
            job_id: The job, which the caller may see.
            caller: Who reads.
            size: How many bytes they are.
            read: Reads them from the database.

        Raises:
            QuotaError: There is no room for them now.
        """
        result = self._results.get(job_id)
        self._room.take(caller.owner, STREAM_BYTES + (size if result is None else 0))
        if result is None:
            values = asyncio.wrap_future(self._threads.submit(read))
            result = _Result(owner=caller.owner, size=size, values=values)
            self._results[job_id] = result
        result.readers += 1
        try:
            # Others may wait for it as well.
            yield await asyncio.shield(result.values)
        finally:
            self._room.give(caller.owner, STREAM_BYTES)
            result.readers -= 1
            if not result.readers:
                del self._results[job_id]
                self._drop(result)

    def _drop(self, result: _Result) -> None:
        def drop(values: asyncio.Future[Sequence[bytes]]) -> None:
            # What went wrong, if anything, is told to whoever waited for it.
            values.exception()
            self._room.give(result.owner, result.size)

        if result.values.done():
            drop(result.values)
        else:
            # A thread still reads it.
            result.values.add_done_callback(drop)


@dataclass(eq=False, kw_only=True, slots=True)
class _Result:
    owner: str
    """Who was the first to read it."""
    size: int
    values: asyncio.Future[Sequence[bytes]]
    readers: int = 0
