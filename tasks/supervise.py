"""One claimed job in its engine: waits for what comes of it, and for what may end it."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from app.jobs import Claim, Failed, Finished
from app.programs import ProgramLostError
from app.work import WorkService
from qdispatch.errors import UnavailableError
from qdispatch.model import ErrorKind, JobSpec
from tasks.engine import (
    EngineError,
    Event,
    Exited,
    ImpatientError,
    OverMemory,
    Patience,
    Progress,
    Signal,
)
from tasks.memory import available_bytes

_log = logging.getLogger(__name__)

# While the folder of program files is away, in seconds.
_RETRY_S: Final = 1.0
# How often a worker looks whether it still has its job, in seconds: what the
# broker says of a cancellation comes sooner, or never.
_LOOK_S: Final = 1.0

_GIB: Final = 2**30


class EngineSeam(Protocol):
    """What is needed of an engine; see `tasks.engine.Engine`."""

    def submit(self, spec: JobSpec, patience: Patience) -> None:
        """Gives it a job; waits for it as long as there is patience."""

    def wait(self, timeout_s: float) -> Event:
        """Waits for what comes next."""

    def cpu_s(self) -> float:
        """Processor time that its job has taken so far, in seconds."""

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


class HoldSeam(Protocol):
    """A worker's hold on the job that runs; see `tasks.holds`."""

    def note(self, points_done: int) -> None:
        """Notes how far its sweep is."""

    def lasts(self) -> bool:
        """Whether the job is still this attempt's."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An attempt was cut short, maybe through no fault of its job; another may follow."""

    outcome: Failed
    """What the job has failed with if none follows."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The job was canceled or given away, or the worker stops."""

    cpu_s: float = 0.0
    """Processor time that the attempt took."""


#: What an attempt came to.
Outcome: TypeAlias = Finished | Failed | Fault | Stopped


class Supervisor:
    """Has the slot's engine run claimed jobs, one at a time.

    Args:
        work: The database's side of it.
        engine: The slot's.
        stop: Looked at whenever the engine's wait is woken.
        began: Told once of a job that has run for a moment.
        moment_s: How long that is, in seconds.
    """

    def __init__(
        self,
        *,
        work: WorkService,
        engine: EngineSeam,
        stop: StopRequest,
        began: Callable[[Claim], None] = lambda _: None,
        moment_s: float,
    ) -> None:
        self._work = work
        self._engine = engine
        self._stop = stop
        self._began = began
        self._moment_s = moment_s

    def outcome(self, claim: Claim, hold: HoldSeam) -> Outcome:
        """Runs a job to whatever end."""
        try:
            program = self._program(claim, hold)
            if program is None:
                return Stopped()
            return self._supervise(claim, replace(claim.spec, program=program), hold)
        except ProgramLostError as error:
            return Failed(kind=ErrorKind.PROGRAM_LOST, message=f"{error}; submit it again")
        except ImpatientError:
            return Stopped()
        except EngineError as error:
            _log.critical("job %s: %s", claim.job_id, error)
            return Fault(outcome=_no_engine(error))

    def _program(self, claim: Claim, hold: HoldSeam) -> str | None:
        """The program of a job; None if the job was stopped while the folder was away."""
        while True:
            try:
                return self._work.program(claim.job_id)
            except UnavailableError as error:
                _log.warning("job %s waits: %s", claim.job_id, error)
            if not self._goes_on(hold):
                return None
            time.sleep(_RETRY_S)

    def _supervise(self, claim: Claim, spec: JobSpec, hold: HoldSeam) -> Outcome:
        """Waits for the engine, and for whatever else may end the run."""
        self._engine.submit(spec, lambda: self._goes_on(hold))
        # Waiting for an engine is no part of the run.
        limit_s = spec.time_limit_s
        now = time.monotonic()
        deadline = float("inf") if limit_s is None else now + limit_s
        look_at = now + _LOOK_S
        announce_at = now + self._moment_s
        while True:
            until = min(deadline, look_at, announce_at)
            event = self._engine.wait(max(0.0, until - time.monotonic()))
            if isinstance(event, Finished | Failed):
                return event
            if isinstance(event, Exited):
                return _died(event, limit_s)
            if isinstance(event, OverMemory):
                return _over_memory(event, self._killed())
            now = time.monotonic()
            if now >= deadline:
                return _over_time(limit_s or 0.0, self._killed())
            # These are no reason to look: nobody has asked for it, so it comes when it is due.
            minor = isinstance(event, Progress)
            if isinstance(event, Progress):
                hold.note(event.points_done)
            if now >= announce_at:
                announce_at = float("inf")
                self._began(claim)
                minor = minor or event is Signal.TIMEOUT
            if minor and now < look_at:
                continue
            if not self._goes_on(hold):
                return Stopped(cpu_s=self._killed())
            look_at = time.monotonic() + _LOOK_S

    def _killed(self) -> float:
        """Kills the engine; gives the processor time that its job took."""
        cpu_s = self._engine.cpu_s()
        self._engine.kill()
        return cpu_s

    def _goes_on(self, hold: HoldSeam) -> bool:
        return not (self._stop.terminated or self._stop.leaving) and hold.lasts()


