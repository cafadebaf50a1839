"""What an attempt came to, as the database is told; again and again while it is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from app.jobs import Claim, Failed, Finished
from app.work import WorkService
from qdispatch.errors import UnavailableError
from qdispatch.model import ErrorKind, JobStatus
from tasks.supervise import Fault, Outcome, Stopped, StopRequest

T = TypeVar("T")

_log = logging.getLogger(__name__)

# While the database is away, in seconds.
_RETRY_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What became of an attempt."""

    status: JobStatus | None
    """The job's final status by this attempt, or canceled; None if the attempt
    changed nothing and the job is somebody else's."""
    attempt: int = 0
    error: Failed | None = None


def defect() -> Failed:
    """What a job fails with that has met something unforeseen."""
    return Failed(
        kind=ErrorKind.INTERNAL,
        message="a defect of the service; the worker's log, under the job's id, has it",
    )


class Settler:
    """Tells the database what attempts came to.

    Args:
        work: The database's side of it.
        stop: Why the worker might not wait for a database that is away.
    """

    def __init__(self, work: WorkService, stop: StopRequest) -> None:
        self._work = work
        self._stop = stop

    def until_there(self, what: object, step: Callable[[], T]) -> T:
        """Repeats a step as long as the database is away.

        Without it no other job can be run either, and every step is fenced:
        one that comes too late changes nothing.

        Args:
            what: Of which job the log is to speak.
            step: What to do.

        Raises:
            UnavailableError: It is away, and this worker is to stop.
        """
        while True:
            try:
                return step()
            except UnavailableError as error:
                _log.warning("job %s waits: %s", what, error)
                if self._stop.leaving:
                    raise
            time.sleep(_RETRY_S)

    def settle(self, claim: Claim, outcome: Outcome) -> Ending:
        """Notes the end of an attempt."""
        if isinstance(outcome, Stopped):
            return self.stopped(claim, outcome.cpu_s)
        if isinstance(outcome, Fault):
            return self._fault(claim, outcome.outcome)
        return self._record(claim, outcome)

    def _record(self, claim: Claim, outcome: Finished | Failed) -> Ending:
        if isinstance(outcome, Finished):
            held = self.until_there(claim.job_id, lambda: self._work.finish(claim, outcome))
        else:
            held = self.until_there(claim.job_id, lambda: self._work.fail(claim, outcome))
        return ending_of(claim, outcome) if held else self.stopped(claim, outcome.cpu_s)

    def _fault(self, claim: Claim, outcome: Failed) -> Ending:
        _log.error("job %s: attempt %d: %s", claim.job_id, claim.attempt, outcome.message)
        status = self.until_there(claim.job_id, lambda: self._work.fault(claim, outcome))
        if status is JobStatus.FAILED:
            return Ending(status=status, attempt=claim.attempt, error=outcome)
        if status is None:
            return self.stopped(claim, outcome.cpu_s)
        return Ending(status=None, attempt=claim.attempt)

    def stopped(self, claim: Claim, cpu_s: float = 0.0) -> Ending:
        """Nothing of the job runs here any more: settles what that means for it.

        Args:
            claim: On the job.
            cpu_s: Processor time that the attempt took.
        """
        ended = False
        if self._stop.leaving:
            ended = self.until_there(claim.job_id, lambda: self._work.hand_over(claim, cpu_s))
        elif self._stop.terminated:
            ended = self.until_there(claim.job_id, lambda: self._work.cancel(claim, cpu_s))
        left_s = 0.0 if ended else cpu_s
        status = self.until_there(claim.job_id, lambda: self._work.confirm_stop(claim, left_s))
        _log.info("job %s: stopped, %s", claim.job_id, status)
        return Ending(status=canceled(status), attempt=claim.attempt)

    def not_claimed(self, job_id: UUID) -> Ending:
        """What is to be said of a job that could not be claimed."""
        # Celery is to know of a cancellation, however it came about.
        return Ending(status=canceled(self._work.status(job_id)))


def ending_of(claim: Claim, outcome: Finished | Failed) -> Ending:
    """What a job that has ended by this attempt has come to."""
    finished = isinstance(outcome, Finished)
    ending = Ending(
        status=JobStatus.FINISHED if finished else JobStatus.FAILED,
        attempt=claim.attempt,
        error=outcome if isinstance(outcome, Failed) else None,
    )
    # Why in full is for its owner: it may quote the program.
    kind = f" ({outcome.kind})" if isinstance(outcome, Failed) else ""
    _log.info("job %s: %s%s", claim.job_id, ending.status, kind)
    return ending


def canceled(status: JobStatus | None) -> JobStatus | None:
    """The status if it is canceled; else nothing that Celery is to know."""
    return status if status is JobStatus.CANCELED else None
