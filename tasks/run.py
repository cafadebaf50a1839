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
from tasks.engine import (
    EngineError,
    Event,
    Exited,
    ImpatientError,
    OverMemory,
    Patience,
    Progress,
)
from tasks.memory import available_bytes

T = TypeVar("T")

_log = logging.getLogger(__name__)

# While the database is away, in seconds.
_RETRY_S: Final = 1.0
# How often a worker looks whether it still has its job, in seconds: what the
# broker says of a cancellation comes sooner, or never.
_LOOK_S: Final = 1.0

# How often the progress of a sweep is noted at most, in seconds.
_NOTE_S: Final = 0.5

_GIB: Final = 2**30


class EngineSeam(Protocol):
    """What is needed of an engine; see `tasks.engine.Engine`."""

    def submit(self, spec: JobSpec, patience: Patience) -> None:
        """Gives it a job; waits for it as long as there is patience."""

    def wait(self, timeout_s: float) -> Event:
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
class _Fault:
    """An attempt was cut short, maybe through no fault of its job; another may follow."""

    outcome: Failed
    """What the job has failed with if none follows."""


class _Stopped:
    """The job was canceled or given away, or the worker stops."""


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
        """Repeats a step as long as the database is away.

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
        hold = _Hold(self._work, claim)
        outcome: Finished | Failed | _Fault | _Stopped
        try:
            program = self._program(claim, hold)
            outcome = (
                _Stopped()
                if program is None
                else self._supervise(replace(claim.spec, program=program), hold)
            )
        except ProgramLostError as error:
            outcome = Failed(kind=ErrorKind.PROGRAM_LOST, message=f"{error}; submit it again")
        except ImpatientError:
            outcome = _Stopped()
        except EngineError as error:
            _log.critical("job %s: %s", claim.job_id, error)
            outcome = _Fault(outcome=_no_engine(error))
        if isinstance(outcome, _Stopped):
            return self._stopped(claim)
        if isinstance(outcome, _Fault):
            return self._record_fault(claim, outcome.outcome)
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

    def _record_fault(self, claim: Claim, outcome: Failed) -> Ending:
        _log.error("job %s: attempt %d: %s", claim.job_id, claim.attempt, outcome.message)
        status = self._until_there(claim.job_id, lambda: self._work.fault(claim, outcome))
        if status is JobStatus.FAILED:
            return Ending(status=status, attempt=claim.attempt, error=outcome)
        if status is None:
            return self._stopped(claim)
        return Ending(status=None, attempt=claim.attempt)

    def _program(self, claim: Claim, hold: _Hold) -> str | None:
        """The program of a job; None if the job was stopped while the folder was away."""
        while True:
            try:
                return self._work.program(claim.job_id)
            except UnavailableError as error:
                _log.warning("job %s waits: %s", claim.job_id, error)
            if not self._goes_on(hold):
                return None
            time.sleep(_RETRY_S)

    def _supervise(self, spec: JobSpec, hold: _Hold) -> Finished | Failed | _Fault | _Stopped:
        """Waits for the engine, and for whatever else may end the run."""
        self._engine.submit(spec, lambda: self._goes_on(hold))
        # Waiting for an engine is no part of the run.
        limit_s = spec.time_limit_s
        now = time.monotonic()
        deadline = float("inf") if limit_s is None else now + limit_s
        look_at = now + _LOOK_S
        while True:
            event = self._engine.wait(max(0.0, min(deadline, look_at) - time.monotonic()))
            if isinstance(event, Finished | Failed):
                return event
            if isinstance(event, Exited):
                return _died(event)
            if isinstance(event, OverMemory):
                self._engine.kill()
                return _over_memory(event)
            if time.monotonic() >= deadline:
                self._engine.kill()
                return _over_time(limit_s or 0.0)
            if isinstance(event, Progress):
                hold.note(event.points_done)
                # Nobody has asked for a look, so it comes when it is due.
                if time.monotonic() < look_at:
                    continue
            if not self._goes_on(hold):
                self._engine.kill()
                return _Stopped()
            look_at = time.monotonic() + _LOOK_S

    def _goes_on(self, hold: _Hold) -> bool:
        return not (self._stop.terminated or self._stop.leaving) and hold.lasts()

    def _stopped(self, claim: Claim) -> Ending:
        """Nothing of the job runs here any more: settles what that means for it."""
        if self._stop.leaving:
            self._until_there(claim.job_id, lambda: self._work.hand_over(claim))
        elif self._stop.terminated:
            self._until_there(claim.job_id, lambda: self._work.cancel(claim))
        status = self._until_there(claim.job_id, lambda: self._work.confirm_stop(claim))
        _log.info("job %s: stopped, %s", claim.job_id, status)
        canceled = status is JobStatus.CANCELED
        return Ending(status=JobStatus.CANCELED if canceled else None, attempt=claim.attempt)


class _Hold:
    """A worker's hold on a job: looked at often, and renewed three times in a lease.

    Args:
        work: The database's side of it.
        claim: The job.
    """

    def __init__(self, work: WorkService, claim: Claim) -> None:
        self._work = work
        self._claim = claim
        self._renew_at = time.monotonic() + work.lease_s / 3
        self._note_at = 0.0
        self._noted = self._points_done = 0

    def note(self, points_done: int) -> None:
        """Notes how far the sweep is, unless that was done a moment ago."""
        self._points_done = points_done
        now = time.monotonic()
        if now < self._note_at or self._noted == points_done:
            return
        self._note_at = now + _NOTE_S
        try:
            self._work.progress(self._claim, points_done)
        except UnavailableError as error:
            _log.warning("cannot note the progress of job %s: %s", self._claim.job_id, error)
            return
        self._noted = points_done

    def lasts(self) -> bool:
        """Whether the job is still this attempt's."""
        # What came too soon after another to be noted.
        self.note(self._points_done)
        try:
            if time.monotonic() < self._renew_at:
                return self._work.holds(self._claim)
            held = self._work.renew(self._claim)
        except UnavailableError as error:
            # Go on: if the job was given away meanwhile, its end changes nothing.
            _log.warning("cannot look after job %s: %s", self._claim.job_id, error)
            return True
        self._renew_at = time.monotonic() + self._work.lease_s / 3
        return held


