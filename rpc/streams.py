"""Streams that are open: none for ever, none that nobody reads, none for who is let in no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from random import uniform
from time import monotonic
from typing import Any, Final

from app.identity import Caller
from qdispatch.errors import UnavailableError
from rpc.errors import OldStreamError, StalledError

#: How often all streams are looked at, in seconds.
AGAIN_S: Final = 1.0
# So many at a time; calls have their turn in between.
_AT_ONCE: Final = 200
# Ages differ by so much: what came at once must not come back at once.
_JITTER: Final = 0.1

#: Lets the call of a context in, or raises; see `rpc.edge.Gate.admit`.
Admit = Callable[[Any], Awaitable[object]]


class Streams:
    """The streams of one server, in its event loop; one task looks after all of them.

    Args:
        admit: Says who is still let in.
        age_s: How long each may be open, in seconds, about.
        stall_s: How long its client may take nothing of what is on its way, in seconds.
    """

    def __init__(self, admit: Admit, *, age_s: float, stall_s: float) -> None:
        self._admit = admit
        self._age_s = age_s
        self._stall_s = stall_s
        self._open: set[Stream] = set()
        self._any = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def one(self, context: Any, caller: Caller) -> AsyncIterator[Stream]:
        """A stream, as long as it is open.

        Args:
            context: Of its call.
            caller: Whose it is.

        Raises:
            QDispatchError: Its caller is let in no more, or it is too old.
            StalledError: Its client has taken nothing for too long.
        """
        age_s = self._age_s * uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
        stream = Stream(self._admit, context, caller, old_at=monotonic() + age_s)
        self._open.add(stream)
        self._any.set()
        if self._task is None:
            self._task = asyncio.create_task(self._look_after())
        try:
            async with stream.waiting:
                yield stream
        except TimeoutError as error:
            if stream.end is None or not stream.waiting.expired():
                raise
            raise stream.end from error
        finally:
            self._open.discard(stream)

    async def close(self) -> None:
        """Looks after them no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look_after(self) -> None:
        while True:
            await self._any.wait()
            await asyncio.sleep(AGAIN_S)
            await self._look()
            if not self._open:
                self._any.clear()

    async def _look(self) -> None:
        # Thousands of streams may have one token.
        known: dict[str, Exception | None] = {}
        for number, stream in enumerate(tuple(self._open), 1):
            end = stream.end_by(monotonic(), self._stall_s) or await self._let_in(stream, known)
            if end is not None and stream.end is None:
                await stream.close(end)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _let_in(self, stream: Stream, known: dict[str, Exception | None]) -> Exception | None:
        token = stream.caller.token_id
        if token in known:
            return known[token]
        end: Exception | None = None
        try:
            await self._admit(stream.context)
        except UnavailableError:
            # It cannot be told for now; it was let in once.
            pass
        except Exception as error:  # noqa: BLE001 - a defect lets nobody stay, either
            end = error
        if token:
            known[token] = end
        return end


class Stream:
    """One stream.

    Args:
        admit: Says whether its caller is still let in.
        context: Of its call.
        caller: Whose it is.
        old_at: When it has been open for long enough, by the monotonic clock.

    Attributes:
        end: Why it ends before all was told.
        waiting: Ends its waiting for what there is to tell.
    """

    def __init__(self, admit: Admit, context: Any, caller: Caller, *, old_at: float) -> None:
        self._admit = admit
        self._old_at = old_at
        self._sent_at: float | None = None
        self._responses: AsyncGenerator[Any, None] | None = None
        self.context = context
        self.caller = caller
        self.end: Exception | None = None
        self.waiting = asyncio.timeout(None)

    async def tell(self, responses: AsyncGenerator[Any, None]) -> None:
        """Sends all of them to its client."""
        self._responses = responses
        async with aclosing(responses):
            async for response in responses:
                # Streams are long: who is let in no more is told no more.
                with suppress(UnavailableError):
                    await self._admit(self.context)
                self._sent_at = monotonic()
                await self.context.write(response)
                self._sent_at = None
                if self.end is not None:
                    raise self.end

    def end_by(self, now: float, stall_s: float) -> Exception | None:
        """Why it has to end by now, if it has to.

        Args:
            now: The moment, by the monotonic clock.
            stall_s: How long its client may take nothing, in seconds.
        """
        if now > self._old_at:
            return OldStreamError()
        if self._sent_at is not None and now > self._sent_at + stall_s:
            return StalledError(stall_s)
        return None

    async def close(self, end: Exception) -> None:
        """Has it end."""
        self.end = end
        if self._sent_at is None:
            self.waiting.reschedule(0)
        elif self._responses is not None:
            # What is on its way cannot be taken back, and the word of the end comes
            # behind it. What it would have told next is let go now.
            await self._responses.aclose()
