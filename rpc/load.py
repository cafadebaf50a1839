"""How much of the server its callers take, all together and each of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Final, Self

from app.quotas import Quotas
from app.refused import SOON_S, over
from qdispatch.errors import QuotaError

#: A message that has not come after so long, in seconds, takes what one may take at
#: the most until it has: it may be large, and nobody knows how much of it is here.
SLOW_S: Final = 1.0

#: Whether it has come is looked at once more after so long, in seconds: the event loop
#: may have been busy itself.
_AGAIN_S: Final = 0.1

#: Streams of requests that are open, all together: each may have one on its way that
#: is as large as any.
MAX_CONVERSATIONS: Final = 8


class Share:
    """Counts what is under way, of all owners and of each.

    Whoever has nothing of it may have one thing, however large, as long as there is room
    beside what others have.

    Args:
        name: Of the setting that says how much there may be.
        most: How much there may be.
        halved: Whether one owner has half of it at the most.
    """

    def __init__(self, name: str, most: int, *, halved: bool) -> None:
        self._name = name
        self._most = most
        self._most_own = max(1, most // 2) if halved else most
        self._own: Counter[str] = Counter()
        self._all = 0

    def take(self, owner: str, number: int = 1) -> None:
        """Takes so much.

        Raises:
            QuotaError: There is not so much left.
        """
        own = self._own[owner]
        if self._all and self._all + number > self._most:
            raise over(self._name, self._most, self._all + number, SOON_S)
        if own and own + number > self._most_own:
            raise over(self._name, self._most_own, own + number, SOON_S)
        self._own[owner] += number
        self._all += number

    def give(self, owner: str, number: int = 1) -> None:
        """Gives so much back."""
        self._all -= number
        self._own[owner] -= number
        if not self._own[owner]:
            del self._own[owner]


class Load:
    """Counts calls and streams that are under way; in the event loop only.

    What waits for a thread, or for others to make a group with, is a call under way:
    so that bounds both.

    Args:
        quotas: Of owners, who have streams.
        max_calls: The most calls under way.
        max_bytes: The most that their messages may take.
        max_message_bytes: The most that one message may take as it comes.
        tells_apart: Whether owners are told apart, whatever they are called. Then one has
            half of the calls, and of the bytes, at the most: what one of them does not end
            is not in the others' way.
    """

    def __init__(
        self,
        quotas: Quotas,
        *,
        max_calls: int,
        max_bytes: int,
        max_message_bytes: int,
        tells_apart: bool,
    ) -> None:
        self._quotas = quotas
        self._calls = Share("server.max_calls", max_calls, halved=tells_apart)
        self._bytes = Share("server.max_bytes_under_way", max_bytes, halved=tells_apart)
        self._max_message_bytes = max_message_bytes
        self._conversations = 0

    @contextmanager
    def call(self, owner: str) -> Iterator[None]:
        """A call, from when it was let in to its answer.

        Raises:
            QuotaError: There are too many.
        """
        self._calls.take(owner)
        try:
            yield
        finally:
            self._calls.give(owner)

    def stream(self, owner: str) -> AbstractContextManager[None]:
        """A stream, from when it was let in to its end; see `Quotas.stream`."""
        return self._quotas.stream(owner)

    @contextmanager
    def conversation(self, owner: str) -> Iterator[None]:
        """A stream of requests, from when it was let in to its end.

        Raises:
            QuotaError: There are too many.
        """
        with self.stream(owner):
            if self._conversations >= MAX_CONVERSATIONS:
                raise QuotaError(
                    f"{MAX_CONVERSATIONS} streams of requests are open already: come back later"
                )
            self._conversations += 1
            try:
                yield
            finally:
                self._conversations -= 1

    def message(self, owner: str) -> Portion:
        """What the message of a call takes, from when it begins to come to the end."""
        return Portion(self._bytes, owner, self._max_message_bytes)


class Portion:
    """What one message takes; to be used in a `with`, which gives it back.

    Args:
        share: Of what.
        owner: Whose it is.
        longest: The most that it may take as it comes.
    """

    def __init__(self, share: Share, owner: str, longest: int) -> None:
        self._share = share
        self._owner = owner
        self._longest = longest
        self._size = 0
        self._refusal: QuotaError | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.takes(0)

    def takes(self, size: int) -> None:
        """Says how much it takes now, in bytes.

        Raises:
            QuotaError: There is not so much left; it takes nothing then.
        """
        if self._size:
            self._share.give(self._owner, self._size)
            self._size = 0
        if size:
            self._share.take(self._owner, size)
            self._size = size

    async def read(self, context: Any) -> Any:
        """The message, or grpc's EOF.

        Args:
            context: Of the call.

        Raises:
            QuotaError: It is slow, and there is no room for what it may be.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        canceled = task.cancelling() if task else 0
        self._timer = loop.call_later(SLOW_S, self._wait, loop, task, _AGAIN_S)
        try:
            return await context.read()
        except asyncio.CancelledError:
            if task and self._refusal and task.uncancel() <= canceled:
                raise self._refusal from None
            raise
        finally:
            self._timer.cancel()

    def _wait(
        self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None, again_s: float
    ) -> None:
        try:
            self.takes(self._longest)
        except QuotaError as error:
            if again_s:
                self._timer = loop.call_later(again_s, self._wait, loop, task, 0)
            elif task:
                self._refusal = error
                task.cancel()
