"""Keeps a process from forking while one of its threads uses SQLite.

A child has a copy of what SQLite notes of its process' locks. If one was held
then, the child's copy says so for ever, and its own transactions find the
database busy until it ends (https://www.sqlite.org/howtocorrupt.html, section 2.6).
A worker forks whenever a slot was killed, and its threads write at that moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final

# How long a fork waits, in seconds; who waits for another process' transaction
# may take longer, and has no lock that would harm the child's.
_WAIT_S: Final = 2.0


class _Forks:
    def __init__(self) -> None:
        self._condition = Condition()
        self._users = 0

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Nobody forks this process meanwhile."""
        with self._condition:
            self._users += 1
        try:
            yield
        finally:
            with self._condition:
                self._users -= 1
                self._condition.notify_all()

    def before(self) -> None:
        # Held until the fork is over: nobody begins meanwhile.
        self._condition.acquire()
        self._condition.wait_for(lambda: not self._users, _WAIT_S)

    def after_in_parent(self) -> None:
        self._condition.release()

    def after_in_child(self) -> None:
        self._condition = Condition()
        self._users = 0


FORKS: Final = _Forks()
os.register_at_fork(
    before=FORKS.before,
    after_in_parent=FORKS.after_in_parent,
    after_in_child=FORKS.after_in_child,
)
