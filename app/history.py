"""What becomes of jobs that have ended: they are kept, until they are deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.ports import Clock
from app.settings import HistorySettings
from app.store import Store
from app.store_history import PastJob
from qdispatch.errors import JobActiveError, JobNotFoundError

#: Jobs read, or deleted at most, in one transaction.
BATCH: Final = 500

#: Results deleted in one transaction, in bytes, unless one job has more.
BATCH_BYTES: Final = 64 * 2**20

#: Jobs deleted in one call of `trim`, about: whoever calls has other things to do.
MOST: Final = 10 * BATCH

_BEFORE_ALL: Final = UUID(int=0)


class History:
    """The jobs of one installation that have ended.

    Args:
        settings: How long, and how much of it, to keep.
        store: The database.
        clock: Tells the time.
    """

    def __init__(self, *, settings: HistorySettings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock

    def delete(self, job_id: UUID, sees: str | None = None) -> None:
        """Deletes a final job with its results, for good.

        Args:
            job_id: The job.
            sees: Whose jobs there are for the caller; None for everybody's.

        Raises:
            JobNotFoundError: There is none of that id.
            JobActiveError: It is not final.
        """
        while True:
            with self._store.write() as tx:
                if tx.history.delete([job_id], owner=sees):
                    return
                row = tx.job(job_id, sees)
            if row is None:
                raise JobNotFoundError(f"there is no job {job_id}", field="id")
            # It may have ended in between.
            if not row.status.is_final:
                raise JobActiveError(
                    f"job {job_id} is {row.status}: cancel it first, or wait for its end",
                    field="id",
                )

    def trim(self) -> int:
        """Deletes what is too old, and what is too much, oldest first; returns how many.

        What is left to delete after one call is for the next.
        """
        deleted = 0
        for jobs in self._to_go():
            for some in _batches(jobs):
                with self._store.write() as tx:
                    deleted += tx.history.delete(some)
            if deleted >= MOST:
                break
        return deleted

    def _to_go(self) -> Iterator[list[PastJob]]:
        if self._settings.max_age_days:
            before = self._clock() - timedelta(days=self._settings.max_age_days)
            yield from self._older(before)
        if self._settings.max_bytes:
            with self._store.read() as tx:
                excess = tx.history.result_bytes() - self._settings.max_bytes
            yield from self._oldest(excess)

    def _older(self, before: datetime) -> Iterator[list[PastJob]]:
        """Those that had ended by a moment."""
        for page in self._pages():
            yield [each for each in page if each.finish_time and each.finish_time < before]
            if page[-1].created_at >= before:
                return

    def _oldest(self, excess: int) -> Iterator[list[PastJob]]:
        """The oldest ones, as many as have so many bytes of results between them."""
        for page in self._pages():
            going = []
            for job in page:
                if excess <= 0:
                    break
                if job.status.is_final:
                    going.append(job)
                    excess -= job.result_bytes
            yield going
            if excess <= 0:
                return

    def _pages(self) -> Iterator[list[PastJob]]:
        """All jobs in the order of their ids, which is that of their age."""
        after = _BEFORE_ALL
        while True:
            with self._store.read() as tx:
                page = tx.history.oldest(after, BATCH)
            if not page:
                return
            yield page
            after = page[-1].id


def _batches(jobs: Iterable[PastJob]) -> Iterator[list[UUID]]:
    batch: list[UUID] = []
    size = 0
    for job in jobs:
        if batch and size + job.result_bytes > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(job.id)
        size += job.result_bytes
    if batch:
        yield batch
