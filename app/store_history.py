"""The SQL about the history: how much there is of it, what is oldest, and deleting for good."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from app.rows import ACTIVE, BATCH, HAS_RESULTS, JOB
from qdispatch.model import JobStatus

FINAL: Final = tuple(status for status in JobStatus if status.is_final)


@dataclass(frozen=True, kw_only=True)
class PastJob:
    """As much of a job as is needed to tell whether it is kept."""

    id: UUID
    status: JobStatus
    created_at: datetime
    finish_time: datetime | None
    result_bytes: int


class HistoryStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def oldest(self, after: UUID, limit: int) -> list[PastJob]:
        """The oldest jobs beyond that one, in any status.

        Ids are of UUID's version 7, whose order is that of time.
        """
        names = ("id", "status", "created_at", "finish_time", "result_bytes")
        rows = self._connection.execute(
            sa.select(*(JOB.c[name] for name in names))
            .where(JOB.c.id > after)
            .order_by(JOB.c.id)
            .limit(limit)
        )
        return [PastJob(**row) for row in rows.mappings()]

    def count(self) -> int:
        """How many jobs there are, in any status."""
        return int(
            self._connection.execute(sa.select(sa.func.count()).select_from(JOB)).scalar_one()
        )

    def active(self) -> Sequence[UUID]:
        """The jobs that are not history yet."""
        active = sa.text(ACTIVE)
        return self._connection.execute(sa.select(JOB.c.id).where(active)).scalars().all()

    def result_bytes(self) -> int:
        """What the results of all jobs take, as they are encoded, in bytes."""
        # Spelled as the partial index is, so that it is all that is read.
        has_results = sa.text(HAS_RESULTS)
        statement = sa.select(sa.func.sum(JOB.c.result_bytes)).where(has_results)
        return int(self._connection.execute(statement).scalar() or 0)

    def delete(self, job_ids: Sequence[UUID], *, owner: str | None = None) -> int:
        """Deletes those of these jobs that are final, with their results; returns how many.

        A batch goes with the last of its jobs.

        Args:
            job_ids: The jobs.
            owner: Whose they must be; None for anybody's.
        """
        statement = sa.delete(JOB).where(JOB.c.id.in_(job_ids), JOB.c.status.in_(FINAL))
        if owner is not None:
            statement = statement.where(JOB.c.owner == owner)
        deleted = self._connection.execute(statement.returning(JOB.c.batch_id)).scalars().all()
        if batches := {each for each in deleted if each is not None}:
            self._delete_empty(batches)
        return len(deleted)

    def _delete_empty(self, batch_ids: Collection[UUID]) -> None:
        # Of two that delete its last two jobs, the second must see what the first has done.
        some = BATCH.c.id.in_(batch_ids)
        self._connection.execute(
            sa.select(BATCH.c.id).where(some).order_by(BATCH.c.id).with_for_update()
        )
        left = sa.exists().where(JOB.c.batch_id == BATCH.c.id)
        self._connection.execute(sa.delete(BATCH).where(some, ~left))
