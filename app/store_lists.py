"""The SQL of lists of jobs, and of batches. It only reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from app.rows import ACTIVE, BATCH, JOB, BatchRow, JobRow, job_row
from qdispatch.model import JobStatus
from qdispatch.updates import JobFilter

#: Differs whenever something about a job does that watchers are told.
Version: TypeAlias = tuple[JobStatus, int, int]


class Past(NamedTuple):
    """As much of a finished job as tells how long such jobs take."""

    n_qubits: int
    depth: int
    shots: int
    n_points: int
    time_limit_s: float
    started_at: datetime
    finish_time: datetime


class Queued(NamedTuple):
    """As much of an active job as tells what is to be expected of it."""

    n_qubits: int
    depth: int
    shots: int
    n_points: int
    time_limit_s: float
    id: UUID
    running_since: datetime | None
    """None if it waits."""
    points_done: int


class Life(NamedTuple):
    """As much of a job as watchers of its batch are told."""

    id: UUID
    target: str
    status: JobStatus
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finish_time: datetime | None
    points_done: int
    life: str


class ListStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def jobs(
        self, wanted: JobFilter, *, sees: str | None, before: UUID | None, limit: int
    ) -> list[JobRow]:
        """Jobs that pass a filter, newest first.

        Args:
            wanted: The filter; its batch_id is a UUID, or empty.
            sees: Whose jobs; None for everybody's.
            before: Only jobs whose ids are lower: the last one of the page before.
            limit: The most to return.
        """
        statement = sa.select(JOB).where(*self._conditions(wanted))
        if sees is not None:
            statement = statement.where(JOB.c.owner == sees)
        # Ids begin with the time. Only an index on the time itself finds the first
        # one of a time, though, and keeps from going through all that came later.
        timed = wanted.created_after is not None or wanted.created_before is not None
        order = (JOB.c.created_at, JOB.c.id) if timed else (JOB.c.id,)
        if before is not None:
            statement = statement.where(self._is_older(before, sees, timed=timed))
        newest = statement.order_by(*(each.desc() for each in order)).limit(limit)
        return [job_row(row._asdict()) for row in self._connection.execute(newest)]

    def _is_older(self, before: UUID, sees: str | None, *, timed: bool) -> sa.ColumnElement[bool]:
        at = sa.select(JOB.c.created_at).where(JOB.c.id == before)
        if sees is not None:
            at = at.where(JOB.c.owner == sees)
        moment = self._connection.execute(at).scalar_one_or_none() if timed else None
        if moment is None:
            # Or it was deleted meanwhile; the order is the same but for clocks that differ.
            return JOB.c.id < before
        return sa.tuple_(JOB.c.created_at, JOB.c.id) < sa.tuple_(
            sa.literal(moment, JOB.c.created_at.type), sa.literal(before, JOB.c.id.type)
        )

    def _conditions(self, wanted: JobFilter) -> list[sa.ColumnElement[bool]]:
        where: list[sa.ColumnElement[bool]] = []
        if wanted.statuses:
            where.append(JOB.c.status.in_(wanted.statuses))
        if wanted.owner:
            where.append(JOB.c.owner == wanted.owner)
        if wanted.target:
            where.append(JOB.c.target == wanted.target)
        if wanted.batch_id:
            where.append(JOB.c.batch_id == UUID(wanted.batch_id))
        if wanted.created_after is not None:
            where.append(JOB.c.created_at >= wanted.created_after)
        if wanted.created_before is not None:
            where.append(JOB.c.created_at < wanted.created_before)
        if wanted.tag:
            where.append(self._tagged(wanted.tag))
        return where

    def _tagged(self, tag: str) -> sa.ColumnElement[bool]:
        postgres = self._connection.dialect.name == "postgresql"
        each = sa.func.json_array_elements_text if postgres else sa.func.json_each
        tags = each(JOB.c.tags).table_valued("value").alias("tag")
        return sa.exists(sa.select(1).select_from(tags).where(tags.c.value == tag))

    # -- batches

    def batch(self, batch_id: UUID, owner: str | None = None) -> BatchRow | None:
        """One batch; of this owner's, if one is given."""
        statement = sa.select(BATCH).where(BATCH.c.id == batch_id)
        if owner is not None:
            statement = statement.where(BATCH.c.owner == owner)
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else BatchRow(**row)

    def batches(self, *, before: UUID | None, sees: str | None, limit: int) -> list[BatchRow]:
        """Batches, newest first; those of one owner, or with None everybody's."""
        statement = sa.select(BATCH).order_by(BATCH.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(BATCH.c.id < before)
        if sees is not None:
            statement = statement.where(BATCH.c.owner == sees)
        return [BatchRow(**row) for row in self._connection.execute(statement).mappings()]

    def batch_numbers(self, batch_id: UUID) -> Mapping[JobStatus, int]:
        """How many jobs of a batch are in which status."""
        rows = self._connection.execute(
            sa.select(JOB.c.status, sa.func.count())
            .where(JOB.c.batch_id == batch_id)
            .group_by(JOB.c.status)
        )
        return {status: int(number) for status, number in rows}

    def batch_jobs(self, batch_id: UUID) -> list[UUID]:
        """The jobs of a batch, in their order."""
        statement = sa.select(JOB.c.id).where(JOB.c.batch_id == batch_id)
        return list(self._connection.execute(statement.order_by(JOB.c.batch_index)).scalars())

    def batch_places(self, batch_id: UUID) -> dict[UUID, int]:
        """The jobs of a batch, and their places in it."""
        rows = self._connection.execute(
            sa.select(JOB.c.id, JOB.c.batch_index).where(JOB.c.batch_id == batch_id)
        )
        return {key: int(place) for key, place in rows}

    # -- what watchers are told

    def versions(self, job_ids: Collection[UUID]) -> dict[UUID, Version]:
        """What changes whenever one of these jobs does, of those that there are."""
        rows = self._connection.execute(
            sa.select(JOB.c.id, JOB.c.status, sa.func.length(JOB.c.life), JOB.c.points_done).where(
                JOB.c.id.in_(list(job_ids))
            )
        )
        return {key: (status, int(length), int(points)) for key, status, length, points in rows}

    def lives(self, job_ids: Collection[UUID]) -> list[Life]:
        """Those of these jobs that there are, without what is long."""
        columns = [JOB.c[name] for name in Life._fields]
        rows = self._connection.execute(sa.select(*columns).where(JOB.c.id.in_(list(job_ids))))
        return [Life(*row) for row in rows]

    def past(self, target: str, limit: int) -> list[Past]:
        """The last jobs that a target has finished, latest first."""
        rows = self._connection.execute(
            sa.select(*_LOAD, JOB.c.started_at, JOB.c.finish_time)
            .where(JOB.c.target == target, JOB.c.status == JobStatus.FINISHED)
            # Those that were answered from the cache never ran.
            .where(JOB.c.started_at.is_not(None))
            .order_by(JOB.c.id.desc())
            .limit(limit)
        )
        return [Past(*row) for row in rows]

    def queue(self, target: str, limit: int) -> list[Queued]:
        """The active jobs of a target, oldest first."""
        since = sa.case((JOB.c.status == JobStatus.RUNNING, JOB.c.started_at))
        rows = self._connection.execute(
            sa.select(*_LOAD, JOB.c.id, since, JOB.c.points_done)
            .where(sa.text(ACTIVE), JOB.c.target == target)
            .order_by(JOB.c.id)
            .limit(limit)
        )
        return [Queued(*row) for row in rows]


_LOAD = (JOB.c.n_qubits, JOB.c.depth, JOB.c.shots, JOB.c.n_points, JOB.c.time_limit_s)
