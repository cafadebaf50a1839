"""Calls that come together are answered together.

A commit costs the same for one job and for thirty, and so does a question to the
database. The first call that comes goes at once; what comes while it is under way
is the next group. A call that is alone so waits for nobody.

Another group goes beside the one that is under way only if both are halves: of many,
and this one no smaller. Small pieces cost nearly as much as the whole, each; but while
one half waits for the disk, the other can use the processor. One that takes many bytes,
and may take long, is waited for by nobody.

Who was answered in a group often comes again at once. The next group therefore
rests for as long as the last one took, or until all have come that are known of: as
PostgreSQL does with its commits, if `commit_delay` is set.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from qdispatch.errors import UnavailableError

Q = TypeVar("Q")
A = TypeVar("A")

#: Answers a group: for each question its answer, or why there is none.
Answering: TypeAlias = Callable[[Sequence[Q]], Sequence[A | Exception]]

#: The longest that a group rests, in seconds.
REST_S: Final = 0.005

#: The most questions in a group, and what they may take together, in bytes.
MOST: Final = 32
MOST_BYTES: Final = 8 * 2**20

#: So many go beside another group.
HALF: Final = MOST // 2

#: A group of so many bytes is not waited for.
LARGE_BYTES: Final = 2**18


@dataclass(kw_only=True, eq=False)
class _Waiting(Generic[Q, A]):
    question: Q
    size: int
    answer: asyncio.Future[A]
    begun: bool = False


class Grouping(Generic[Q, A]):
    """Questions of one kind, on their way from an event loop to threads and back.

    Args:
        answering: Answers a group, in a thread. If it fails in a way that is not
            every question's own (only UnavailableError is), it is asked for each alone.
        threads: Where.
        at_once: How many groups are under way at the same time, at the most.
        rest_s: How long the next group rests, in seconds, by how long the last one took.
        ends: Whether who asks hears what has become of it, once its group is under way,
            even if they are canceled meanwhile.
    """

    def __init__(
        self,
        answering: Answering[Q, A],
        threads: Executor,
        *,
        at_once: int,
        rest_s: Callable[[float], float] = lambda took_s: min(took_s, REST_S),
        ends: bool = False,
    ) -> None:
        self._answering = answering
        self._threads = threads
        self._at_once = at_once
        self._under_way: list[Sequence[_Waiting[Q, A]]] = []
        self._rest_s = rest_s
        self._ends = ends
        self._waiting: deque[_Waiting[Q, A]] = deque()
        self._begins = False
        self._rest: asyncio.TimerHandle | None = None
        # So many end the rest.
        self._enough = 1

    async def ask(self, question: Q, size: int = 0) -> A:
        """The answer to a question; from the event loop only.

        Args:
            question: The question.
            size: What it takes, in bytes.

        Raises:
            Exception: Whatever there is instead of an answer.
        """
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Q, A] = _Waiting(
            question=question, size=size, answer=loop.create_future()
        )
        self._waiting.append(waiting)
        if not self._begins:
            # Not at once: others may have come in the same round of the loop.
            self._begins = True
            loop.call_soon(self._begin, loop)
        try:
            while True:
                try:
                    # Whoever is canceled leaves the answer as it is: it may be here in
                    # the same round of the loop, and comes once.
                    return await asyncio.shield(waiting.answer)
                except asyncio.CancelledError:
                    if not waiting.begun:
                        # Who comes and goes must not leave questions behind that pile up.
                        with suppress(ValueError):
                            self._waiting.remove(waiting)
                    if not (self._ends and waiting.begun):
                        waiting.answer.cancel()
                        raise
        finally:
            # An error has this frame, which would keep it: and the question, which may
            # be large, with it.
            del waiting

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._begins = False
        if self._rest is not None:
            if len(self._waiting) < min(self._enough, MOST):
                return
            self._end_rest()
        while self._may_begin() and (group := self._next()):
            self._under_way.append(group)
            self._threads.submit(self._work, group, loop, loop.time())

    def _may_begin(self) -> bool:
        if not self._under_way:
            return True
        if len(self._under_way) == self._at_once:
            return False
        others = [each for group in self._under_way for each in group]
        if _size(others) >= LARGE_BYTES or _size(self._waiting) >= MOST_BYTES:
            return True
        return len(self._waiting) >= max(HALF, len(others))

    def _end_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._end_rest()
        self._begin(loop)

    def _next(self) -> list[_Waiting[Q, A]]:
        group: list[_Waiting[Q, A]] = []
        size = 0
        while self._waiting and len(group) < MOST:
            size += self._waiting[0].size
            if group and size > MOST_BYTES:
                break
            waiting = self._waiting.popleft()
            # Its caller may have given up.
            if not waiting.answer.done():
                waiting.begun = True
                group.append(waiting)
        return group

    def _end(
        self,
        group: Sequence[_Waiting[Q, A]],
        answers: Sequence[A | Exception],
        loop: asyncio.AbstractEventLoop,
        began: float,
    ) -> None:
        self._under_way.remove(group)
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
        self._end_rest()
        if len(group) > 1:
            self._enough = len(group) + len(self._waiting)
            rest_s = self._rest_s(loop.time() - began)
            self._rest = loop.call_later(rest_s, self._wake, loop)
        self._begin(loop)

    # -- in a thread

    def _work(
        self, group: Sequence[_Waiting[Q, A]], loop: asyncio.AbstractEventLoop, began: float
    ) -> None:
        answers = self._answers([each.question for each in group])
        try:
            loop.call_soon_threadsafe(self._end, group, answers, loop, began)
        except RuntimeError:
            # The loop was closed, and with it every call.
            return

    def _answers(self, questions: Sequence[Q]) -> Sequence[A | Exception]:
        try:
            return self._answering(questions)
        except UnavailableError as error:
            return [error] * len(questions)
        except Exception as error:  # noqa: BLE001 - handed to the one whose it is
            if len(questions) == 1:
                return [error]
        # One of them is the cause, and the others shall not suffer for it.
        return [answer for each in questions for answer in self._answers([each])]


def _size(some: Iterable[_Waiting[Any, Any]]) -> int:
    return sum(each.size for each in some)
