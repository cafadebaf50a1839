"""What operators do with targets: pause, drain, resume, and look at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.placement import WORKER_SEEN_S
from app.ports import Clock
from app.settings import Settings
from app.store import Store
from qdispatch.errors import UnknownTargetError
from qdispatch.model import JobStatus, TargetState


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A target as its operators see it."""

    name: str
    state: TargetState
    changed_at: datetime | None
    """When it came into this state; None if it was never in another."""
    workers: int
    """Workers that reported lately."""
    running: int
    """Jobs that run."""
    waiting: int
    """Jobs that are pending."""


class TargetControl:
    """The targets of one installation.

    Args:
        settings: Which there are.
        store: The database.
        clock: Tells the time.
    """

    def __init__(self, *, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock

    def set_state(self, name: str, state: TargetState) -> None:
        """Puts a target into a state, from the moment on that this returns.

        Args:
            name: Of the target.
            state: Active: it accepts jobs and runs them. Paused: it accepts
                jobs and starts none. Drained: it accepts none, and runs those
                that it has.

        Raises:
            UnknownTargetError: There is none of that name.
        """
        self._check(name)
        with self._store.write() as tx:
            tx.targets.set_state(name, state, self._clock())

    def states(self) -> list[Standing]:
        """Every target, in the order of the settings."""
        with self._store.read() as tx:
            states, changes = tx.targets.states(), tx.targets.changes()
            load = tx.load()
            workers = tx.workers(self._clock() - timedelta(seconds=WORKER_SEEN_S))
        return [
            Standing(
                name=name,
                state=states.get(name, TargetState.ACTIVE),
                changed_at=changes.get(name),
                workers=workers.get(name, (0, 0))[0],
                running=load.get((name, JobStatus.RUNNING), 0),
                waiting=load.get((name, JobStatus.PENDING), 0),
            )
            for name in self._settings.targets
        ]

    def requeue(self, name: str | None = None) -> int:
        """Has the sweep send pending jobs again, whatever was sent before; returns how many.

        A job whose message is still there has two of them then, of which one
        does nothing.

        Args:
            name: Of their target; None for all targets.

        Raises:
            UnknownTargetError: There is none of that name.
        """
        if name is not None:
            self._check(name)
        with self._store.write() as tx:
            return tx.targets.requeue(name)

    def _check(self, name: str) -> None:
        if name not in self._settings.targets:
            known = ", ".join(sorted(self._settings.targets))
            raise UnknownTargetError(f"there is no target {name!r}; there are: {known}")
