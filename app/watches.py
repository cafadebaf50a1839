"""What one watcher has been told, and what there is to tell it next. No clock, no database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from app.events import events_of
from app.records import batch_of, info_of
from app.rows import BatchRow, JobRow
from app.store_lists import Life
from qdispatch.model import JobStatus
from qdispatch.updates import BatchEvent, BatchUpdate, JobUpdate, Outlook

#: What each job is expected to do; those of which nothing is known are not in it.
Outlooks: TypeAlias = Mapping[UUID, Outlook]


class Watch(Protocol):
    """A watcher's side of the jobs that it watches."""

    @property
    def keys(self) -> Collection[UUID]:
        """The jobs of which it has not been told the end."""

    def update(
        self, rows: Iterable[Any], outlooks: Outlooks | None
    ) -> JobUpdate | BatchUpdate | None:
        """What to tell, if anything.

        Args:
            rows: Those of its jobs that have changed, or may have; of a batch
                without what is long.
            outlooks: Of all jobs, if they have been looked at anew.
        """


@dataclass(kw_only=True)
class JobWatch:
    """Watches one job.

    Attributes:
        job_id: The job.
        seen: Number of the last event that was told.
    """

    job_id: UUID
    seen: int = 0
    _row: JobRow | None = None
    _outlook: Outlook = field(default_factory=Outlook)

    @property
    def keys(self) -> Collection[UUID]:
        """The job, until its end was told."""
        ended = self._row is not None and self._row.status.is_final
        return () if ended else (self.job_id,)

    def update(self, rows: Iterable[JobRow], outlooks: Outlooks | None) -> JobUpdate | None:
        """The job as it is now, if anything about it is new."""
        fresh = next(iter(rows), self._row)
        if fresh is None:
            return None
        every = events_of(fresh)
        if self._row is None:
            # The database may have been put back to an earlier moment since.
            self.seen = min(self.seen, len(every))
        events = every[self.seen :]
        outlook = self._outlook if outlooks is None else outlooks.get(self.job_id, Outlook())
        if fresh.status.is_final:
            outlook = Outlook()
        was = None if self._row is None else (self._row.status, self._row.points_done)
        if not events and was == (fresh.status, fresh.points_done) and outlook == self._outlook:
            return None
        self._row, self._outlook = fresh, outlook
        self.seen = max(self.seen, len(every))
        return JobUpdate(job=replace(info_of(fresh), events=()), events=events, outlook=outlook)


class BatchWatch:
    """Watches the jobs of a batch.

    Args:
        batch: The batch.
        jobs: Its jobs, by their places in it.
        seen: Of each place, the number of the last event that was told.
    """

    def __init__(self, batch: BatchRow, jobs: Mapping[UUID, int], seen: Mapping[int, int]) -> None:
        self._batch = batch
        self._places = dict(jobs)
        self._left = set(jobs)
        # Kept beside the statuses: a batch may have thousands, of which one changes.
        self._numbers: Counter[JobStatus] = Counter()
        self._seen = {key: seen.get(place, 0) for key, place in jobs.items()}
        self._statuses: dict[UUID, JobStatus] = {}
        self._outlook = Outlook()
        self._fresh = True

    @property
    def keys(self) -> Collection[UUID]:
        """The jobs of which the end was not told."""
        return self._left

    def gone(self, keys: Iterable[UUID]) -> None:
        """Forgets jobs that were deleted."""
        for key in keys:
            self._left.discard(key)
            self._places.pop(key, None)
            status = self._statuses.pop(key, None)
            if status is not None:
                self._numbers[status] -= 1
        self._fresh = True

    def update(self, rows: Iterable[Life], outlooks: Outlooks | None) -> BatchUpdate | None:
        """What has happened to the jobs of the batch, if anything."""
        events: list[BatchEvent] = []
        for row in rows:
            events += self._events(row)
            self._take(row.id, row.status)
        self._fresh |= bool(events)
        if outlooks is not None:
            outlook = self._expected(outlooks)
        else:
            outlook = self._outlook if self.keys else Outlook()
        if not self._fresh and outlook == self._outlook:
            return None
        self._fresh, self._outlook = False, outlook
        return BatchUpdate(
            batch=batch_of(self._batch, self._numbers), events=tuple(events), outlook=outlook
        )

    def _take(self, key: UUID, status: JobStatus) -> None:
        before = self._statuses.get(key)
        if before is status:
            return
        self._fresh = True
        self._statuses[key] = status
        self._numbers[status] += 1
        if before is not None:
            self._numbers[before] -= 1
        if status.is_final:
            self._left.discard(key)

    def _events(self, row: Life) -> Sequence[BatchEvent]:
        every = events_of(row)
        seen = self._seen[row.id]
        if row.id not in self._statuses:
            # The database may have been put back to an earlier moment since.
            seen = min(seen, len(every))
        self._seen[row.id] = max(seen, len(every))
        place = self._places[row.id]
        return [
            BatchEvent(job_id=str(row.id), batch_index=place, event=each) for each in every[seen:]
        ]

    def _expected(self, outlooks: Outlooks) -> Outlook:
        """The position and start of the first job that waits, and the finish of the last one."""
        known = [outlooks[key] for key in self.keys if key in outlooks]
        waiting = [each for each in known if each.queue_position is not None]
        first = min(waiting, key=lambda each: each.queue_position or 0, default=Outlook())
        finishes = [each.finish for each in known if each.finish is not None]
        last = max(finishes, key=lambda each: each.expected, default=None)
        return Outlook(queue_position=first.queue_position, start=first.start, finish=last)
