"""A job's life, event by event, as it is kept in its row.

A line for each change of its status: the status, and the moment as ISO 8601 in
UTC. It is appended to by the very statement that changes the status, so that
neither is ever without the other.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from app.rows import JOB, JobRow
from qdispatch.model import JobEvent, JobStatus


def line(status: JobStatus, at: datetime) -> str:
    """A job's change to a status, as it is kept."""
    return f"{status.value} {at.astimezone(UTC).isoformat()}\n"


def appended(status: JobStatus, at: datetime) -> sa.ColumnElement[str]:
    """The life of a job that changes to a status, for an UPDATE."""
    return JOB.c.life + line(status, at)


def events_of(row: JobRow) -> tuple[JobEvent, ...]:
    """Every change of a job's status, first to last."""
    events: list[JobEvent] = []
    attempt = 0
    for number, text in enumerate(row.life.splitlines(), 1):
        status, at = text.split(" ")
        attempt += status == JobStatus.RUNNING
        events.append(
            JobEvent(
                number=number,
                status=JobStatus(status),
                at=datetime.fromisoformat(at),
                attempt=attempt,
            )
        )
    if not events or events[-1].status is not row.status:
        # It was changed by a process of a version that keeps no events.
        at_last = row.finish_time or row.started_at or row.created_at
        events.append(
            JobEvent(number=len(events) + 1, status=row.status, at=at_last, attempt=row.attempt)
        )
    return tuple(events)
