"""Canceling jobs: what becomes of each, and whether its worker has stopped it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final
from uuid import UUID

from app.ports import Clock, Dispatcher
from app.programs import Programs
from app.rows import JobRow
from app.store import Store, Transaction
from qdispatch.errors import UnavailableError
from qdispatch.model import CancelVerdict, JobStatus

# How often a cancellation looks for the workers' confirmations, in seconds.
_CONFIRMED_S: Final = 0.02
# Jobs canceled in one transaction.
_BATCH: Final = 500


@dataclass(frozen=True, kw_only=True)
class End:
    """What canceling one job came to."""

    verdict: CancelVerdict
    row: JobRow


class Canceling:
    """Cancels jobs of one installation.

    Args:
        store: The database.
        programs: The program files.
        dispatcher: Tells the workers.
        clock: Tells the time.
        wait_s: How long to wait for the workers' word that jobs have stopped.
    """

    def __init__(
        self,
        *,
        store: Store,
        programs: Programs,
        dispatcher: Dispatcher,
        clock: Clock,
        wait_s: float,
    ) -> None:
        self._store = store
        self._programs = programs
        self._dispatcher = dispatcher
        self._clock = clock
        self._wait_s = wait_s

    def cancel(self, keys: Sequence[UUID]) -> dict[UUID, End]:
        """Cancels those of these jobs that are not final; the verdict on each that there is."""
        ends: dict[UUID, End] = {}
        stopping: list[UUID] = []
        for at in range(0, len(keys), _BATCH):
            with self._store.write() as tx:
                some = self._mark(tx, set(keys[at : at + _BATCH]))
            # Before the next batch, which may not go through.
            self._tell(some, CancelVerdict.REMOVED_FROM_QUEUE, running=False)
            stopping += self._tell(some, CancelVerdict.STOPPING, running=True)
            ends |= some
        return ends | self._confirmed(stopping)

    def _tell(
        self, ends: Mapping[UUID, End], verdict: CancelVerdict, *, running: bool
    ) -> list[UUID]:
        """Tells the workers of the jobs with this verdict; returns which these are."""
        keys = [key for key, end in ends.items() if end.verdict is verdict]
        if keys:
            self._dispatcher.revoke(keys, running=running)
        for key in keys:
            self._programs.delete(key)
        return keys

    def _mark(self, tx: Transaction, left: set[UUID]) -> dict[UUID, End]:
        ends: dict[UUID, End] = {}
        now = self._clock()
        while left:
            for held, verdict in (
                (JobStatus.PENDING, CancelVerdict.REMOVED_FROM_QUEUE),
                (JobStatus.RUNNING, CancelVerdict.STOPPING),
            ):
                rows = tx.cancel(left, held, now=now)
                ends |= {row.id: End(verdict=verdict, row=row) for row in rows}
                left -= ends.keys()
            rows = tx.jobs(left) if left else []
            final = {row.id: row for row in rows if row.status.is_final}
            ends |= {key: End(verdict=_late(row), row=row) for key, row in final.items()}
            # The others have gone from running back to pending in between.
            left = {row.id for row in rows} - final.keys()
        return ends

    def _confirmed(self, keys: Iterable[UUID]) -> dict[UUID, End]:
        """Waits a little for the workers' word that these jobs have stopped."""
        until = monotonic() + self._wait_s
        stopped: dict[UUID, End] = {}
        left = set(keys)
        while left and monotonic() < until:
            sleep(_CONFIRMED_S)
            try:
                with self._store.read() as tx:
                    rows = tx.jobs(left)
            except UnavailableError:
                # They are canceled; that nobody can be asked now changes nothing.
                break
            for row in rows:
                if row.stopped_at is not None:
                    stopped[row.id] = End(verdict=CancelVerdict.STOPPED_RUNNING, row=row)
            left -= stopped.keys()
        return stopped


def _late(row: JobRow) -> CancelVerdict:
    """On a job that was final before; it may have been canceled by the same call's first try."""
    unconfirmed = row.status is JobStatus.CANCELED and row.lease_until is not None
    return CancelVerdict.STOPPING if unconfirmed else CancelVerdict.TOO_LATE
