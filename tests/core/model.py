"""A plain model of the whole life: what the service is expected to do, step by step.

Each method is one committed transaction, and answers as the service does. What
the service does after the commit (deleting a file, telling the dispatcher) is a
method of its own, since a lost answer leaves it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis.vendor.pretty import RepresentationPrinter

from app.jobs import Claim, retry_delay_s
from app.settings import JobSettings
from qdispatch.errors import JobActiveError
from qdispatch.model import CancelVerdict, ErrorKind, JobStatus, TargetState
from tests.fakes import ManualClock

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
FINISHED, CANCELED, FAILED = JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(kw_only=True, eq=False, repr=False)
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
    stopped_at: datetime | None = None
    not_before: datetime | None = None
    error_kind: str | None = None

    events: list[tuple[JobStatus, datetime, int]] = field(default_factory=list)
    """Every change of its status: what it became, when, and the attempt by then."""
    results: tuple[bytes, ...] = ()
    file: bool = True
    """Whether its program's file is there; once it is final, that is litter."""
    deleted: bool = False

    def __repr__(self) -> str:
        return f"<job {self.request_id}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        printer.text(repr(self))

    def columns(self) -> dict[str, object]:
        """What its row must hold."""
        others = ("events", "results", "file", "deleted")
        return {name: value for name, value in vars(self).items() if name not in others}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Attempt:
    """A claim that a worker has, whether or not it holds any more."""

    job: ModelJob
    claim: Claim

    def __repr__(self) -> str:
        return f"<attempt {self.claim.attempt} of {self.job}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        printer.text(repr(self))

    def holds(self) -> bool:
        return self.job.status is RUNNING and self.job.attempt == self.claim.attempt


