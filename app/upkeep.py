"""Upkeep: what the sweep does for jobs that nobody else takes care of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from app.chunks import note_sent
from app.day_use import UsedUp, nobody
from app.faults import Fault, end_attempt
from app.feeding import Backlogs, sent_late
from app.jobs import Failed
from app.ports import Clock, Dispatch, Dispatcher, Queues, Sent
from app.programs import Programs
from app.rows import JobRow
from app.settings import JobSettings
from app.store import Store, Transaction
from qdispatch.errors import UnavailableError
from qdispatch.model import ErrorKind, JobStatus

#: Jobs looked at in one transaction.
BATCH: Final = 500

# A worker that was not seen for so long is not coming back, in seconds.
_FORGET_WORKER_S: Final = 3600.0
# What owners have used longer ago, nobody asks any more.
_FORGET_USAGE: Final = timedelta(days=40)


class Upkeep:
    """Closes the gaps that a crash leaves between two writes.

    Args:
        settings: How long to wait before taking something for lost.
        store: The database.
        programs: The program files.
        dispatcher: Sends again what was not sent.
        queues: Tell what was lost.
        clock: Tells the time.
        targets: Those that there are, and how many slots each has at least; jobs of
            others wait until theirs is back.
        reached_at: Since when the database is known to have been there.
        used_up: Tells who has used up the processor time of the day.
    """

    def __init__(
        self,
        *,
        settings: JobSettings,
        store: Store,
        programs: Programs,
        dispatcher: Dispatcher,
        queues: Queues,
        clock: Clock,
        targets: Mapping[str, int],
        reached_at: datetime | None = None,
        used_up: UsedUp = nobody,
    ) -> None:
        self._settings = settings
        self._store = store
        self._programs = programs
        self._dispatcher = dispatcher
        self._queues = queues
        self._clock = clock
        self._targets = targets
        self._backlogs = Backlogs(
            store=store,
            clock=clock,
            targets=targets,
            resend_after_s=settings.resend_after_s,
            used_up=used_up,
        )
        # None while it is away, and as long as nobody has looked.
        self._reached_at = reached_at

    def resend(self) -> int:
        """Sends jobs that were committed and not sent, within windows; returns how many."""
        try:
            return sent_late(self._backlogs, self._dispatcher)
        except UnavailableError:
            self._reached_at = None
            raise

    def resend_lost(self) -> int:
        """Sends jobs again whose messages the broker has lost; returns how many.

        As long as a queue holds a message for every pending job that was sent,
        nothing is lost, however slow the queue is. What is missing was lost
        or has just been taken; so only what was sent a while ago is sent
        again, the oldest first, and no more than is missing. A copy too many
        changes nothing: a job is claimed once.
        """
        sent_before = self._clock() - timedelta(seconds=self._settings.lost_after_s)
        with self._read() as tx:
            sent = tx.sent()
        lost: list[Dispatch] = []
        for target in sent.keys() & set(self._targets):
            missing = sent[target] - self._queues.length(target)
            if missing > 0:
                with self._read() as tx:
                    lost += tx.sent_before(target, sent_before, messages=missing, limit=BATCH)
        return self._send(lost)

    def _send(self, dispatches: Sequence[Dispatch]) -> int:
        for dispatch in dispatches:
            self._dispatcher.send(dispatch)
        return len(dispatches)

    def mark_sent(self, sent: Sequence[Sent]) -> None:
        """Notes what the broker has confirmed."""
        note_sent(self._store, sent, self._clock())

    def recover(self) -> int:
        """Takes jobs from workers that were not heard of; returns how many.

        Each goes back to pending, or fails when it has lost too many workers.
        While the database was away no worker could renew a lease: they get
        the time to do so before any is taken for dead.
        """
        lapsed = self._lapsed()
        for row in lapsed:
            if row.status is JobStatus.CANCELED:
                with self._store.write() as tx:
                    tx.end_lease(row.id, row.attempt, lapsed=self._clock())
            else:
                self._take_back(row)
        return len(lapsed)

    def _lapsed(self) -> list[JobRow]:
        now = self._clock()
        with self._read() as tx:
            lapsed = tx.lapsed(now)
        if self._reached_at is None:
            self._reached_at = now
        # Workers renew three times in a lease.
        back_for = now - self._reached_at
        return lapsed if back_for >= timedelta(seconds=self._settings.lease_s / 3) else []

    @contextmanager
    def _read(self) -> Iterator[Transaction]:
        try:
            with self._store.read() as tx:
                yield tx
        except UnavailableError:
            self._reached_at = None
            raise

    def _take_back(self, row: JobRow) -> None:
        now = self._clock()
        fault = Fault(job_id=row.id, attempt=row.attempt, faults=row.faults + 1, lapsed=now)
        with self._store.write() as tx:
            row_now = end_attempt(
                tx,
                fault,
                settings=self._settings,
                now=now,
                last=lambda faults: _lost(row.worker, faults),
            )
        if row_now is not None and row_now.status.is_final:
            self._programs.delete(row.id)

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

    def forget_workers(self) -> int:
        """Removes what workers that died have left in the database; returns how many.

        One that lives reports every few seconds.
        """
        before = self._clock() - timedelta(seconds=_FORGET_WORKER_S)
        with self._store.write() as tx:
            return tx.forget_workers(before)

    def forget_usage(self) -> int:
        """Removes what owners have used long ago; returns how many rows that were."""
        before = self._clock().astimezone(UTC).date() - _FORGET_USAGE
        with self._store.write() as tx:
            return tx.usage.forget(before)


def _batches(job_ids: list[UUID]) -> Iterable[list[UUID]]:
    return (job_ids[at : at + BATCH] for at in range(0, len(job_ids), BATCH))


def _lost(worker: str, faults: int) -> Failed:
    return Failed(
        kind=ErrorKind.WORKER_LOST,
        message=f"worker {worker} was not heard of again, and {faults} attempts at this job"
        " have ended so or in a crash; submit it anew if you think that it is not to blame",
    )
