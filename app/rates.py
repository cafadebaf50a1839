"""How often somebody has done something in the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Final

_MINUTE_S: Final = 60.0
# What comes within this time is kept as one number, in seconds.
_STEP_S: Final = 0.25


class Rates:
    """Counts, owner by owner, over the minute that ends now; of this process alone.

    Args:
        timer: Tells how much time has passed.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._lock = Lock()
        self._minutes: dict[str, _Minute] = {}
        self._tidy_at = timer() + _MINUTE_S

    def take(self, owner: str, limit: float, more: int = 1) -> tuple[int, float | None]:
        """Counts so many more, if there may be so many more; all of them or none.

        Args:
            owner: Whose.
            limit: The most in a minute, at least 1.
            more: How many.

        Returns:
            How many there are with these; and None, or if they were not counted, in
            how many seconds there is room for them: infinity, if there never is.
        """
        with self._lock:
            now = self._timer()
            if now >= self._tidy_at:
                self._tidy(now)
            minute = self._minutes.setdefault(owner, _Minute())
            minute.drop(now)
            number = minute.number + more
            if more > limit:
                return number, inf
            if number > limit:
                return number, minute.room_at(limit - more) - now
            minute.add(now, more)
            return number, None

    def give_back(self, owner: str, number: int) -> None:
        """Counts so many less of those that came last."""
        with self._lock:
            if owner in self._minutes:
                self._minutes[owner].take_off(number)

    def _tidy(self, now: float) -> None:
        """Forgets those who have not come for a minute."""
        self._tidy_at = now + _MINUTE_S
        for each in self._minutes.values():
            each.drop(now)
        self._minutes = {owner: each for owner, each in self._minutes.items() if each.number}


class _Minute:
    """What came in the last minute, in steps."""

    def __init__(self) -> None:
        self.number = 0
        # When each began, and how much came in it.
        self._steps: deque[tuple[float, int]] = deque()

    def add(self, now: float, more: int) -> None:
        """Counts so many more."""
        self.number += more
        began, number = self._steps[-1] if self._steps else (now - _STEP_S, 0)
        if now < began + _STEP_S:
            self._steps[-1] = began, number + more
        else:
            self._steps.append((now, more))

    def take_off(self, number: int) -> None:
        """Counts so many less, the last first."""
        while number > 0 and self._steps:
            began, had = self._steps.pop()
            less = min(number, had)
            number -= less
            self.number -= less
            if had > less:
                self._steps.append((began, had - less))

    def room_at(self, most: float) -> float:
        """When there are so many at the most, if no more come."""
        left = self.number
        for began, number in self._steps:
            left -= number
            if left <= most:
                return _over_at(began)
        return _over_at(self._steps[-1][0])

    def drop(self, now: float) -> None:
        """Forgets what is longer ago."""
        while self._steps and _over_at(self._steps[0][0]) <= now:
            self.number -= self._steps.popleft()[1]


def _over_at(began: float) -> float:
    """When a step is over: rather a little more than a minute than less."""
    return began + _STEP_S + _MINUTE_S
