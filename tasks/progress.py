"""How far a sweep is: an engine tells its slot, now and then."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Final, TypeVar

T = TypeVar("T")

#: There is at least this much time from one message to the next, in seconds.
INTERVAL_S: Final = 0.2


class Progress:
    """Counts the points of one job after the other.

    Args:
        send: Sends a message to the slot.
        interval_s: See `INTERVAL_S`.
    """

    def __init__(self, send: Callable[[bytes], None], interval_s: float = INTERVAL_S) -> None:
        self._send = send
        self._interval_s = interval_s
        self.reset()

    def reset(self) -> None:
        """Begins with the next job, which may be no sweep."""
        self._done: int | None = None
        self._told_at = monotonic()

    def over(self, points: Iterable[T]) -> Iterator[T]:
        """The points of a sweep, of which each is done when the next is asked for."""
        self._done = 0
        for point in points:
            yield point
            self._done += 1
            self._tell(self._done)

    def place(self) -> str:
        """Where an error is, such as "point 3: "; nothing if the job is no sweep."""
        return "" if self._done is None else f"point {self._done}: "

    def _tell(self, done: int) -> None:
        now = monotonic()
        if now < self._told_at + self._interval_s:
            return
        self._told_at = now
        # A slot that is gone is noticed by who sends the answer.
        with suppress(OSError):
            self._send(json.dumps({"progress": done}).encode())
