"""The SQL of a job's life: every change of a status, and who holds a job.

A change names the status that it expects, and for a running job the attempt,
and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from app.events import appended, line
from app.jobs import EncodedResult, Failed, Finished, check_transition
from app.rows import JOB, RESULT, JobRow, job_row
from app.store_claims import claiming
from app.store_ends import Ended, end_attempts, storable
from app.store_keys import among
from qdispatch.errors import QDispatchError
from qdispatch.model import JobStatus


class JobGoneError(QDispatchError):
    """The job was deleted meanwhile."""


class LifeStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def _insert(self, table: sa.Table) -> Any:
        postgres = self._connection.dialect.name == "postgresql"
        return (postgresql if postgres else sqlite).insert(table)

    def claim(
        self, job_id: UUID, *, worker: str, now: datetime, lease_until: datetime
    ) -> JobRow | None:
        """Pending -> running; None if the job is not pending, or its target is paused."""
        values = {
            "key": job_id,
            "by": worker,
            "now": now,
            "until": lease_until,
            "line": line(JobStatus.RUNNING, now),
        }
        return self._one(_CLAIM, values)

    def renew(self, job_id: UUID, attempt: int, lease_until: datetime) -> bool:
        """Prolongs a lease; False if the attempt does not hold the job any more."""
        statement = (
            sa.update(JOB)
            .where(JOB.c.id == job_id, JOB.c.attempt == attempt, JOB.c.status == JobStatus.RUNNING)
            .values(lease_until=lease_until)
        )
        return self._connection.execute(statement).rowcount == 1

    def holds(self, job_id: UUID, attempt: int) -> bool:
        """Whether an attempt still holds its job."""
        statement = sa.select(JOB.c.id).where(
            JOB.c.id == job_id, JOB.c.attempt == attempt, JOB.c.status == JobStatus.RUNNING
        )
        return self._connection.execute(statement).first() is not None

    def progress(self, job_id: UUID, attempt: int, points_done: int) -> None:
        """Notes how far a sweep is, if the attempt still holds the job."""
        self._connection.execute(
            sa.update(JOB)
            .where(JOB.c.id == job_id, JOB.c.attempt == attempt, JOB.c.status == JobStatus.RUNNING)
            .values(points_done=points_done)
        )

    def end(self, ended: Ended, *, now: datetime, saving_s: float, by: str) -> set[UUID]:
        """Running -> finished or failed, with the results; those jobs that were held."""
        return end_attempts(self._connection, ended, now=now, saving_s=saving_s, by=by)

    def finish(
        self, job_id: UUID, attempt: int, outcome: Finished, *, now: datetime, saving_s: float
    ) -> JobRow | None:
        """As `end`, for results that `add_results` has stored one by one.

        Returns:
            The job; None if the attempt does not hold it any more.
        """
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.FINISHED,
            now=now,
            attempt_held=attempt,
            finish_time=now,
            lease_until=None,
            method=outcome.method,
            method_reason=outcome.method_reason,
            simulator_version=outcome.simulator_version,
            fingerprint=outcome.fingerprint,
            parsing_s=outcome.parsing_s,
            simulating_s=outcome.simulating_s,
            saving_s=saving_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            result_bytes=sum(len(each.value) for each in outcome.results),
            points_done=JOB.c.n_points,
            cpu_s=JOB.c.cpu_s + outcome.cpu_s,
        )

    def add_results(self, job_id: UUID, results: Iterable[EncodedResult]) -> None:
        """Stores results, to be rolled back if the job turns out to be given away.

        Raises:
            JobGoneError: It was deleted, having been canceled before.
        """
        values = [
            {
                "job_id": job_id,
                "result_type": each.result_type,
                "point": each.point,
                "value": each.value,
            }
            for each in results
        ]
        if values:
            try:
                self._connection.execute(self._insert(RESULT).on_conflict_do_nothing(), values)
            except IntegrityError as error:
                raise JobGoneError(f"there is no job {job_id} any more") from error

    def fail(
        self,
        job_id: UUID,
        outcome: Failed,
        *,
        now: datetime,
        attempt: int | None,
        faults: int = 0,
        lapsed: datetime | None = None,
    ) -> JobRow | None:
        """To failed: from running if an attempt is given, else from pending.

        Args:
            job_id: The job.
            outcome: Why.
            now: The time.
            attempt: The one that holds it.
            faults: How many of its faults this is, 0 or 1.
            lapsed: Only if its lease ended before this.
        """
        return self._change(
            job_id,
            JobStatus.PENDING if attempt is None else JobStatus.RUNNING,
            JobStatus.FAILED,
            now=now,
            attempt_held=attempt,
            lapsed=lapsed,
            finish_time=now,
            lease_until=None,
            error_kind=outcome.kind.value,
            error_message=storable(outcome.message),
            simulator_version=outcome.simulator_version,
            parsing_s=outcome.parsing_s,
            simulating_s=outcome.simulating_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            faults=JOB.c.faults + faults,
            cpu_s=JOB.c.cpu_s + outcome.cpu_s,
        )

    def cancel(
        self,
        job_ids: Iterable[UUID],
        held: JobStatus,
        *,
        now: datetime,
        owner: str | None = None,
    ) -> list[JobRow]:
        """From ``held`` (pending or running) to canceled; those that were.

        The lease of one that ran stays until its worker confirms the stop.

        Args:
            job_ids: The jobs.
            held: What they must be.
            now: The time.
            owner: Whose they must be; None for anybody's.
        """
        check_transition(held, JobStatus.CANCELED)
        lock_in_order(self._connection, keys := list(job_ids))
        statement = (
            sa.update(JOB)
            .where(JOB.c.id.in_(keys), JOB.c.status == held, *_owned_by(owner))
            .values(
                status=JobStatus.CANCELED,
                finish_time=now,
                life=appended(JobStatus.CANCELED, now),
            )
            .returning(*JOB.c)
        )
        return self._rows(statement)

    def cancel_attempt(
        self, job_id: UUID, attempt: int, *, now: datetime, cpu_s: float = 0.0
    ) -> JobRow | None:
        """Running -> canceled, by the worker that has stopped it."""
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.CANCELED,
            now=now,
            attempt_held=attempt,
            finish_time=now,
            stopped_at=now,
            lease_until=None,
            cpu_s=JOB.c.cpu_s + cpu_s,
        )

    def confirm_stop(
        self, job_id: UUID, attempt: int, *, now: datetime, cpu_s: float = 0.0
    ) -> bool:
        """Notes that nothing of a canceled job runs any more; False if that changes nothing."""
        stopped = self._connection.execute(
            sa.update(JOB)
            .where(
                JOB.c.id == job_id,
                JOB.c.attempt == attempt,
                JOB.c.status == JobStatus.CANCELED,
                JOB.c.stopped_at.is_(None),
            )
            .values(stopped_at=now, lease_until=None, cpu_s=JOB.c.cpu_s + cpu_s)
        )
        return stopped.rowcount == 1

    def end_lease(self, job_id: UUID, attempt: int, *, lapsed: datetime) -> None:
        """Takes the lease off a canceled job whose worker has not confirmed by then."""
        self._connection.execute(
            sa.update(JOB)
            .where(
                JOB.c.id == job_id,
                JOB.c.attempt == attempt,
                JOB.c.status == JobStatus.CANCELED,
                JOB.c.lease_until < lapsed,
            )
            .values(lease_until=None)
        )

    def hand_over(
        self,
        job_id: UUID,
        attempt: int,
        *,
        now: datetime,
        faults: int = 0,
        not_before: datetime | None = None,
        lapsed: datetime | None = None,
        cpu_s: float = 0.0,
    ) -> JobRow | None:
        """Running -> pending, to be sent again.

        Args:
            job_id: The job.
            attempt: The one that holds it.
            now: The time.
            faults: How many of its faults this is, 0 or 1.
            not_before: When it may be sent.
            lapsed: Only if its lease ended before this.
            cpu_s: Processor time that the attempt took.
        """
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.PENDING,
            now=now,
            attempt_held=attempt,
            lapsed=lapsed,
            lease_until=None,
            sent_at=None,
            chunk_id=None,
            not_before=not_before,
            points_done=0,
            faults=JOB.c.faults + faults,
            cpu_s=JOB.c.cpu_s + cpu_s,
        )

    def _change(
        self,
        job_id: UUID,
        old: JobStatus,
        new: JobStatus,
        *,
        now: datetime,
        attempt_held: int | None = None,
        lapsed: datetime | None = None,
        **values: object,
    ) -> JobRow | None:
        check_transition(old, new)
        statement = sa.update(JOB).where(JOB.c.id == job_id, JOB.c.status == old)
        if attempt_held is not None:
            statement = statement.where(JOB.c.attempt == attempt_held)
        if lapsed is not None:
            # Its worker may have renewed it since somebody looked.
            statement = statement.where(JOB.c.lease_until < lapsed)
        values |= {"status": new, "life": appended(new, now)}
        return self._one(statement.values(**values).returning(*JOB.c))

    def _rows(self, statement: sa.Executable, values: Any = None) -> list[JobRow]:
        return [job_row(row._asdict()) for row in self._connection.execute(statement, values)]

    def _one(self, statement: sa.Executable, values: Any = None) -> JobRow | None:
        row = self._connection.execute(statement, values).one_or_none()
        return None if row is None else job_row(row._asdict())


# Put together once: that takes as long as the rest of a claim.
_CLAIM: Final = claiming(JOB.c.id == sa.bindparam("key"))
_LOCK: Final = (
    sa.select(JOB.c.id).where(among(JOB.c.id)["postgresql"]).order_by(JOB.c.id).with_for_update()
)


def lock_in_order(connection: sa.Connection, job_ids: list[UUID]) -> None:
    """Takes the locks of many jobs in the order of their ids, where rows have locks.

    Two that change some of the same jobs would else wait for each other.
    """
    if len(job_ids) > 1 and connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"keys": job_ids})


def _owned_by(owner: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if owner is None else (JOB.c.owner == owner,)
