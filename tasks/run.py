"""claim -> simulate -> finish: what a slot does with a job's id. Knows no Celery."""

from __future__ import annotations

import logging
from uuid import UUID

from app.jobs import Claim
from qdispatch.errors import UnavailableError
from tasks.holds import Hold
from tasks.runner import Runner
from tasks.settle import Ending

_log = logging.getLogger(__name__)


class JobRunner(Runner):
    """Runs one job at a time."""

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
        return self._settled(claim, self._outcome(claim, Hold(self._work, claim)))
