"""claim -> simulate -> finish: what a slot does with a job's id. Knows no Celery."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar
from uuid import UUID

from app.jobs import Claim, Failed, Finished
from app.programs import ProgramLostError
from app.work import WorkService
from qdispatch.errors import UnavailableError
from qdispatch.model import ErrorKind, JobSpec, JobStatus
from tasks.engine import EngineError, Exited, Signal

T = TypeVar("T")

_log = logging.getLogger(__name__)

# While the database is away, in seconds.
_RETRY_S: Final = 1.0


class EngineSeam(Protocol):
    """What is needed of an engine; see `tasks.engine.Engine`."""

    def submit(self, spec: JobSpec) -> None:
        """Gives it a job."""

    def wait(self, timeout_s: float) -> Finished | Failed | Exited | Signal:
        """Waits for what comes next."""

    def kill(self) -> None:
        """Ends it, whatever it does."""


class StopRequest(Protocol):
    """Why a slot was told to stop its job, beside a cancellation in the database."""

    @property
    def terminated(self) -> bool:
        """An operator terminated the task."""

    @property
    def leaving(self) -> bool:
        """The worker is being stopped and does not wait."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What became of a message."""

    status: JobStatus | None
    """The job's final status by this attempt, or canceled; None if this
    message changed nothing and the job is somebody else's."""
    attempt: int = 0
    error: Failed | None = None


class JobRunner:
    """Runs one job at a time.

    Args:
        work: The database's side of it.
        engine: The slot's.
        worker: This worker's node name.
        stop: Looked at whenever the engine's wait is woken.
    """

    def __init__(
        self, *, work: WorkService, engine: EngineSeam, worker: str, stop: StopRequest
    ) -> None:
        self._work = work
        self._engine = engine
        self._worker = worker
        self._stop = stop

    def run(self, job_id: UUID) -> Ending:
        """Runs a job, unless it is final or another attempt has it.

        Raises:
            UnavailableError: The worker is to stop, and could not even claim it.
        """
        claim = self._until_there(job_id, lambda: self._work.claim(job_id, self._worker))
        if claim is None:
            status = self._work.status(job_id)
            # Celery is to know of a cancellation, however it came about.
            canceled = status is JobStatus.CANCELED
            return Ending(status=JobStatus.CANCELED if canceled else None)
        _log.info(
            "job %s: attempt %d, %s on %d qubits",
            job_id,
            claim.attempt,
            "+".join(claim.spec.result_types),
            claim.spec.n_qubits,
        )
        try:
            return self._run(claim)
        except UnavailableError:
            # The worker stops: the lease lapses, and another attempt follows.
            self._engine.kill()
            return Ending(status=None, attempt=claim.attempt)
        except Exception:  # noqa: BLE001 - the job must end, whatever it was
            _log.exception("job %s: unforeseen", job_id)
            self._engine.kill()
            defect = Failed(
                kind=ErrorKind.INTERNAL,
                message="a defect of the service; the worker's log, under the job's id, has it",
            )
            return self._record(claim, defect)

    def _until_there(self, job_id: UUID, step: Callable[[], T]) -> T:
        """Repeats a step as long as the database, or the program's folder, is away.

        Without it no other job can be run either, and every step is fenced:
        one that comes too late changes nothing.

        Raises:
            UnavailableError: It is away, and this worker is to stop.
        """
        while True:
            try:
                return step()
            except UnavailableError as error:
                _log.warning("job %s waits: %s", job_id, error)
                if self._stop.leaving:
                    raise
            time.sleep(_RETRY_S)

    def _run(self, claim: Claim) -> Ending:
        try:
            program = self._until_there(claim.job_id, lambda: self._work.program(claim.job_id))
            outcome = self._supervise(claim, replace(claim.spec, program=program))
        except ProgramLostError as error:
            outcome = Failed(kind=ErrorKind.PROGRAM_LOST, message=f"{error}; submit it again")
        except EngineError as error:
            _log.critical("job %s: %s", claim.job_id, error)
            outcome = Failed(
                kind=ErrorKind.INTERNAL, message=f"no engine could be started: {error}"
            )
        if outcome is None:
            return self._stopped(claim)
        return self._record(claim, outcome)

    def _record(self, claim: Claim, outcome: Finished | Failed) -> Ending:
        if isinstance(outcome, Finished):
            held = self._until_there(claim.job_id, lambda: self._work.finish(claim, outcome))
            ending = Ending(status=JobStatus.FINISHED, attempt=claim.attempt)
        else:
            held = self._until_there(claim.job_id, lambda: self._work.fail(claim, outcome))
            ending = Ending(status=JobStatus.FAILED, attempt=claim.attempt, error=outcome)
        if not held:
            return self._stopped(claim)
        _log.info("job %s: %s", claim.job_id, ending.status)
        return ending

    def _supervise(self, claim: Claim, spec: JobSpec) -> Finished | Failed | None:
        """Waits for the engine; None if the job was stopped."""
        limit_s = spec.time_limit_s
        now = time.monotonic()
        deadline = now + limit_s if limit_s is not None else float("inf")
        renew_at = now + self._work.lease_s / 3
        self._engine.submit(spec)
        while True:
            event = self._engine.wait(max(0.0, min(deadline, renew_at) - time.monotonic()))
            if isinstance(event, Finished | Failed):
                return event
            if isinstance(event, Exited):
                if event.with_all:
                    _log.error("job %s: the fork server died", claim.job_id)
                    self._work.hand_over(claim)
                    return None
                return _crashed(event)
            now = time.monotonic()
            if now >= deadline:
                self._engine.kill()
                return _over_time(limit_s or 0.0)
            if event is Signal.WOKEN or now >= renew_at:
                renew_at = now + self._work.lease_s / 3
                if self._stop.terminated or self._stop.leaving or not self._holds(claim):
                    self._engine.kill()
                    return None

    def _holds(self, claim: Claim) -> bool:
        try:
            return self._work.renew(claim)
        except UnavailableError as error:
            # Go on: if the job was given away meanwhile, its end changes nothing.
            _log.warning("cannot renew the lease of job %s: %s", claim.job_id, error)
            return True

    def _stopped(self, claim: Claim) -> Ending:
        if self._stop.leaving:
            self._work.hand_over(claim)
        elif self._stop.terminated:
            self._work.cancel(claim)
        status = self._work.status(claim.job_id)
        _log.info("job %s: stopped, %s", claim.job_id, status)
        canceled = status is JobStatus.CANCELED
        return Ending(status=JobStatus.CANCELED if canceled else None, attempt=claim.attempt)


def _crashed(event: Exited) -> Failed:
    return Failed(
        kind=ErrorKind.CRASHED, message=f"the simulator died while it ran this job: {event}"
    )


def _over_time(limit_s: float) -> Failed:
    return Failed(
        kind=ErrorKind.TIME_LIMIT,
        message=f"the run took longer than its time limit of {limit_s:g} s;"
        " raise time_limit_s, or make the circuit or the number of shots smaller",
    )
