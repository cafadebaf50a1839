"""The SQL of windows: who has jobs that were not sent, and which of these are next.

What is to be sent is reserved first, for a few seconds, by the time before which it may
not be sent again. So no two send the same; and one who dies between that and sending
has lost nothing: others send it then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from app.fairness import Key
from app.rows import JOB, PENDING, TARGET
from app.store_dispatch import IN_HAND, MESSAGE
from app.store_life import lock_in_order
from app.store_targets import is_paused
from qdispatch.model import TargetState


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A job that may be sent."""

    id: UUID
    target: str
    owner: str
    attempt: int
    n_qubits: int
    shots: int
    n_points: int


_COLUMNS: Final = tuple(JOB.c[name] for name in Waiting.__dataclass_fields__)


class FeedingStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def backlogs(
        self, now: datetime, created_before: datetime, targets: Collection[str]
    ) -> list[Key]:
        """Whose jobs, at which targets, were not sent and may be, but for paused targets.

        Args:
            now: The time.
            created_before: When they must have been there.
            targets: Those that there are; jobs of others wait for theirs.
        """
        rows = self._connection.execute(
            sa.select(JOB.c.target, JOB.c.owner)
            .distinct()
            .where(*_unsent(now), JOB.c.created_at < created_before, JOB.c.target.in_(targets))
            .order_by(JOB.c.target, JOB.c.owner)
        )
        return [(target, owner) for target, owner in rows]

    def next(self, key: Key, now: datetime, created_before: datetime, limit: int) -> list[Waiting]:
        """The jobs of an owner at a target that go next: by priority, then the oldest.

        Args:
            key: The target and the owner.
            now: The time.
            created_before: When they must have been there.
            limit: The most to return.
        """
        target, owner = key
        where = [
            JOB.c.target == target,
            JOB.c.owner == owner,
            JOB.c.created_at < created_before,
            *_sendable(now),
            # Asked once, and not of each job: what the index gives is in order already.
            ~sa.select(TARGET.c.name)
            .where(TARGET.c.name == target, TARGET.c.state == TargetState.PAUSED.value)
            .exists(),
        ]
        found: list[Waiting] = []
        below: list[sa.ColumnElement[bool]] = []
        while len(found) < limit:
            # One level after the other, each in the order of the index: all that an owner
            # has waiting is not to be sorted. What is unsent is so by its place in it.
            level = self._connection.scalar(
                sa.select(JOB.c.priority)
                .where(*where, *below)
                .order_by(JOB.c.sent_at.desc(), JOB.c.priority.desc())
                .limit(1)
            )
            if level is None:
                break
            rows = self._connection.execute(
                sa.select(*_COLUMNS)
                .where(*where, JOB.c.priority == level)
                .order_by(JOB.c.sent_at, JOB.c.id)
                .limit(limit - len(found))
            )
            found += [Waiting(**row) for row in rows.mappings()]
            below = [JOB.c.priority < level]
        return found

    def reserve(
        self, messages: Mapping[UUID | None, Sequence[UUID]], now: datetime, until: datetime
    ) -> set[UUID]:
        """Keeps others from sending jobs for a while; those that nobody had reserved or sent.

        Args:
            messages: The jobs of each message, by the chunk's id; by None those that
                have one each.
            now: The time.
            until: When others may send them.
        """
        lock_in_order(self._connection, [each for some in messages.values() for each in some])
        reserved: set[UUID] = set()
        for chunk_id, job_ids in messages.items():
            rows = self._connection.execute(
                sa.update(JOB)
                .where(JOB.c.id.in_(job_ids), *_unsent(now))
                .values(not_before=until, chunk_id=chunk_id)
                .returning(JOB.c.id)
            )
            reserved |= set(rows.scalars())
        return reserved

    def messages(self, keys: Collection[Key]) -> dict[Key, int]:
        """How many messages with pending jobs of these owners were sent, as far as is noted."""
        rows = self._connection.execute(
            sa.select(JOB.c.target, JOB.c.owner, sa.func.count(MESSAGE.distinct()))
            .where(sa.text(PENDING), JOB.c.sent_at.is_not(None), MESSAGE.not_in(IN_HAND))
            .where(sa.tuple_(JOB.c.target, JOB.c.owner).in_(list(keys)))
            .group_by(JOB.c.target, JOB.c.owner)
        )
        return {(target, owner): int(number) for target, owner, number in rows}

    def pending_among(self, job_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these jobs that are pending."""
        statement = sa.select(JOB.c.id).where(sa.text(PENDING), JOB.c.id.in_(job_ids))
        return set(self._connection.execute(statement).scalars())

    def others_wait(self, job_id: UUID, since: datetime) -> bool:
        """Whether jobs of other owners wait for a slot at the target of a job.

        Those are in the queue, or came just now. What has been left in the database, its
        owner having no turn, waits for no slot.

        Args:
            job_id: The job.
            since: From when on a job may be in the queue without a note of it.
        """
        own = self._connection.execute(
            sa.select(JOB.c.target, JOB.c.owner).where(JOB.c.id == job_id)
        ).one_or_none()
        if own is None:
            return False
        other = self._next_owner(own.target)
        while other is not None:
            if other != own.owner and self._is_in_queue(own.target, other, since):
                return True
            # From owner to owner by the index: what one has waiting is not gone through.
            other = self._next_owner(own.target, other)
        return False

    def _next_owner(self, target: str, after: str | None = None) -> str | None:
        """The first owner with pending jobs at a target, in an order of their own."""
        statement = sa.select(JOB.c.owner).where(sa.text(PENDING), JOB.c.target == target)
        if after is not None:
            statement = statement.where(JOB.c.owner > after)
        return self._connection.scalar(statement.order_by(JOB.c.owner).limit(1))

    def _is_in_queue(self, target: str, owner: str, since: datetime) -> bool:
        theirs = (sa.text(PENDING), JOB.c.target == target, JOB.c.owner == owner)
        sent = sa.select(JOB.c.id).where(*theirs, JOB.c.sent_at.is_not(None)).exists()
        if self._connection.scalar(sa.select(sent)):
            return True
        # Any that is unsent, by the index: of one who has just come all are young.
        created_at = self._connection.scalar(
            sa.select(JOB.c.created_at)
            .where(*theirs, JOB.c.sent_at.is_(None))
            .order_by(JOB.c.sent_at, JOB.c.priority, JOB.c.id)
            .limit(1)
        )
        return created_at is not None and created_at >= since


def _unsent(now: datetime) -> tuple[sa.ColumnElement[bool] | sa.TextClause, ...]:
    return (*_sendable(now), ~is_paused())


def _sendable(now: datetime) -> tuple[sa.ColumnElement[bool] | sa.TextClause, ...]:
    """Of a target that is not paused."""
    return (
        # Spelled as the partial index is, so that it is used.
        sa.text(PENDING),
        JOB.c.sent_at.is_(None),
        sa.or_(JOB.c.not_before.is_(None), JOB.c.not_before <= now),
    )
