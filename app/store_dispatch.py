"""The SQL of dispatch: what was sent, what is to be sent, and what nobody holds any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from app.ports import Dispatch
from app.rows import ACTIVE, IN_CHUNK, JOB, LEASED, JobRow
from app.store_life import LifeStatements, lock_in_order
from app.store_targets import is_paused
from qdispatch.model import JobStatus

#: What names the message that carries a job.
MESSAGE: Final = sa.func.coalesce(JOB.c.chunk_id, JOB.c.id)
#: Chunks that a slot has taken from the queue: it runs some of their jobs.
IN_HAND: Final = (
    sa.select(JOB.c.chunk_id)
    # Spelled as the partial index is, so that it is used.
    .where(sa.text(IN_CHUNK), JOB.c.status == JobStatus.RUNNING)
    .correlate(None)
)


class DispatchStatements(LifeStatements):
    """The statements, within one transaction."""

    def mark_sent(self, sent: Sequence[Dispatch], now: datetime) -> None:
        """Notes that messages for these jobs are with the broker.

        A note that comes after the job was claimed and handed over is about a
        message that is used up, and must not keep the next one from being sent.
        The same goes for a note about a job of a paused target.
        """
        lock_in_order(self._connection, [each.job_id for each in sent])
        keys = [(each.job_id, each.attempt) for each in sent]
        self._connection.execute(
            sa.update(JOB)
            .where(sa.tuple_(JOB.c.id, JOB.c.attempt).in_(keys), JOB.c.status == JobStatus.PENDING)
            .where(~is_paused())
            .values(sent_at=now, chunk_id=None)
        )

    def hold_back(self, job_id: UUID) -> None:
        """Has a job that could not be claimed sent again, if it is pending still.

        It is, if its target is paused; the message that led here is used up.
        """
        self._connection.execute(
            sa.update(JOB)
            .where(JOB.c.id == job_id, JOB.c.status == JobStatus.PENDING)
            .values(sent_at=None, chunk_id=None)
        )

    def sent(self) -> dict[str, int]:
        """How many messages should be in the queues, by target: those of pending jobs."""
        rows = self._connection.execute(
            sa.select(JOB.c.target, sa.func.count(MESSAGE.distinct()))
            .where(_active(), JOB.c.status == JobStatus.PENDING, JOB.c.sent_at.is_not(None))
            .where(MESSAGE.not_in(IN_HAND))
            .group_by(JOB.c.target)
        )
        return {target: int(number) for target, number in rows}

    def sent_before(
        self, target: str, moment: datetime, *, messages: int, limit: int
    ) -> list[Dispatch]:
        """Pending jobs of a target that were sent before a moment, oldest first.

        Args:
            target: The target.
            moment: When.
            messages: In how many messages, at the most: all jobs of a chunk are in one.
            limit: The most to return.
        """
        found: list[Dispatch] = []
        carriers: set[UUID] = set()
        for dispatch, chunk_id in self._waiting(
            JOB.c.target == target,
            JOB.c.sent_at < moment,
            MESSAGE.not_in(IN_HAND),
            limit=limit,
        ):
            carriers.add(chunk_id or dispatch.job_id)
            if len(carriers) > messages:
                break
            found.append(dispatch)
        return found

    def _waiting(
        self, *where: sa.ColumnElement[bool], limit: int
    ) -> list[tuple[Dispatch, UUID | None]]:
        # Those of paused targets wait.
        rows = self._connection.execute(
            sa.select(
                JOB.c.id,
                JOB.c.attempt,
                JOB.c.target,
                JOB.c.n_qubits,
                JOB.c.shots,
                JOB.c.chunk_id,
                JOB.c.owner,
            )
            .where(_active(), JOB.c.status == JobStatus.PENDING, ~is_paused(), *where)
            .order_by(JOB.c.id)
            .limit(limit)
        )
        return [
            (
                Dispatch(
                    job_id=job_id,
                    attempt=attempt,
                    target=target,
                    label=label(target, n_qubits, shots),
                    owner=owner,
                ),
                chunk_id,
            )
            for job_id, attempt, target, n_qubits, shots, chunk_id, owner in rows
        ]

    def lapsed(self, now: datetime) -> list[JobRow]:
        """Jobs whose lease has ended: running, or canceled and not confirmed to have stopped."""
        return self._rows(sa.select(JOB).where(_leased(), JOB.c.lease_until < now))

    def active_among(self, job_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these jobs that are not final."""
        statement = sa.select(JOB.c.id).where(JOB.c.id.in_(job_ids), _active())
        return set(self._connection.execute(statement).scalars())


def _active() -> sa.TextClause:
    # Spelled as the partial index is, without parameters, so that it is used.
    return sa.text(ACTIVE)


def _leased() -> sa.TextClause:
    return sa.text(LEASED)


def label(target: str, n_qubits: int, shots: int) -> str:
    """What monitors show of a job beside its id."""
    return f"target={target} qubits={n_qubits} shots={shots}"