def _died(event: Exited, limit_s: float | None) -> Failed | Fault:
    peak = event.peak_bytes
    if event.signal == signal.SIGXCPU:
        return _over_processor_time(limit_s or 0.0, peak)
    if event.signal == signal.SIGXFSZ:
        return Failed(
            kind=ErrorKind.UNSUPPORTED,
            message="the simulator was ended, for it wrote a file larger than all results may be"
            " (jobs.max_result_bytes)",
            peak_memory_bytes=peak,
        )
    if event.out_of_memory:
        return Failed(
            kind=ErrorKind.OUT_OF_MEMORY,
            message=f"the simulator was lost ({event}) for want of memory, when it held"
            f" {peak / _GIB:.2f} GiB and the machine had"
            f" {available_bytes() / _GIB:.2f} GiB left; use fewer qubits",
            peak_memory_bytes=peak,
            cpu_s=event.cpu_s,
        )
    if event.with_all:
        kind, text = ErrorKind.WORKER_LOST, "the worker lost the simulator that ran this job"
    else:
        kind, text = ErrorKind.CRASHED, f"the simulator died while it ran this job: {event}"
    return Fault(outcome=Failed(kind=kind, message=text, peak_memory_bytes=peak, cpu_s=event.cpu_s))


def _no_engine(error: EngineError) -> Failed:
    return Failed(kind=ErrorKind.INTERNAL, message=f"no engine could be started: {error}")


def _over_memory(event: OverMemory, cpu_s: float) -> Failed:
    return Failed(
        kind=ErrorKind.OUT_OF_MEMORY,
        message=f"the run took {event.taken_bytes / _GIB:.2f} GiB, over the limit of this target,"
        f" {event.limit_bytes / _GIB:.2f} GiB; use fewer qubits",
        peak_memory_bytes=event.peak_bytes,
        cpu_s=cpu_s,
    )


def _over_time(limit_s: float, cpu_s: float) -> Failed:
    return Failed(
        kind=ErrorKind.TIME_LIMIT,
        message=f"the run took longer than its time limit of {limit_s:g} s;"
        " raise time_limit_s, or make the circuit or the number of shots smaller",
        cpu_s=cpu_s,
    )


def _over_processor_time(limit_s: float, peak_bytes: int) -> Failed:
    return Failed(
        kind=ErrorKind.TIME_LIMIT,
        message="the run took more processor time than all threads of this target have in its"
        f" time limit of {limit_s:g} s; raise time_limit_s, or make the circuit or the number of"
        " shots smaller",
        peak_memory_bytes=peak_bytes,
    )
