"""The SQL of chunks: jobs of a batch that one message carries, claimed and ended together.

Every change is fenced as in `app.store_life`, job by job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from app.events import appended, line
from app.jobs import Claim, Failed, Finished, check_transition
from app.rows import IN_CHUNK, JOB, RESULT, JobRow, job_row
from app.store_life import lock_in_order, storable
from app.store_targets import is_paused
from qdispatch.model import JobStatus


class ChunkStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def mark_sent(self, chunk_ids: Sequence[UUID], now: datetime) -> None:
        """Notes that messages for these chunks are with the broker; see `Transaction.mark_sent`."""
        statement = sa.select(JOB.c.id).where(
            _in_chunk(), JOB.c.chunk_id.in_(chunk_ids), JOB.c.status == JobStatus.PENDING
        )
        job_ids = list(self._connection.execute(statement).scalars())
        if not job_ids:
            # They were so quick that nothing is left to be noted.
            return
        lock_in_order(self._connection, job_ids)
        self._connection.execute(
            sa.update(JOB)
            .where(JOB.c.id.in_(job_ids), JOB.c.status == JobStatus.PENDING)
            # One that was given back meanwhile is to have another message.
            .where(JOB.c.chunk_id.in_(chunk_ids), ~is_paused())
            .values(sent_at=now)
        )

    def jobs(self, chunk_ids: Sequence[UUID]) -> list[UUID]:
        """The jobs of these chunks that are not final."""
        statement = sa.select(JOB.c.id).where(_in_chunk(), JOB.c.chunk_id.in_(chunk_ids))
        return list(self._connection.execute(statement).scalars())

    def claim(
        self, job_ids: Sequence[UUID], *, worker: str, now: datetime, lease_until: datetime
    ) -> dict[UUID, JobRow]:
        """Pending -> running, of those that are pending and whose target is not paused."""
        check_transition(JobStatus.PENDING, JobStatus.RUNNING)
        lock_in_order(self._connection, list(job_ids))
        statement = (
            sa.update(JOB)
            .where(JOB.c.id.in_(job_ids), JOB.c.status == JobStatus.PENDING)
            .where(~is_paused(hold=True))
            .values(
                status=JobStatus.RUNNING,
                attempt=JOB.c.attempt + 1,
                worker=worker,
                started_at=now,
                lease_until=lease_until,
                life=appended(JobStatus.RUNNING, now),
            )
            .returning(*JOB.c)
        )
        rows = self._connection.execute(statement).mappings()
        return {row["id"]: job_row(dict(row)) for row in rows}

    def release(self, job_ids: Sequence[UUID]) -> None:
        """Has those that are still pending sent again, each by a message of its own."""
        lock_in_order(self._connection, list(job_ids))
        self._connection.execute(
            sa.update(JOB)
            .where(JOB.c.id.in_(job_ids), JOB.c.status == JobStatus.PENDING)
            .values(sent_at=None, chunk_id=None)
        )

    def held(self, claims: Iterable[Claim]) -> set[UUID]:
        """Those jobs that their claims still hold."""
        statement = sa.select(JOB.c.id).where(*_are_held(claims))
        return set(self._connection.execute(statement).scalars())

    def renew(self, claims: Sequence[Claim], lease_until: datetime) -> set[UUID]:
        """Prolongs leases; those jobs that their claims still hold."""
        lock_in_order(self._connection, [claim.job_id for claim in claims])
        statement = sa.update(JOB).where(*_are_held(claims)).values(lease_until=lease_until)
        return set(self._connection.execute(statement.returning(JOB.c.id)).scalars())

    def end(
        self, ended: Sequence[tuple[Claim, Finished | Failed]], *, now: datetime, saving_s: float
    ) -> bool:
        """Running -> finished or failed, with the results; False if any is not held any more.

        Then nothing of it may be committed.
        """
        results = [
            {
                "job_id": claim.job_id,
                "result_type": each.result_type,
                "point": each.point,
                "value": each.value,
            }
            for claim, outcome in ended
            if isinstance(outcome, Finished)
            for each in outcome.results
        ]
        # Rows are locked in the order of their ids, as everywhere; results after their
        # jobs, which might be deleted in between.
        ordered = sorted(ended, key=lambda each: each[0].job_id)
        values = [_end_of(claim, outcome, now, saving_s) for claim, outcome in ordered]
        if self._connection.execute(_END, values).rowcount != len(values):
            return False
        if results:
            self._connection.execute(sa.insert(RESULT), results)
        return True


_END: Final = (
    sa.update(JOB)
    .where(
        JOB.c.id == sa.bindparam("held_id"),
        JOB.c.attempt == sa.bindparam("held_attempt"),
        JOB.c.status == JobStatus.RUNNING,
    )
    .values(
        status=sa.bindparam("new_status"),
        life=JOB.c.life + sa.bindparam("new_line", type_=sa.Text),
        finish_time=sa.bindparam("now"),
        lease_until=None,
        method=sa.bindparam("new_method"),
        method_reason=sa.bindparam("new_reason"),
        simulator_version=sa.bindparam("version"),
        fingerprint=sa.bindparam("print"),
        parsing_s=sa.bindparam("parsing"),
        simulating_s=sa.bindparam("simulating"),
        saving_s=sa.bindparam("saving"),
        peak_memory_bytes=sa.bindparam("peak"),
        result_bytes=sa.bindparam("taken"),
        error_kind=sa.bindparam("kind"),
        error_message=sa.bindparam("message"),
    )
)


def _end_of(
    claim: Claim, outcome: Finished | Failed, now: datetime, saving_s: float
) -> dict[str, Any]:
    good = isinstance(outcome, Finished)
    status = JobStatus.FINISHED if good else JobStatus.FAILED
    check_transition(JobStatus.RUNNING, status)
    return {
        "held_id": claim.job_id,
        "held_attempt": claim.attempt,
        "new_status": status,
        "new_line": line(status, now),
        "now": now,
        "new_method": outcome.method if isinstance(outcome, Finished) else "",
        "new_reason": outcome.method_reason if isinstance(outcome, Finished) else "",
        "version": outcome.simulator_version,
        "print": outcome.fingerprint if isinstance(outcome, Finished) else "",
        "parsing": outcome.parsing_s,
        "simulating": outcome.simulating_s,
        "saving": saving_s if good else None,
        "peak": outcome.peak_memory_bytes,
        "taken": sum(len(each.value) for each in outcome.results)
        if isinstance(outcome, Finished)
        else 0,
        "kind": outcome.kind.value if isinstance(outcome, Failed) else None,
        "message": storable(outcome.message) if isinstance(outcome, Failed) else None,
    }


def _are_held(claims: Iterable[Claim]) -> tuple[sa.ColumnElement[bool], ...]:
    keys = [(claim.job_id, claim.attempt) for claim in claims]
    return (
        sa.tuple_(JOB.c.id, JOB.c.attempt).in_(keys),
        JOB.c.status == JobStatus.RUNNING,
    )


def _in_chunk() -> sa.TextClause:
    # Word for word as the partial index has it, so that it is used: of a column SQLite
    # would be asked whether it is 1.
    return sa.text(IN_CHUNK)
