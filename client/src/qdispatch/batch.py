"""Many jobs that were submitted at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qdispatch.job import Job
from qdispatch.lives import BatchLife
from qdispatch.model import Cancellation
from qdispatch.result import JobResult
from qdispatch.updates import BatchInfo, BatchUpdate

if TYPE_CHECKING:
    from qdispatch.client import Client


class Batch(BatchLife[Job]):
    """A batch on the server.

    Attributes:
        id: UUIDv7, 36 characters; `Client.batch` finds the batch by it again.
        info: The batch as it was last seen.
        job_ids: Of its jobs, in the order of submission, without those that
            were deleted when the batch was found again.
    """

    def __init__(self, client: Client, info: BatchInfo, job_ids: tuple[str, ...]) -> None:
        super().__init__(client._calls, info, job_ids, lambda each: Job(client, each))
        self._client = client

    def status(self) -> BatchInfo:
        """Asks the server how many of the jobs are in which status."""
        return self._client._run(self._status())

    def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> BatchInfo:
        """Waits until all jobs are final.

        Args:
            timeout_s: How long, in seconds; None for as long as it takes.
            progress: Whether to show a bar meanwhile, in a terminal or a
                notebook; needs the extra ``progress``.

        Raises:
            WaitTimeoutError: They are not final by then; they go on.
        """
        return self._client._run(self._wait(timeout_s, progress))

    def jobs(self) -> list[Job]:
        """The jobs as they are now, in the order of submission, but for deleted ones."""
        return self._client._run(self._jobs())

    def results(self, timeout_s: float | None = None, *, progress: bool = False) -> list[JobResult]:
        """Waits for the end of all jobs and fetches their results, each once.

        Args:
            timeout_s: How long to wait, in seconds; None for as long as it takes.
            progress: As in `wait`.

        Returns:
            One result per job, in the order of submission.

        Raises:
            JobFailedError: A job failed, this one first in the order of submission.
            JobCanceledError: It was canceled.
            WaitTimeoutError: They are not final by then; they go on.
        """
        return self._client._run(self._results(timeout_s, progress))

    def as_completed(self, timeout_s: float | None = None) -> Iterator[Job]:
        """The jobs in the order in which they end, each as soon as it has.

        Args:
            timeout_s: How long to wait in all, in seconds; None for as long
                as it takes.

        Raises:
            WaitTimeoutError: Some are not final by then; they go on.
        """
        return self._client._iterate(self._completed(timeout_s))

    def watch(self) -> Iterator[BatchUpdate]:
        """All that happens to the jobs, from their first events on, until all are final."""
        return self._client.watch_batch(self.id)

    def cancel(self) -> list[Cancellation]:
        """Cancels the jobs that are pending or running; one verdict per job."""
        return self._client.cancel_batch(self.id)
