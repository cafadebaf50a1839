"""claim -> simulate -> finish: what a slot does with a job's id. Knows no Celery."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from app.jobs import Claim
from app.work import WorkService
from qdispatch.errors import UnavailableError
from tasks.holds import Hold
from tasks.settle import Ending, Settler, defect
from tasks.supervise import EngineSeam, StopRequest, Supervisor

_log = logging.getLogger(__name__)


class JobRunner:
    """Runs one job at a time.

    Args:
        work: The database's side of it.
        engine: The slot's.
        worker: This worker's node name.
        stop: Looked at whenever the engine's wait is woken.
        changed: Told of jobs whose status has changed, for the sake of those who watch.
    """

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
        self._changed = changed
        self._settler = Settler(work, stop)
        self._supervisor = Supervisor(
            work=work, engine=engine, stop=stop, began=lambda claim: changed([claim.job_id])
        )

    def run(self, job_id: UUID) -> Ending:
        """Runs a job, unless it is final or another attempt has it.

        Raises:
            UnavailableError: The worker is to stop, and could not even claim it.
        """
        claim = self._settler.until_there(job_id, lambda: self._work.claim(job_id, self._worker))
        if claim is None:
            return self._settler.not_claimed(job_id)
        try:
            ending = self._end(claim)
        except UnavailableError:
            # The worker stops: the lease lapses, and another attempt follows.
            self._engine.kill()
            return Ending(status=None, attempt=claim.attempt)
        self._changed([job_id])
        return ending

    def _end(self, claim: Claim) -> Ending:
        _log.info(
            "job %s: attempt %d, %s on %d qubits",
            claim.job_id,
            claim.attempt,
            "+".join(claim.spec.result_types),
            claim.spec.n_qubits,
        )
        try:
            outcome = self._supervisor.outcome(claim, Hold(self._work, claim))
            return self._settler.settle(claim, outcome)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - the job must end, whatever it was
            _log.exception("job %s: unforeseen", claim.job_id)
            self._engine.kill()
            return self._settler.settle(claim, defect())
