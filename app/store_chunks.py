"""The SQL of chunks: jobs of a batch that one message carries, and that are claimed together.

Every change is fenced as in `app.store_life`, job by job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from app.events import line
from app.jobs import Claim
from app.rows import IN_CHUNK, JOB, JobRow, job_row
from app.store_claims import claiming
from app.store_keys import among
from app.store_life import lock_in_order
from app.store_targets import is_paused
from qdispatch.model import JobStatus


class ChunkStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def mark_sent(self, chunk_ids: Sequence[UUID], now: datetime) -> None:
        """Notes that messages for these chunks are with the broker; see `Transaction.mark_sent`."""
        dialect = self._connection.dialect.name
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
            .where(_AMONG[dialect], JOB.c.status == JobStatus.PENDING)
            # One that was given back meanwhile is to have another message.
            .where(JOB.c.chunk_id.in_(chunk_ids), ~is_paused())
            .values(sent_at=now),
            {"keys": job_ids},
        )

    def jobs(self, chunk_ids: Sequence[UUID]) -> list[UUID]:
        """The jobs of these chunks that are not final."""
        statement = sa.select(JOB.c.id).where(_in_chunk(), JOB.c.chunk_id.in_(chunk_ids))
        return list(self._connection.execute(statement).scalars())

    def claim(
        self, job_ids: Sequence[UUID], *, worker: str, now: datetime, lease_until: datetime
    ) -> dict[UUID, JobRow]:
        """Pending -> running, of those that are pending and whose target is not paused."""
        values = {
            "keys": list(job_ids),
            "by": worker,
            "now": now,
            "until": lease_until,
            "line": line(JobStatus.RUNNING, now),
        }
        rows = self._connection.execute(_CLAIMS[self._connection.dialect.name], values)
        return {row.id: job_row(row._asdict()) for row in rows}

    def release(self, job_ids: Sequence[UUID]) -> None:
        """Has those that are still pending sent again, each by a message of its own."""
        lock_in_order(self._connection, list(job_ids))
        self._connection.execute(
            sa.update(JOB)
            .where(JOB.c.id.in_(job_ids), JOB.c.status == JobStatus.PENDING)
            # Who sent them had reserved them; that is over, too.
            .values(sent_at=None, chunk_id=None, not_before=None)
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


_AMONG: Final = among(JOB.c.id)
# On PostgreSQL rows are locked in the order of their ids, as everywhere, in the same
# statement: two who would else wait for each other.
_IN_ORDER: Final = (
    sa.select(JOB.c.id)
    .where(_AMONG["postgresql"])
    .order_by(JOB.c.id)
    .with_for_update()
    .cte("in_order")
)
# Put together once: that takes as long as the rest of a claim.
_CLAIMS: Final = {
    "postgresql": claiming(JOB.c.id == _IN_ORDER.c.id),
    "sqlite": claiming(_AMONG["sqlite"]),
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
