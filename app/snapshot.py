"""What is read again and again, so that nobody has to wait for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic
from typing import Final, Generic, TypeVar

from qdispatch.errors import UnavailableError

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long what was read last is good for while it cannot be read, in seconds.
PATIENCE_S: Final = 60.0
#: It is not read more often than this, however many want it anew, in seconds.
SOONEST_S: Final = 0.25


class Snapshot(Generic[T]):
    """A value that a thread of its own keeps fresh.

    Args:
        read: Reads it; may raise UnavailableError.
        name: Of what it is, for errors and the log: "the tokens".
        every_s: How often, in seconds.
        patience_s: How long it is good for while it cannot be read, in seconds.
        soonest_s: How long after it was read it is read anew, at the earliest, in seconds.
    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        name: str,
        every_s: float,
        patience_s: float = PATIENCE_S,
        soonest_s: float = SOONEST_S,
    ) -> None:
        self._read = read
        self._name = name
        self._every_s = every_s
        self._patience_s = patience_s
        self._soonest_s = soonest_s
        # Value and moment change together.
        self._last: tuple[T, float] | None = None
        self._is_fresh = False
        self._condition = Condition()
        self._waiting: list[Callable[[], None]] = []
        self._closed = False
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Reads it, and goes on doing so."""
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Ends the reading."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def is_fresh(self) -> bool:
        """Whether it could be read when that was last tried."""
        return self._is_fresh

    def value(self) -> T:
        """What was read last.

        Raises:
            UnavailableError: That is too long ago.
        """
        last = self._last
        if last is None or monotonic() > last[1] + self._patience_s:
            raise UnavailableError(f"{self._name} cannot be read for now; try again")
        return last[0]

    def renew(self, then: Callable[[], None]) -> None:
        """Has it read anew.

        Args:
            then: Called once it was, or could not be, by a reading that began after
                this call; by another thread, and must not wait.
        """
        with self._condition:
            closed = self._closed
            if not closed:
                self._waiting.append(then)
                self._condition.notify()
        if closed:
            then()

    def _run(self) -> None:
        while True:
            with self._condition:
                # However many ask for it, the database has its peace.
                self._condition.wait_for(lambda: self._closed, self._soonest_s)
                rest_s = max(self._every_s - self._soonest_s, 0.0)
                self._condition.wait_for(lambda: self._closed or self._waiting, rest_s)
                waiting, self._waiting = self._waiting, []
                closed = self._closed
            if not closed:
                self._look()
            for then in waiting:
                then()
            if closed:
                return

    def _look(self) -> None:
        # When it was read is when that began: it may have changed since.
        began = monotonic()
        try:
            self._last = self._read(), began
            self._is_fresh = True
        except UnavailableError:
            # The store has logged it.
            self._is_fresh = False
        except Exception:  # noqa: BLE001 - a defect; the next reading may go well
            _log.exception("%s cannot be read", self._name)
            self._is_fresh = False
