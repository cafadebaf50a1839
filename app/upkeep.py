"""Upkeep: what the sweep does for jobs that nobody else takes care of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.jobs import Failed
from app.ports import Clock, Dispatch, Dispatcher
from app.programs import Programs
from app.settings import JobSettings
from app.store import Store
from qdispatch.model import ErrorKind

#: Jobs looked at in one transaction.
BATCH: Final = 500


class Upkeep:
    """Closes the gaps that a crash leaves between two writes.

    Args:
        settings: How long to wait before taking something for lost.
        store: The database.
        programs: The program files.
        dispatcher: Sends again what was not sent.
        clock: Tells the time.
    """

    def __init__(
        self,
        *,
        settings: JobSettings,
        store: Store,
        programs: Programs,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._programs = programs
        self._dispatcher = dispatcher
        self._clock = clock

    def resend(self) -> int:
        """Sends jobs that were committed and not sent; returns how many."""
        before = self._clock() - timedelta(seconds=self._settings.resend_after_s)
        with self._store.read() as tx:
            unsent: list[Dispatch] = tx.unsent(before, BATCH)
        for dispatch in unsent:
            self._dispatcher.send(dispatch)
        return len(unsent)

    def mark_sent(self, sent: Sequence[Dispatch]) -> None:
        """Notes that the broker has the messages for these jobs."""
        with self._store.write() as tx:
            tx.mark_sent(sent, self._clock())

    def recover(self) -> int:
        """Takes jobs from workers that were not heard of; returns how many.

        Each goes back to pending, or fails when it is out of attempts.
        """
        now = self._clock()
        with self._store.read() as tx:
            lapsed = tx.lapsed(now)
        for job_id, attempt, worker in lapsed:
            with self._store.write() as tx:
                if attempt < self._settings.max_attempts:
                    tx.hand_over(job_id, attempt)
                    continue
                row = tx.fail(job_id, _lost(worker, attempt), now=now, attempt=attempt)
            if row is not None:
                self._programs.delete(job_id)
        return len(lapsed)

    def tidy(self) -> int:
        """Removes program files without a living job; returns how many.

        A file is written before its job is committed, so a young one is left.
        """
        before = self._clock() - timedelta(seconds=self._settings.orphan_after_s)
        old = [job_id for job_id, written_at in self._programs.stored() if written_at < before]
        removed = 0
        for some in _batches(old):
            with self._store.read() as tx:
                active = tx.active_among(some)
            for job_id in set(some) - active:
                self._programs.delete(job_id)
                removed += 1
        return removed


def _batches(job_ids: list[UUID]) -> Iterable[list[UUID]]:
    return (job_ids[at : at + BATCH] for at in range(0, len(job_ids), BATCH))


def _lost(worker: str, attempts: int) -> Failed:
    return Failed(
        kind=ErrorKind.WORKER_LOST,
        message=f"worker {worker} was not heard of again, and the job has been started"
        f" {attempts} times; submit it anew if you think that it is not to blame",
    )
