"""The vocabulary of batches, of lists, and of what watchers are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from qdispatch.model import JobEvent, JobInfo, JobStatus


@dataclass(frozen=True, kw_only=True)
class BatchInfo:
    """A submission of many jobs, as the server knows it at one moment.

    The numbers by status add up to less than ``size`` once jobs are deleted.
    """

    id: str
    """UUIDv7, 36 characters."""
    owner: str
    """Who submitted it."""
    request_id: str
    """The client's id of this submission."""
    created_at: datetime
    """When the server accepted it, UTC."""
    size: int
    """How many jobs it was submitted with."""
    pending: int = 0
    """Jobs that wait."""
    running: int = 0
    """Jobs that run."""
    finished: int = 0
    """Jobs that ended with results."""
    canceled: int = 0
    """Jobs that were canceled."""
    failed: int = 0
    """Jobs that ended by an error."""

    @property
    def is_final(self) -> bool:
        """Whether none of its jobs will ever change again."""
        return not (self.pending or self.running)

    @property
    def done(self) -> int:
        """How many of its jobs are final, or deleted."""
        return self.size - self.pending - self.running


@dataclass(frozen=True, kw_only=True)
class BatchEvent:
    """An event of one of a batch's jobs."""

    job_id: str
    """Of the job."""
    batch_index: int
    """The job's place in the submission, from 0."""
    event: JobEvent
    """What has happened to it."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A moment: nine in ten are expected between ``lower`` and ``upper``, UTC."""

    lower: datetime
    """One in twenty is expected before this."""
    expected: datetime
    """Half of them are expected before this."""
    upper: datetime
    """One in twenty is expected after this."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is to be expected of a job, or of the last job of a batch."""

    queue_position: int | None = None
    """1 for the job that is next; of a pending job only. Of a batch: of its
    first pending job."""
    start: Estimate | None = None
    """When it is expected to start; None if it has, or nothing is known."""
    finish: Estimate | None = None
    """When it is expected to end; None if nothing is known."""


@dataclass(frozen=True, kw_only=True)
class JobUpdate:
    """What a watcher of a job is told."""

    job: JobInfo
    """The job now, without its events; with its results if they came along."""
    events: tuple[JobEvent, ...] = ()
    """What has happened since the last update, in order; empty if only the
    outlook or the points done have changed."""
    outlook: Outlook = field(default_factory=Outlook)
    """What is to be expected of it from now on."""


@dataclass(frozen=True, kw_only=True)
class BatchUpdate:
    """What a watcher of a batch is told."""

    batch: BatchInfo
    """The batch now."""
    events: tuple[BatchEvent, ...] = ()
    """What has happened since the last update."""
    outlook: Outlook = field(default_factory=Outlook)
    """When its last job is expected to end."""


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list; what is empty or None lets all pass."""

    statuses: tuple[JobStatus, ...] = ()
    """Any of these."""
    target: str = ""
    """Name of the target."""
    tag: str = ""
    """One of the job's tags."""
    batch_id: str = ""
    """Of the batch that it belongs to."""
    created_after: datetime | None = None
    """At or after this moment, UTC."""
    created_before: datetime | None = None
    """Before this moment, UTC."""
    owner: str = ""
    """Of this owner; administrators see the jobs of others."""
