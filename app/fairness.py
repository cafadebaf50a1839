"""Whose turn it is: windows of messages, and how urgent each message is.

Nothing here knows a database or a broker. Each owner has a window of messages at each
target; what is beyond it waits in the database. The broker has ten levels and, within
one, takes who came first. A message's level falls with what its owner has out already,
and with the time that they had beyond the one who had least while waiting (start-time
fair queueing, Goyal, Vin and Cheng, 1996, on ten levels). So a newcomer goes before
whoever has much out, and who comes back again and again cannot keep others from it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

#: A target and an owner.
Key: TypeAlias = tuple[str, str]

#: The most urgent level of a message; the least is 0.
MOST_URGENT: Final = 9

#: Messages in a window, for each slot of the target.
PER_SLOT: Final = 8

# What a job is charged that was heard of once, in seconds: a short one.
_SHORT_S: Final = 0.01
# Seconds of service that somebody may be ahead of others for each level.
_LEVEL_S: Final = 1.0
# Jobs that are remembered after their message was taken.
_TAKEN: Final = 20_000


@dataclass(kw_only=True, eq=False)
class _Window:
    out: dict[UUID, tuple[UUID, ...]] = field(default_factory=dict)
    """Messages that no slot has taken, and their jobs."""
    level: int = MOST_URGENT
    """Of the last one that went out."""
    service_s: float = 0.0
    waits: bool = False
    """Whether there is more than went out, as far as is known."""


def urgency(out: int, size: int, ahead_s: float = 0.0) -> int:
    """How urgent an owner's next message is, from 0 to 9.

    Args:
        out: Messages that they have out.
        size: Of their window.
        ahead_s: What service they had beyond the one who had least, in seconds.
    """
    levels = (MOST_URGENT + 1) * out / size + max(0.0, ahead_s) / _LEVEL_S
    return max(0, MOST_URGENT - int(levels))


class Windows:
    """The windows of all owners at all targets.

    Args:
        size: Messages in a window of a target.
    """

    def __init__(self, size: Callable[[str], int]) -> None:
        self._size = size
        self._windows: dict[Key, _Window] = {}
        # Whose each job that is out is, and the message that carries it.
        self._carriers: dict[UUID, tuple[Key, UUID]] = {}
        # Jobs whose message a slot has taken, and when each was heard of.
        self._taken: OrderedDict[UUID, tuple[Key, float | None]] = OrderedDict()

    def room(self, key: Key) -> int:
        """How many more messages an owner may have out."""
        window = self._windows.get(key)
        return self._size(key[0]) - (0 if window is None else len(window.out))

    def is_free(self, key: Key) -> bool:
        """Whether a message may go out at once: there is room, and nobody before it."""
        window = self._windows.get(key)
        return window is None or (not window.waits and self.room(key) > 0)

    def out(self, key: Key, message: UUID, job_ids: Collection[UUID]) -> int:
        """Notes that a message goes out; returns how urgent it is."""
        window = self._windows.get(key)
        if window is None or not (window.out or window.waits):
            window = self._enter(key)
        level = urgency(len(window.out), self._size(key[0]), self._ahead_s(key))
        # An owner's own jobs keep their order.
        level = window.level = min(level, window.level) if window.out else level
        for each in job_ids:
            if each in self._carriers:
                # It goes out once more, by itself or with others.
                self._drop(each)
            self._carriers[each] = (key, message)
        window.out[message] = tuple(job_ids)
        return level

    def wait(self, key: Key) -> None:
        """Notes that an owner has more than goes out."""
        window = self._windows.get(key)
        if window is None or not (window.out or window.waits):
            window = self._enter(key)
        window.waits = True

    def wait_no_more(self, key: Key) -> None:
        """Notes that all that an owner has is out."""
        if key in self._windows:
            self._windows[key].waits = False
            self._tidy(key)

    def heard(self, job_ids: Iterable[UUID], now_s: float) -> set[Key]:
        """Notes that jobs have changed: a slot has begun them, or ended them.

        Args:
            job_ids: The jobs; those that are not known are passed over.
            now_s: The time, in seconds.

        Returns:
            Who has half of a window free now, and more to send.
        """
        changed = {key for each in job_ids if (key := self._hear(each, now_s)) is not None}
        while len(self._taken) > _TAKEN:
            self._taken.popitem(last=False)
        for key in changed:
            self._tidy(key)
        return {key for key in changed if self._is_hungry(key)}

    def hungry(self) -> list[Key]:
        """Who has half of a window free and more to send; who had least first."""
        self._forget_idle()
        hungry = [key for key in self._windows if self._is_hungry(key)]
        return sorted(hungry, key=lambda key: self._windows[key].service_s)

    def waiting(self) -> list[Key]:
        """Who has more to send."""
        return [key for key, window in self._windows.items() if window.waits]

    def jobs_out(self, key: Key) -> list[UUID]:
        """The jobs of those messages of an owner that no slot has taken."""
        window = self._windows.get(key)
        return [] if window is None else [each for some in window.out.values() for each in some]

    def _is_hungry(self, key: Key) -> bool:
        window = self._windows.get(key)
        return window is not None and window.waits and 2 * self.room(key) >= self._size(key[0])

    def _hear(self, job_id: UUID, now_s: float) -> Key | None:
        """Charges a job to its owner; returns who, if that has taken a message."""
        if job_id in self._carriers:
            key, message = self._carriers[job_id]
            for each in self._windows[key].out.pop(message):
                del self._carriers[each]
                self._taken[each] = (key, None)
            self._charge(job_id, now_s)
            return key
        self._charge(job_id, now_s)
        return None

    def _charge(self, job_id: UUID, now_s: float) -> None:
        key, heard_s = self._taken.pop(job_id, (None, None))
        if key is None:
            return
        if heard_s is None:
            self._taken[job_id] = (key, now_s)
        if key in self._windows:
            self._windows[key].service_s += _SHORT_S if heard_s is None else now_s - heard_s

    def _drop(self, job_id: UUID) -> None:
        key, message = self._carriers.pop(job_id)
        left = tuple(each for each in self._windows[key].out.pop(message) if each != job_id)
        if left:
            self._windows[key].out[message] = left

    def _enter(self, key: Key) -> _Window:
        """One who had nothing to send begins beside the one who had least."""
        window = self._windows.setdefault(key, _Window())
        window.service_s = max(window.service_s, self._least_s(key, default=0.0))
        return window

    def _ahead_s(self, key: Key) -> float:
        own = self._windows[key].service_s
        return own - self._least_s(key, default=own)

    def _least_s(self, key: Key, *, default: float) -> float:
        """What service the others had that wait at the same target: the least."""
        others = (
            window.service_s
            for other, window in self._windows.items()
            if other != key and other[0] == key[0] and (window.out or window.waits)
        )
        return min(others, default=default)

    def _forget_idle(self) -> None:
        """As `_tidy`, of all at once."""
        least: dict[str, float] = {}
        for (target, _), window in self._windows.items():
            if window.out or window.waits:
                least[target] = min(least.get(target, window.service_s), window.service_s)
        self._windows = {
            key: window
            for key, window in self._windows.items()
            if window.out or window.waits or window.service_s > least.get(key[0], float("inf"))
        }

    def _tidy(self, key: Key) -> None:
        """Forgets one who has nothing to send, unless they are ahead of somebody."""
        window = self._windows.get(key)
        if window is None or window.out or window.waits:
            return
        if window.service_s <= self._least_s(key, default=window.service_s):
            del self._windows[key]
