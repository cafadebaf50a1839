"""What running a job and running the jobs of a chunk have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from app.jobs import Claim
from app.work import WorkService
from qdispatch.errors import UnavailableError
from tasks.settle import Ending, Settler, defect
from tasks.supervise import EngineSeam, Fault, HoldSeam, Outcome, StopRequest, Supervisor

_log = logging.getLogger(__name__)


class Runner:
    """Runs claimed jobs in the slot's engine, and notes what they come to.

    Args:
        work: The database's side of it.
        engine: The slot's.
        worker: This worker's node name.
        stop: Looked at whenever the engine's wait is woken.
        changed: Told of jobs whose status has changed, for the sake of those who watch.
    """

    #: A job that runs longer than this is said to have begun, in seconds; of a shorter
    #: one, its watchers hear at its end. Nobody sees the difference, and all who are told
    #: take processor time from the simulation.
    moment_s: ClassVar[float] = 0.25

    def __init__(
        self,
        *,
        work: WorkService,
        engine: EngineSeam,
        worker: str,
        stop: StopRequest,
        changed: Callable[[Sequence[UUID]], None] = lambda _: None,
    ) -> None:
        self._work = work
        self._engine = engine
        self._worker = worker
        self._stop = stop
        self._changed = changed
        self._settler = Settler(work, stop)
        self._supervisor = Supervisor(
            work=work, engine=engine, stop=stop, began=self._began, moment_s=self.moment_s
        )

    def _began(self, claim: Claim) -> None:
        """A job has run for a moment."""
        self._changed([claim.job_id])

    def _outcome(self, claim: Claim, hold: HoldSeam) -> Outcome:
        """Runs a job to whatever end.

        Raises:
            UnavailableError: The worker is to stop.
        """
        try:
            return self._supervisor.outcome(claim, hold)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - the job must end, whatever it was
            _log.exception("job %s: unforeseen", claim.job_id)
            cpu_s = self._engine.cpu_s()
            self._engine.kill()
            return replace(defect(), cpu_s=cpu_s)

    def _settled(self, claim: Claim, outcome: Outcome) -> Ending:
        """Notes the end of a job by itself.

        Raises:
            UnavailableError: The worker is to stop.
        """
        try:
            return self._settler.settle(claim, outcome)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - the job must end, whatever it was
            _log.exception("job %s: unforeseen", claim.job_id)
            outcome = outcome.outcome if isinstance(outcome, Fault) else outcome
            return self._settler.settle(claim, replace(defect(), cpu_s=outcome.cpu_s))