def _died(event: Exited) -> Failed | _Fault:
    peak = event.peak_bytes
    if event.out_of_memory:
        return Failed(
            kind=ErrorKind.OUT_OF_MEMORY,
            message=f"the simulator was lost ({event}) for want of memory, when it held"
            f" {peak / _GIB:.2f} GiB and the machine had"
            f" {available_bytes() / _GIB:.2f} GiB left; use fewer qubits",
            peak_memory_bytes=peak,
        )
    if event.with_all:
        text = "the worker lost the simulator that ran this job"
        return _Fault(
            outcome=Failed(kind=ErrorKind.WORKER_LOST, message=text, peak_memory_bytes=peak)
        )
    text = f"the simulator died while it ran this job: {event}"
    return _Fault(outcome=Failed(kind=ErrorKind.CRASHED, message=text, peak_memory_bytes=peak))


def _no_engine(error: EngineError) -> Failed:
    return Failed(kind=ErrorKind.INTERNAL, message=f"no engine could be started: {error}")


def _over_memory(event: OverMemory) -> Failed:
    return Failed(
        kind=ErrorKind.OUT_OF_MEMORY,
        message=f"the run took {event.taken_bytes / _GIB:.2f} GiB, over the limit of this target,"
        f" {event.limit_bytes / _GIB:.2f} GiB; use fewer qubits",
        peak_memory_bytes=event.peak_bytes,
    )


def _over_time(limit_s: float) -> Failed:
    return Failed(
        kind=ErrorKind.TIME_LIMIT,
        message=f"the run took longer than its time limit of {limit_s:g} s;"
        " raise time_limit_s, or make the circuit or the number of shots smaller",
    )
