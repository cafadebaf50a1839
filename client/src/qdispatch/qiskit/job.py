"""A run of a backend."""

from __future__ import annotations

from typing import Any

from qiskit.providers import JobError, JobTimeoutError, JobV1

from qdispatch.client import Client
from qdispatch.errors import RequestError, WaitTimeoutError
from qdispatch.model import CancelVerdict
from qdispatch.qiskit.results import result_of
from qdispatch.qiskit.statuses import status_of


class Job(JobV1):  # type: ignore[misc]
    """One call of `Backend.run`: a batch, with a job for each circuit.

    Args:
        backend: The backend that it runs on.
        batch: The batch; its id is the run's.

    Attributes:
        batch: As given.
    """

    def __init__(self, backend: Any, batch: Any) -> None:
        super().__init__(backend, batch.id)
        self.batch = batch
        self._result: Any = None

    def submit(self) -> None:
        """Refused: `Backend.run` has submitted it."""
        raise JobError(f"job {self.job_id()} has been submitted already")

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the ``Result``, with an experiment for each circuit and set of values.

        Args:
            timeout: How long, in seconds; None for as long as it takes.

        Raises:
            JobFailedError: A circuit failed; the message says why.
            JobCanceledError: A circuit was canceled.
            WaitTimeoutError: It is not there by then; it goes on.
        """
        if self._result is None:
            results = self.batch.results(timeout)
            self._result = result_of(self.backend(), self.job_id(), results)
        return self._result

    def status(self) -> Any:
        """Qiskit's ``JobStatus``."""
        return status_of(self.batch.status())

    def wait_for_final_state(
        self, timeout: float | None = None, wait: float = 5, callback: Any = None
    ) -> None:
        """Waits until all circuits have ended.

        Args:
            timeout: How long, in seconds; None for as long as it takes.
            wait: How often ``callback`` is called, in seconds; without one
                nobody has to look.
            callback: Called with the run's id, its status and the run.

        Raises:
            JobTimeoutError: They have not by then.
        """
        if callback is not None:
            super().wait_for_final_state(timeout, wait, callback)
            return
        try:
            self.batch.wait(timeout)
        except WaitTimeoutError as error:
            raise JobTimeoutError(str(error)) from error

    def cancel(self) -> bool:
        """Cancels the circuits that have not ended; whether there were any."""
        ended = (CancelVerdict.TOO_LATE, CancelVerdict.NOT_FOUND)
        return any(each.verdict not in ended for each in self.batch.cancel())


def retrieve_job(client: Client, job_id: str, backend: Any = None) -> Job:
    """Finds a run again.

    Args:
        client: The connection.
        job_id: What ``Job.job_id`` said.
        backend: Its backend; the one of its target if not given.

    Raises:
        RequestError: There is no such run.
    """
    from qdispatch.qiskit.backend import Backend

    batch = client.batch(job_id)
    if backend is None:
        jobs = batch.jobs()
        if not jobs:
            raise RequestError(f"all jobs of run {job_id} have been deleted")
        name = jobs[0].info.spec.target
        backend = next(Backend(client, each) for each in client.targets() if each.name == name)
    return Job(backend, batch)