@dataclass(kw_only=True)
class Model:
    """All jobs, the messages about them, and the files."""

    settings: JobSettings
    clock: ManualClock
    jobs: dict[UUID, ModelJob] = field(default_factory=dict)
    ever: list[UUID] = field(default_factory=list)
    """Those that were deleted as well."""
    orphans: dict[UUID, datetime] = field(default_factory=dict)
    """Files of submissions that came to nothing, and when they were written."""
    sends: list[tuple[UUID, int]] = field(default_factory=list)
    """Everything that was given to the dispatcher: the job, and its attempt then."""
    revocations: list[tuple[UUID, bool]] = field(default_factory=list)
    queued: Counter[UUID] = field(default_factory=Counter)
    """Messages at the broker that no worker has used up."""
    reached_at: datetime | None = _LONG_AGO
    """Since when the sweep has reached the database; None while it does not."""
    state: TargetState = TargetState.ACTIVE
    """Of the target, which is the same for all jobs."""

    # -- what there is

    def all(self) -> list[ModelJob]:
        """In the order of their ids, which is that of their submission."""
        return list(self.jobs.values())

    def having(self, status: JobStatus) -> list[ModelJob]:
        return [each for each in self.all() if each.status is status]

    def final(self) -> list[ModelJob]:
        return [each for each in self.all() if each.status.is_final]

    def waiting(self) -> list[ModelJob]:
        """Jobs with a message in the queue."""
        return [each for each in self.all() if self.queued[each.id]]

    def sent(self) -> list[ModelJob]:
        """Jobs that a message was ever sent for."""
        return [self.jobs[job_id] for job_id in dict(self.sends) if job_id in self.jobs]

    def sent_active(self) -> list[ModelJob]:
        return [each for each in self.sent() if not each.status.is_final]

    def contested(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """Those whose job runs, by them or by another attempt."""
        return [each for each in attempts if each.job.status is RUNNING]

    def stopped(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """Those whose job is with somebody else, or with nobody: they are to stop."""
        return [each for each in attempts if not each.holds()]

    # -- users

    def by_request(self, request_id: str) -> ModelJob | None:
        return next((each for each in self.all() if each.request_id == request_id), None)

    def submit(self, job_id: UUID, request_id: str, shots: int) -> ModelJob:
        self.ever.append(job_id)
        self.jobs[job_id] = ModelJob(
            id=job_id, request_id=request_id, shots=shots, created_at=self.clock()
        )
        return self._became(self.jobs[job_id], PENDING)

    def cancel(self, job: ModelJob) -> tuple[CancelVerdict, JobStatus]:
        unconfirmed = job.status is CANCELED and job.lease_until is not None
        verdict = {
            PENDING: CancelVerdict.REMOVED_FROM_QUEUE,
            RUNNING: CancelVerdict.STOPPING,
        }.get(job.status, CancelVerdict.STOPPING if unconfirmed else CancelVerdict.TOO_LATE)
        if not job.status.is_final:
            # The lease stays, until the worker confirms or lets it lapse.
            self._end(job, CANCELED, lease_until=job.lease_until)
        return verdict, job.status

    def delete(self, job: ModelJob) -> type[JobActiveError] | None:
        """Forgets a final job; its messages find nothing, and its file is anybody's."""
        if not job.status.is_final:
            return JobActiveError
        del self.jobs[job.id]
        del self.queued[job.id]
        job.deleted = True
        if job.file:
            self.orphans[job.id] = job.created_at
        return None

    # -- workers

    def claim(self, job: ModelJob, worker: str) -> int | None:
        if job.status is not PENDING:
            return None
        if self.state is TargetState.PAUSED:
            # Its message is used up, and it is for the sweep to send another.
            job.sent_at = None
            return None
        job.attempt += 1
        self._became(job, RUNNING)
        job.worker = worker
        job.started_at = self.clock()
        job.lease_until = self._lease()
        return job.attempt

    def renew(self, attempt: Attempt) -> bool:
        if attempt.holds():
            attempt.job.lease_until = self._lease()
        return attempt.holds()

    def finish(self, attempt: Attempt, results: Iterable[bytes]) -> bool:
        if not attempt.holds():
            return False
        self._end(attempt.job, FINISHED).results = tuple(results)
        return True

    def fail(self, attempt: Attempt, kind: ErrorKind) -> bool:
        if not attempt.holds():
            return False
        self._end(attempt.job, FAILED).error_kind = kind.value
        return True

    def hand_over(self, attempt: Attempt) -> bool:
        if not attempt.holds():
            return False
        self._give_back(attempt.job)
        return True

    def fault(self, attempt: Attempt) -> JobStatus | None:
        """A crash ends an attempt."""
        if not attempt.holds():
            return None
        self._count_fault(attempt.job, ErrorKind.CRASHED)
        return attempt.job.status

    def confirm_stop(self, attempt: Attempt) -> JobStatus | None:
        job = attempt.job
        if job.deleted:
            return None
        ran = job.status is CANCELED and job.attempt == attempt.claim.attempt
        if ran and job.stopped_at is None:
            job.stopped_at = self.clock()
            job.lease_until = None
        return job.status

    # -- operators

    def terminate(self, attempt: Attempt) -> bool:
        """Ends the task of an attempt."""
        if not attempt.holds():
            return False
        self._end(attempt.job, CANCELED).stopped_at = self.clock()
        return True

    def revoke(self, jobs: Iterable[ModelJob]) -> int:
        """Takes messages back."""
        active = [job for job in jobs if not job.status.is_final]
        for job in active:
            self.cancel(job)
        return len(active)

    # -- sweep

    def lapsed(self) -> list[ModelJob]:
        """Jobs that the sweep takes from their workers now."""
        now = self.clock()
        self.reached_at = self.reached_at or now
        if now - self.reached_at < timedelta(seconds=self.settings.lease_s / 3):
            return []
        return [each for each in self.all() if each.lease_until and each.lease_until < now]

    def recover(self, job: ModelJob) -> None:
        """What becomes of one of them."""
        if job.status is CANCELED:
            job.lease_until = None
        else:
            self._count_fault(job, ErrorKind.WORKER_LOST)

    def unsent(self) -> list[ModelJob]:
        now, before = self.clock(), self._ago(self.settings.resend_after_s)
        return [
            each
            for each in self.having(PENDING)
            if self.state is not TargetState.PAUSED
            and each.sent_at is None
            and each.created_at < before
            and (each.not_before is None or each.not_before <= now)
        ]

    def resend(self) -> list[ModelJob]:
        """Sends what was not sent; nobody else does so within the next seconds."""
        unsent = self.unsent()
        for job in unsent:
            job.not_before = self.clock() + timedelta(seconds=5)
        return unsent

    def lost(self) -> list[ModelJob]:
        """Jobs whose messages may be missing from the queue, as many as are missing."""
        before = self._ago(self.settings.lost_after_s)
        sent = [each for each in self.having(PENDING) if each.sent_at is not None]
        missing = max(0, len(sent) - self.queued.total())
        if self.state is TargetState.PAUSED:
            return []
        return [each for each in sent if each.sent_at and each.sent_at < before][:missing]

    def mark_sent(self, job_id: UUID, attempt: int) -> None:
        job = self.jobs.get(job_id)
        if job is None or self.state is TargetState.PAUSED:
            return
        if job.status is PENDING and job.attempt == attempt:
            job.sent_at = self.clock()

    def requeue(self) -> int:
        """Has the sweep send every pending job again."""
        for job in self.having(PENDING):
            job.sent_at = None
        return len(self.having(PENDING))

    def spare_files(self) -> dict[UUID, datetime]:
        """Files that no job needs, and when they were written."""
        left = [each for each in self.all() if each.file and each.status.is_final]
        return self.orphans | {each.id: each.created_at for each in left}

    def litter(self) -> set[UUID]:
        """Those that are old enough to be removed."""
        before = self._ago(self.settings.orphan_after_s)
        return {job_id for job_id, at in self.spare_files().items() if at < before}

    def tidy(self, removed: Iterable[UUID]) -> None:
        for each in removed:
            self.orphans.pop(each, None)
            if each in self.jobs:
                self.jobs[each].file = False

    # -- after a commit

    def send(self, job: ModelJob) -> None:
        self.sends.append((job.id, job.attempt))
        self.queued[job.id] += 1

    def files(self) -> set[UUID]:
        return {each.id for each in self.jobs.values() if each.file} | set(self.orphans)

    # -- steps that several have in common

    def _became(self, job: ModelJob, status: JobStatus) -> ModelJob:
        job.status = status
        job.events.append((status, self.clock(), job.attempt))
        return job

    def _end(
        self, job: ModelJob, status: JobStatus, lease_until: datetime | None = None
    ) -> ModelJob:
        self._became(job, status)
        job.finish_time = self.clock()
        job.lease_until = lease_until
        return job

    def _give_back(self, job: ModelJob, not_before: datetime | None = None) -> None:
        self._became(job, PENDING)
        job.lease_until = None
        job.sent_at = None
        job.not_before = not_before

    def _count_fault(self, job: ModelJob, kind: ErrorKind) -> None:
        job.faults += 1
        if job.faults < self.settings.max_attempts:
            delay_s = retry_delay_s(job.faults, self.settings.retry_delay_s)
            self._give_back(job, self.clock() + timedelta(seconds=delay_s))
        else:
            self._end(job, FAILED).error_kind = kind.value

    def _ago(self, seconds: float) -> datetime:
        return self.clock() - timedelta(seconds=seconds)

    def _lease(self) -> datetime:
        return self.clock() + timedelta(seconds=self.settings.lease_s)
