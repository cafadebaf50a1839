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


class CutShortError(UnavailableError):
    """The database went away while jobs were canceled: of some, or of all, it is not known.

    Attributes:
        ends: The verdict on each that was come to before.
        left_open: Those of whom it is open whether they were canceled.
    """

    def __init__(
        self, reason: str, ends: Mapping[UUID, CancelVerdict], left_open: Sequence[UUID]
    ) -> None:
        super().__init__(reason)
        self.ends = ends
        self.left_open = left_open


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

    def cancel(self, keys: Sequence[UUID], sees: str | None) -> dict[UUID, End]:
        """Cancels those of these jobs that are not final.

        Args:
            keys: The jobs.
            sees: Whose jobs there are for the caller; None for everybody's.

        Returns:
            The verdict on each that there is.

        Raises:
            CutShortError: The database went away, and some are canceled, or may be.
            UnavailableError: It is away, and nothing was done.
        """
        ends: dict[UUID, End] = {}
        stopping: list[UUID] = []
        for at in range(0, len(keys), _BATCH):
            batch = keys[at : at + _BATCH]
            begun = False
            try:
                with self._store.write() as tx:
                    begun = True
                    some = self._mark(tx, set(batch), sees)
            except UnavailableError as error:
                if not (at or begun):
                    raise
                # Who tells of what was done must not forget this.
                verdicts = {key: _verdict(ends.get(key)) for key in keys[:at]}
                raise CutShortError(str(error), verdicts, batch if begun else ()) from error
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

    def _mark(self, tx: Transaction, left: set[UUID], sees: str | None) -> dict[UUID, End]:
        ends: dict[UUID, End] = {}
        now = self._clock()
        while left:
            for held, verdict in (
                (JobStatus.PENDING, CancelVerdict.REMOVED_FROM_QUEUE),
                (JobStatus.RUNNING, CancelVerdict.STOPPING),
            ):
                rows = tx.cancel(left, held, now=now, owner=sees)
                ends |= {row.id: End(verdict=verdict, row=row) for row in rows}
                left -= ends.keys()
            rows = tx.jobs(left, {sees}) if left else []
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


def _verdict(end: End | None) -> CancelVerdict:
    return CancelVerdict.NOT_FOUND if end is None else end.verdict


def _late(row: JobRow) -> CancelVerdict:
    """On a job that was final before; it may have been canceled by the same call's first try."""
    unconfirmed = row.status is JobStatus.CANCELED and row.lease_until is not None
    return CancelVerdict.STOPPING if unconfirmed else CancelVerdict.TOO_LATE
