"""Who watches, and remembers what was told."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition

from qdispatch.errors import QDispatchError
from qdispatch.model import JobEvent
from qdispatch.updates import BatchUpdate, JobUpdate

_LONG_S = 20.0


class Told:
    """What one watcher was told; it is the function that tells."""

    def __init__(self) -> None:
        self.updates: list[JobUpdate | BatchUpdate] = []
        self.ended = False
        self.error: QDispatchError | None = None
        self._condition = Condition()

    def __call__(self, update: JobUpdate | BatchUpdate | QDispatchError | None) -> None:
        with self._condition:
            assert not self.ended, f"told {update} after the end"
            if update is None or isinstance(update, QDispatchError):
                self.ended, self.error = True, update
            else:
                self.updates.append(update)
            self._condition.notify_all()

    def until(self, true: Callable[[], object]) -> None:
        """Waits until something is true of what was told."""
        with self._condition:
            assert self._condition.wait_for(true, _LONG_S), (self.updates, self.error)

    def end(self) -> QDispatchError | None:
        """Waits for the end; the error that it came with."""
        self.until(lambda: self.ended)
        return self.error

    def times(self, number: int) -> None:
        """Waits for so many updates."""
        self.until(lambda: len(self.updates) >= number)

    @property
    def events(self) -> list[JobEvent]:
        """Of a job, all that were told."""
        return [each for update in list(self.updates) for each in update.events]

    def events_at(self, place: int) -> list[JobEvent]:
        """Of the job of a batch with this place."""
        updates = [each for each in list(self.updates) if isinstance(each, BatchUpdate)]
        events = [each for update in updates for each in update.events]
        return [each.event for each in events if each.batch_index == place]
