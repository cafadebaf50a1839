"""What workers do with jobs: claim, renew, finish, fail; and being seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final
from uuid import UUID

from app.faults import Fault, end_attempt
from app.jobs import Claim, Failed, Finished
from app.ports import Clock
from app.programs import Programs
from app.records import spec_of
from app.rows import JobRow, WorkerRow
from app.settings import JobSettings
from app.store import Store, Transaction
from app.store_ends import Ended
from app.store_life import JobGoneError
from qdispatch.arrays import PackedPoints
from qdispatch.model import JobSpec, JobStatus

# Results from this size on may take a while to store, in bytes.
_LARGE_BYTES: Final = 2**20
# Within this time it is noted that something was sent, in seconds, with some to spare.
_NOTED_S: Final = 5.0


class _GivenAwayError(Exception):
    """Rolls a finish back: the attempt does not hold the job any more."""


class WorkService:
    """The jobs of one installation, as its workers see them.

    Args:
        store: The database.
        programs: The program files.
        clock: Tells the time.
        settings: How long a claim holds, and how many faults a job may have.
        name: Names who runs jobs by this, among all that run at the same time: what
            they take of the processor is added up under it.
    """

    def __init__(
        self,
        *,
        store: Store,
        programs: Programs,
        clock: Clock,
        settings: JobSettings,
        name: str = "",
    ) -> None:
        self._store = store
        self._programs = programs
        self._clock = clock
        self._settings = settings
        self._name = name
        self.lease_s = settings.lease_s

    def claim(self, job_id: UUID, worker: str) -> Claim | None:
        """Gives a pending job to a worker; None if it is not to be run (any more, or for now).

        A job of a paused target is for the sweep to send again after the pause.
        """
        now = self._clock()
        with self._store.once() as tx:
            row = tx.claim(job_id, worker=worker, now=now, lease_until=self._lease(now))
            if row is None:
                tx.hold_back(job_id)
                return None
            packed = tx.sweep(job_id) if row.n_points else b""
        points = PackedPoints(packed, len(row.parameters)) if row.n_points else ()
        spec = replace(spec_of(row), parameter_values=points)
        return _claim(row, spec)

    def claim_many(self, job_ids: Sequence[UUID], worker: str) -> list[Claim]:
        """Gives those of these jobs to a worker that are pending, in this order; no sweeps.

        Those of a paused target are for the sweep to send again after the pause.
        """
        now = self._clock()
        with self._store.once() as tx:
            rows = tx.chunks.claim(job_ids, worker=worker, now=now, lease_until=self._lease(now))
        if len(rows) < len(job_ids):
            self.release(job_ids)
        return [_claim(row, spec_of(row)) for key in job_ids if (row := rows.get(key)) is not None]

    def release(self, job_ids: Sequence[UUID]) -> None:
        """Leaves those of these jobs that are pending to others; the sweep sends them again."""
        with self._store.write() as tx:
            tx.chunks.release(job_ids)

    def others_wait(self, job_id: UUID) -> bool:
        """Whether jobs of other owners wait for a slot where this one runs."""
        since = self._clock() - timedelta(seconds=_NOTED_S)
        with self._store.read() as tx:
            return tx.feeding.others_wait(job_id, since)

    def program(self, job_id: UUID) -> str:
        """The program of a claimed job.

        Raises:
            ProgramLostError: The file is gone.
            UnavailableError: The folder does not answer.
        """
        return self._programs.read(job_id)

    def renew(self, claim: Claim) -> bool:
        """Prolongs a claim; False if the job was canceled or given away: stop."""
        with self._store.once() as tx:
            return tx.renew(claim.job_id, claim.attempt, self._lease(self._clock()))

    def holds(self, claim: Claim) -> bool:
        """Whether a claim still holds; False if the job was canceled or given away: stop."""
        with self._store.read() as tx:
            return tx.holds(claim.job_id, claim.attempt)

    def renew_many(self, claims: Sequence[Claim]) -> set[UUID]:
        """Prolongs claims; the jobs of those that still hold."""
        with self._store.write() as tx:
            return tx.chunks.renew(claims, self._lease(self._clock()))

    def held_among(self, claims: Sequence[Claim]) -> set[UUID]:
        """The jobs of those of these claims that still hold."""
        with self._store.read() as tx:
            return tx.chunks.held(claims)

    def progress(self, claim: Claim, points_done: int) -> None:
        """Notes how far a sweep is."""
        with self._store.once() as tx:
            tx.progress(claim.job_id, claim.attempt, points_done)

    def finish(self, claim: Claim, outcome: Finished) -> bool:
        """Ends a job with its results; False if the claim does not hold any more."""
        if sum(len(each.value) for each in outcome.results) > _LARGE_BYTES:
            return self._finish_large(claim, outcome)
        return bool(self.end_many([(claim, outcome)]))

    def _finish_large(self, claim: Claim, outcome: Finished) -> bool:
        started = monotonic()
        if not self.renew(claim):
            # What takes long to store begins with a full lease.
            return False
        try:
            with self._store.write(long=True) as tx:
                tx.add_results(claim.job_id, outcome.results)
                row = tx.finish(
                    claim.job_id,
                    claim.attempt,
                    outcome,
                    now=self._clock(),
                    saving_s=monotonic() - started,
                )
                if row is None:
                    raise _GivenAwayError  # noqa: TRY301 - rolls back
                self._add(tx, claim, outcome.cpu_s)
        except (_GivenAwayError, JobGoneError):
            return False
        self._programs.delete(claim.job_id)
        return True

    def fail(self, claim: Claim, outcome: Failed) -> bool:
        """Ends a job with an error; False if the claim does not hold any more."""
        return bool(self.end_many([(claim, outcome)]))

    def end_many(self, ended: Ended) -> set[UUID]:
        """Ends jobs with their results or errors; those whose claims still held.

        Args:
            ended: What each came to; their results are small, all together.
        """
        started = monotonic()
        with self._store.once() as tx:
            now = self._clock()
            held = tx.end(ended, now=now, saving_s=monotonic() - started, by=self._name)
        for job_id in held:
            self._programs.delete(job_id)
        return held

    def fault(self, claim: Claim, outcome: Failed) -> JobStatus | None:
        """Ends an attempt that was cut short: by a crash, or the loss of its engine.

        The job is pending again, after a while, unless it has had too many of
        these; then it has failed.

        Returns:
            Its status now; None if the claim does not hold any more.
        """
        fault = Fault(
            job_id=claim.job_id,
            attempt=claim.attempt,
            faults=claim.faults + 1,
            cpu_s=outcome.cpu_s,
        )

        def last(faults: int) -> Failed:
            return replace(outcome, message=f"{outcome.message} (the last of {faults} faults)")

        with self._store.write() as tx:
            row = end_attempt(tx, fault, settings=self._settings, now=self._clock(), last=last)
            if row is not None:
                self._add(tx, claim, outcome.cpu_s)
        if row is None:
            return None
        if row.status.is_final:
            self._programs.delete(claim.job_id)
        return row.status

    def hand_over(self, claim: Claim, cpu_s: float = 0.0) -> bool:
        """Gives a job back that this worker has no time to end; the sweep sends it again.

        Args:
            claim: On the job; False is returned if it does not hold any more.
            cpu_s: Processor time that the attempt took.
        """
        with self._store.write() as tx:
            row = tx.hand_over(claim.job_id, claim.attempt, now=self._clock(), cpu_s=cpu_s)
            if row is not None:
                self._add(tx, claim, cpu_s)
        return row is not None

    def cancel(self, claim: Claim, cpu_s: float = 0.0) -> bool:
        """Ends a job that an operator terminated; see `hand_over`."""
        with self._store.write() as tx:
            row = tx.cancel_attempt(claim.job_id, claim.attempt, now=self._clock(), cpu_s=cpu_s)
            if row is not None:
                self._add(tx, claim, cpu_s)
        if row is None:
            return False
        self._programs.delete(claim.job_id)
        return True

    def cancel_all(self, job_ids: Sequence[UUID]) -> int:
        """Ends jobs that an operator revoked, waiting or running; returns how many.

        Args:
            job_ids: Of jobs, or of chunks, which stand for all of their jobs.
        """
        now = self._clock()
        rows: list[JobRow] = []
        with self._store.write() as tx:
            # An operator may name the task of a chunk, too.
            keys = [*job_ids, *tx.chunks.jobs(job_ids)]
            # One may go from running back to pending in between.
            for held in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PENDING):
                rows += tx.cancel(keys, held, now=now)
        for row in rows:
            self._programs.delete(row.id)
        return len(rows)

    def confirm_stop(self, claim: Claim, cpu_s: float = 0.0) -> JobStatus | None:
        """Says that nothing of this attempt runs any more.

        Args:
            claim: On the job.
            cpu_s: Processor time that the attempt took, unless it was told before.

        Returns:
            The job's status; None if it was deleted.
        """
        with self._store.write() as tx:
            stopped = tx.confirm_stop(claim.job_id, claim.attempt, now=self._clock(), cpu_s=cpu_s)
            row = tx.job(claim.job_id)
            # Who cancels a job and deletes it at once has still used the processor.
            if stopped or row is None:
                self._add(tx, claim, cpu_s)
        return None if row is None else row.status

    def _add(self, tx: Transaction, claim: Claim, cpu_s: float) -> None:
        """Adds what an attempt took to what its owner has used today."""
        day = self._clock().astimezone(UTC).date()
        tx.usage.add(claim.owner, day=day, by=self._name, cpu_s=cpu_s)

    def status(self, job_id: UUID) -> JobStatus | None:
        """The status of a job; None if there is no such job."""
        with self._store.read() as tx:
            row = tx.job(job_id)
        return None if row is None else row.status

    def report(self, name: str, target: str, concurrency: int, fingerprint: str = "") -> None:
        """Notes that a worker is there.

        Args:
            name: Of the worker.
            target: Whose jobs it runs.
            concurrency: How many at once.
            fingerprint: Of what it runs them with; empty if that is not known yet.
        """
        with self._store.write() as tx:
            tx.see_worker(
                WorkerRow(
                    name=name,
                    target=target,
                    concurrency=concurrency,
                    seen_at=self._clock(),
                    fingerprint=fingerprint,
                )
            )

    def leave(self, name: str) -> None:
        """Notes that a worker stops."""
        with self._store.write() as tx:
            tx.forget_worker(name)

    def close(self) -> None:
        """Closes the connections to the database."""
        self._store.close()

    def _lease(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.lease_s)


def _claim(row: JobRow, spec: JobSpec) -> Claim:
    return Claim(job_id=row.id, attempt=row.attempt, faults=row.faults, spec=spec, owner=row.owner)
