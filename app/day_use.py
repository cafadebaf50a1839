"""Who has used up their processor time of the day, and so has no turn until the next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from typing import Final, TypeAlias

from app.ports import Clock
from app.store import Store

#: The quota's name.
CPU_S_PER_DAY: Final = "cpu_s_per_day"

#: Tells who of some owners has used it up.
UsedUp: TypeAlias = Callable[[Collection[str]], Collection[str]]


def nobody(_: Collection[str]) -> Collection[str]:
    """Where there is no such quota."""
    return ()


def over_the_day(limits: Mapping[str, float], used: Mapping[str, float]) -> set[str]:
    """Owners who have used up what they may.

    Args:
        limits: Of each owner, in seconds; 0 is no limit.
        used: What owners have used, in seconds.
    """
    # Whoever has used it up exactly has used it up.
    return {owner for owner, limit in limits.items() if limit and used.get(owner, 0.0) >= limit}


class DayUse:
    """Tells it by the database, for those who ask seldom.

    Args:
        limit_s: Of everybody who has no quota of their own, in seconds.
        store: The database.
        clock: Tells the time.
    """

    def __init__(self, *, limit_s: float, store: Store, clock: Clock) -> None:
        self._limit_s = limit_s
        self._store = store
        self._clock = clock

    def __call__(self, owners: Collection[str]) -> Collection[str]:
        """Who of these has used it up.

        Raises:
            UnavailableError: The database is away.
        """
        with self._store.read() as tx:
            own = tx.usage.quotas()
            limits = {each: own.get(each, {}).get(CPU_S_PER_DAY, self._limit_s) for each in owners}
            if not any(limits.values()):
                return ()
            return over_the_day(limits, tx.usage.cpu_s(self._clock().astimezone(UTC).date()))
