"""Says when something has come into a folder, in the kernel's words (inotify).

For the consumers of the embedded broker; see `tasks.transport`. The order is what
keeps messages: a folder is watched before it is looked into, and what comes
between a look and a wait ends the wait. So nothing waits for the next look, and
who waits takes no processor time.

Where the kernel gives no watch, because its limits are reached or it has no
inotify, folders are looked into every `POLL_S`.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from inotify_simple import INotify, flags

_log = logging.getLogger(__name__)

#: How often folders are looked into that are not watched, in seconds.
POLL_S: Final = 0.01
#: How often an event loop looks without a word, in seconds: for what dead
#: connections held, and for queues that were deleted and are there again.
SLOW_S: Final = 0.5

# Messages come by renaming, never in any other way.
_COMES: Final = flags.MOVED_TO | flags.ONLYDIR


class Arrivals:
    """What comes into folders, for one connection.

    It belongs to the process that made it: a fork shares the kernel's object, and
    must not change what its parent hears.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._kernel: INotify | None = None
        self._polls = False
        # The kernel's number of each folder; None while it is not watched.
        self._folders: dict[Path, int | None] = {}
        self._loop: Any = None
        self._look: Callable[[], None] = _nothing
        self._look_is_due = False
        self._timers: list[Any] = []

    def add(self, folder: Path) -> None:
        """Watches a folder; to be looked into afterwards.

        Args:
            folder: It need not be there yet.
        """
        self._folders[folder] = None
        if self._kernel is None and not self._polls:
            self._open()
        self._watch()
        self.look_soon()

    def remove(self, folder: Path) -> None:
        """Watches a folder no longer."""
        number = self._folders.pop(folder, None)
        if self._kernel is not None and number is not None and self._is_own:
            with suppress(OSError):  # it ended with its folder
                self._kernel.rm_watch(number)

    def wait(self, timeout_s: float) -> None:
        """Returns when something may have come, and at the latest after a time.

        Args:
            timeout_s: That time, in seconds.
        """
        if self._polls or None in self._folders.values():
            time.sleep(min(timeout_s, POLL_S))
            self._watch()
        elif self._kernel is None:
            time.sleep(timeout_s)
        else:
            self._hear(timeout_s)

    def attach(self, loop: Any, look: Callable[[], None]) -> None:
        """Has an event loop look when something has come.

        Args:
            loop: kombu's.
            look: Takes all that is there.
        """
        self._loop, self._look = loop, look
        self._timers.append(loop.call_repeatedly(SLOW_S, self._look_without_a_word))
        self._enter_loop()

    def look_soon(self) -> None:
        """Has the event loop look, if there is one: there may be room for what has come."""
        if self._loop is None or self._look_is_due:
            return
        self._look_is_due = True
        # A timer may fail without ending the loop, and `call_soon` wakes the loop
        # from any thread.
        self._loop.call_later(0, self._look_now)
        self._loop.call_soon(_nothing)

    def close(self) -> None:
        """Hears nothing any more."""
        self._leave_loop()
        for timer in self._timers:
            timer.cancel()
        self._loop, self._look = None, _nothing
        self._folders.clear()
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None

    @property
    def _is_own(self) -> bool:
        return os.getpid() == self._pid

    def _open(self) -> None:
        try:
            # Not inherited by the programs that this process starts.
            self._kernel = INotify(inheritable=False, nonblocking=True)
        except (OSError, AttributeError) as error:  # no such function: not Linux
            self._poll_instead(error)
        else:
            self._enter_loop()

    def _watch(self) -> None:
        for folder, number in self._folders.items():
            if number is not None or self._kernel is None:
                continue
            try:
                self._folders[folder] = self._kernel.add_watch(folder, _COMES)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._poll_instead(error)

    def _hear(self, timeout_s: float) -> None:
        if self._kernel is None:
            return
        with suppress(BlockingIOError):
            for event in self._kernel.read(timeout=math.ceil(timeout_s * 1000)):
                self._note(event.wd, event.mask)
        self._watch()

    def _note(self, ended: int, mask: int) -> None:
        # A watch ends with its folder; too many words at once may hide that.
        for folder, number in self._folders.items():
            if mask & flags.Q_OVERFLOW or (mask & flags.IGNORED and number == ended):
                self._folders[folder] = None

    def _poll_instead(self, error: Exception) -> None:
        _log.warning(
            "the kernel does not tell when messages come (%s): looking every %g ms."
            " See fs.inotify.max_user_instances and max_user_watches",
            error,
            POLL_S * 1000,
        )
        self._leave_loop()
        self._polls = True
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None
        self._enter_loop()

    def _enter_loop(self) -> None:
        if self._loop is None:
            return
        if self._kernel is not None:
            self._loop.add_reader(self._kernel.fileno(), self._look_at_a_word)
        elif self._polls:
            self._timers.append(self._loop.call_repeatedly(POLL_S, self._look_now))

    def _leave_loop(self) -> None:
        if self._loop is not None and self._kernel is not None and self._is_own:
            self._loop.remove_reader(self._kernel.fileno())

    def _look_at_a_word(self) -> None:
        self._hear(0)
        self.look_soon()

    def _look_without_a_word(self) -> None:
        self._watch()
        self._look_now()

    def _look_now(self) -> None:
        self._look_is_due = False
        self._look()


def _nothing() -> None:
    """Before there is an event loop, and after."""
