"""A run of a primitive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from qiskit.primitives import BasePrimitiveJob
from qiskit.providers import JobStatus

from qdispatch.qiskit.statuses import status_of
from qdispatch.result import JobResult


class PrimitiveJob(BasePrimitiveJob):  # type: ignore[misc]
    """The jobs of one call of ``run``, as one batch.

    Args:
        batch: The batch; None if nothing had to be run.
        collect: Makes the ``PrimitiveResult`` out of the jobs' results, in
            the order of their submission.

    Attributes:
        batch: As given.
    """

    def __init__(self, batch: Any, collect: Callable[[Sequence[JobResult]], Any]) -> None:
        super().__init__(job_id=uuid4().hex if batch is None else batch.id)
        self.batch = batch
        self._collect = collect
        self._result: Any = None

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the ``PrimitiveResult``.

        Args:
            timeout: How long, in seconds; None for as long as it takes.

        Raises:
            JobFailedError: A job failed; the message says why.
            JobCanceledError: A job was canceled.
            WaitTimeoutError: It is not there by then; it goes on.
        """
        if self._result is None:
            results = [] if self.batch is None else self.batch.results(timeout)
            self._result = self._collect(results)
        return self._result

    def status(self) -> Any:
        """Qiskit's ``JobStatus``."""
        return JobStatus.DONE if self.batch is None else status_of(self.batch.status())

    def done(self) -> bool:
        """Whether it ended well."""
        return bool(self.status() is JobStatus.DONE)

    def running(self) -> bool:
        """Whether a part of it runs."""
        return bool(self.status() is JobStatus.RUNNING)

    def cancelled(self) -> bool:
        """Whether it was canceled."""
        return bool(self.status() is JobStatus.CANCELLED)

    def in_final_state(self) -> bool:
        """Whether it has ended."""
        return self.status() in (JobStatus.DONE, JobStatus.CANCELLED, JobStatus.ERROR)

    def cancel(self) -> None:
        """Cancels what has not ended."""
        if self.batch is not None:
            self.batch.cancel()
