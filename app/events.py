"""A job's life, event by event, as it is kept in its row.

A line for each change of its status: the status, and the moment as ISO 8601 in
UTC. It is appended to by the very statement that changes the status, so that
neither is ever without the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias

import sqlalchemy as sa

from app.rows import JOB
from qdispatch.model import JobEvent, JobStatus

_Change: TypeAlias = tuple[JobStatus, datetime]

_PENDING, _RUNNING = JobStatus.PENDING, JobStatus.RUNNING

# Between two changes that never follow each other, a process has made another one
# that is of the version before, which keeps no events.
_BETWEEN: Final = {
    (_PENDING, _PENDING): _RUNNING,
    (_PENDING, JobStatus.FINISHED): _RUNNING,
    (_RUNNING, _RUNNING): _PENDING,
}


class Lived(Protocol):
    """As much of a job's row as its events are made of."""

    @property
    def status(self) -> JobStatus:
        """Where the job is."""

    @property
    def attempt(self) -> int:
        """How often it has been claimed."""

    @property
    def created_at(self) -> datetime:
        """When it was accepted."""

    @property
    def started_at(self) -> datetime | None:
        """When it was claimed last."""

    @property
    def finish_time(self) -> datetime | None:
        """When it ended."""

    @property
    def life(self) -> str:
        """What is kept."""


def line(status: JobStatus, at: datetime) -> str:
    """A job's change to a status, as it is kept."""
    return f"{status.value} {at.astimezone(UTC).isoformat()}\n"


def appended(status: JobStatus, at: datetime) -> sa.ColumnElement[str]:
    """The life of a job that changes to a status, for an UPDATE."""
    return JOB.c.life + line(status, at)


def events_of(row: Lived) -> tuple[JobEvent, ...]:
    """Every change of a job's status, first to last."""
    changes = tuple(_changes(row))
    # Claims of which nothing was kept come before all others.
    attempt = row.attempt - sum(status is _RUNNING for status, _ in changes)
    events: list[JobEvent] = []
    last = row.created_at
    for number, (status, at) in enumerate(changes, 1):
        attempt += status is _RUNNING
        claimed = 0 if number == 1 else attempt
        # Machines that change a job have clocks of their own.
        last = max(last, at)
        events.append(JobEvent(number=number, status=status, at=last, attempt=claimed))
    return tuple(events)


def _changes(row: Lived) -> Iterator[_Change]:
    """What is kept, and what must have happened besides."""
    kept = [_kept(text) for text in row.life.splitlines()]
    created = (_PENDING, row.created_at)
    if kept[:1] != [created]:
        kept.insert(0, created)
    before, at = kept[0]
    yield before, at
    claims = 0
    for status, moment in kept[1:]:
        # What nobody ever claimed was answered from the cache.
        between = _BETWEEN.get((before, status)) if row.attempt else None
        if between is not None:
            yield between, moment
        claims += _RUNNING in (between, status)
        yield status, moment
        before, at = status, moment
    if before is not row.status:
        yield from _untold(row, before, at, claimed=row.attempt > claims)


def _untold(row: Lived, before: JobStatus, at: datetime, *, claimed: bool) -> Iterator[_Change]:
    """The way from what is kept to where the job is."""
    began = max(at, row.started_at or at)
    if before is _PENDING and row.status is not _RUNNING and claimed:
        yield _RUNNING, began
    yield row.status, max(began, row.finish_time or began)


def _kept(text: str) -> _Change:
    status, at = text.split(" ")
    return JobStatus(status), datetime.fromisoformat(at)
