"""How long a client waits for room in a quota."""

from __future__ import annotations

import logging
from random import uniform
from time import monotonic
from typing import Final

from qdispatch.errors import QuotaError

#: Tells of the waiting: somebody may wonder why nothing happens.
log: Final = logging.getLogger("qdispatch.quota")

_SHORTEST_S: Final = 0.1
# In seconds. With much more, nobody can sleep.
_LONGEST_S: Final = 1e9
# Who comes back a little later than told, and not with everybody else.
_LATER: Final = 0.25
_MOST_LATER_S: Final = 30.0


class Room:
    """The waiting of one call.

    Args:
        longest_s: How long it may wait in all, in seconds from the first refusal.
        limit: What says so, for the message.
    """

    def __init__(self, longest_s: float, limit: str) -> None:
        self._longest_s = min(longest_s, _LONGEST_S)
        self._limit = limit
        self._until: float | None = None

    def pause_after(self, error: QuotaError) -> float:
        """How long to wait, in seconds: not shorter than the server says.

        Args:
            error: The refusal.

        Raises:
            QuotaError: Waiting is of no use, or would take too long.
        """
        quota = error.quota
        if quota is None or quota.retry_after_s is None:
            raise error
        after_s = max(quota.retry_after_s, _SHORTEST_S)
        now = monotonic()
        if self._until is None:
            self._until = now + self._longest_s
        left_s = self._until - now
        # Written so that no moment at all, NaN, is too late as well.
        if not after_s <= left_s:
            raise QuotaError(
                f"{error.message}; this client waits for {self._longest_s:g} s at the most"
                f" ({self._limit})",
                field=error.field,
                quota=quota,
            )
        later_s = uniform(0, min(_LATER * after_s, _MOST_LATER_S))  # noqa: S311
        pause_s = min(after_s + later_s, left_s)
        log.warning("over quota %s: waiting %s s", quota, _figure(pause_s))
        return pause_s


def _figure(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"
