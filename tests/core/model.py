"""A plain model of the whole life: what the service is expected to do, step by step.

Each method is one committed transaction, and answers as the service does. What
the service does after the commit (deleting a file, telling the dispatcher) is a
method of its own, since a lost answer leaves it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from app.jobs import Claim
from app.settings import JobSettings
from qdispatch.model import CancelVerdict, ErrorKind, JobStatus
from tests.fakes import ManualClock

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
FINISHED, CANCELED, FAILED = JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED


@dataclass(kw_only=True)
class ModelJob:
    """What is known of a job; the names are the columns'."""

    id: UUID
    request_id: str
    shots: int
    created_at: datetime
    status: JobStatus = PENDING
    attempt: int = 0
    faults: int = 0
    worker: str = ""
    sent_at: datetime | None = None
    started_at: datetime | None = None
    finish_time: datetime | None = None
    lease_until: datetime | None = None
    error_kind: str | None = None

    results: tuple[bytes, ...] = ()
    file: bool = True
    """Whether its program's file is there; once it is final, that is litter."""

    def columns(self) -> dict[str, object]:
        """What its row must hold."""
        others = ("results", "file")
        return {name: value for name, value in vars(self).items() if name not in others}


@dataclass(kw_only=True)
class Model:
    """All jobs, the messages about them, and the files."""

    settings: JobSettings
    clock: ManualClock
    jobs: dict[UUID, ModelJob] = field(default_factory=dict)
    orphans: dict[UUID, datetime] = field(default_factory=dict)
    """Files of submissions that came to nothing, and when they were written."""
    sends: list[tuple[UUID, int]] = field(default_factory=list)
    """Everything that was given to the dispatcher: the job, and its attempt then."""
    revocations: list[tuple[UUID, bool]] = field(default_factory=list)
    queued: Counter[UUID] = field(default_factory=Counter)
    """Messages at the broker that no worker has used up."""

    def having(self, status: JobStatus) -> list[ModelJob]:
        return [each for each in self.jobs.values() if each.status is status]

    # -- users

    def by_request(self, request_id: str) -> ModelJob | None:
        return next((each for each in self.jobs.values() if each.request_id == request_id), None)

    def submit(self, job_id: UUID, request_id: str, shots: int) -> None:
        self.jobs[job_id] = ModelJob(
            id=job_id, request_id=request_id, shots=shots, created_at=self.clock()
        )

    def cancel(self, job_id: UUID) -> tuple[CancelVerdict, JobStatus]:
        job = self.jobs[job_id]
        verdict = {
            PENDING: CancelVerdict.REMOVED_FROM_QUEUE,
            RUNNING: CancelVerdict.STOPPING,
        }.get(job.status, CancelVerdict.TOO_LATE)
        if verdict is not CancelVerdict.TOO_LATE:
            self._end(job, CANCELED)
        return verdict, job.status

    # -- workers

    def claim(self, job_id: UUID, worker: str) -> int | None:
        job = self.jobs[job_id]
        if job.status is not PENDING:
            return None
        job.status = RUNNING
        job.attempt += 1
        job.worker = worker
        job.started_at = self.clock()
        job.lease_until = self._lease()
        return job.attempt

    def holds(self, claim: Claim) -> bool:
        """Whether an attempt holds its job; every step of a worker asks for this first."""
        job = self.jobs[claim.job_id]
        return job.status is RUNNING and job.attempt == claim.attempt

    def renew(self, claim: Claim) -> bool:
        if self.holds(claim):
            self.jobs[claim.job_id].lease_until = self._lease()
        return self.holds(claim)

    def finish(self, claim: Claim, results: Iterable[bytes]) -> bool:
        if not self.holds(claim):
            return False
        self._end(self.jobs[claim.job_id], FINISHED).results = tuple(results)
        return True

    def fail(self, claim: Claim, kind: ErrorKind) -> bool:
        if not self.holds(claim):
            return False
        self._end(self.jobs[claim.job_id], FAILED).error_kind = kind.value
        return True

    def hand_over(self, claim: Claim) -> bool:
        if not self.holds(claim):
            return False
        self._give_back(self.jobs[claim.job_id])
        return True

    def terminate(self, claim: Claim) -> bool:
        """An operator terminates the task of an attempt."""
        if not self.holds(claim):
            return False
        self._end(self.jobs[claim.job_id], CANCELED)
        return True

    def revoke(self, job_id: UUID) -> bool:
        """An operator revokes a job's message."""
        if self.jobs[job_id].status is not PENDING:
            return False
        self._end(self.jobs[job_id], CANCELED)
        return True

    # -- sweep

    def lapsed(self) -> list[ModelJob]:
        return [each for each in self.jobs.values() if each.lease_until and self._over(each)]

    def recover(self, job: ModelJob) -> None:
        """What becomes of one job whose worker was not heard of again."""
        if job.attempt < self.settings.max_attempts:
            self._give_back(job)
        else:
            self._end(job, FAILED).error_kind = ErrorKind.WORKER_LOST.value

    def unsent(self) -> list[ModelJob]:
        before = self._ago(self.settings.resend_after_s)
        return [
            each
            for each in sorted(self.jobs.values(), key=lambda job: job.id)
            if each.status is PENDING and each.sent_at is None and each.created_at < before
        ]

    def mark_sent(self, job_id: UUID, attempt: int) -> None:
        job = self.jobs[job_id]
        if job.status is PENDING and job.attempt == attempt:
            job.sent_at = self.clock()

    def litter(self) -> set[UUID]:
        """Files that the sweep may remove by now."""
        before = self._ago(self.settings.orphan_after_s)
        return {job_id for job_id, written_at in self._spare_files() if written_at < before}

    def tidy(self, removed: Iterable[UUID]) -> None:
        for each in removed:
            self.orphans.pop(each, None)
            self.delete_file(each)

    # -- after a commit

    def send(self, job: ModelJob) -> None:
        self.sends.append((job.id, job.attempt))
        self.queued[job.id] += 1

    def delete_file(self, job_id: UUID) -> None:
        if job_id in self.jobs:
            self.jobs[job_id].file = False

    def files(self) -> set[UUID]:
        return {each.id for each in self.jobs.values() if each.file} | set(self.orphans)

    # -- steps that several have in common

    def _end(self, job: ModelJob, status: JobStatus) -> ModelJob:
        job.status = status
        job.finish_time = self.clock()
        job.lease_until = None
        return job

    def _give_back(self, job: ModelJob) -> None:
        job.status = PENDING
        job.lease_until = None
        job.sent_at = None

    def _over(self, job: ModelJob) -> bool:
        return job.lease_until is not None and job.lease_until < self.clock()

    def _spare_files(self) -> Iterator[tuple[UUID, datetime]]:
        yield from self.orphans.items()
        for job in self.jobs.values():
            if job.file and job.status.is_final:
                yield job.id, job.created_at

    def _ago(self, seconds: float) -> datetime:
        return self.clock() - timedelta(seconds=seconds)

    def _lease(self) -> datetime:
        return self.clock() + timedelta(seconds=self.settings.lease_s)
