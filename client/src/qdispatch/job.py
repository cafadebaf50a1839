"""A job, as the one who submitted it sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qdispatch.lives import JobLife
from qdispatch.model import CancelVerdict, JobInfo, JobStatus, ResultType
from qdispatch.result import JobResult
from qdispatch.updates import JobUpdate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qdispatch.client import Client


class Job(JobLife):
    """A job on the server.

    Attributes:
        id: UUIDv7, 36 characters; `Client.job` finds the job by it again.
        info: The job as it was last seen.
    """

    def __init__(self, client: Client, info: JobInfo) -> None:
        super().__init__(client._calls, info)
        self._client = client

    def status(self) -> JobStatus:
        """Asks the server where the job is in its life."""
        return self._client._run(self._status())

    def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> JobStatus:
        """Waits until the job is final; learns of it as soon as it is.

        Args:
            timeout_s: How long, in seconds; None for as long as it takes.
            progress: Whether to show a bar meanwhile, in a terminal or a
                notebook; needs the extra ``progress``.

        Returns:
            Its final status.

        Raises:
            WaitTimeoutError: It is not final by then; it goes on.
        """
        return self._client._run(self._wait(timeout_s, progress))

    def result(self, timeout_s: float | None = None, *, progress: bool = False) -> JobResult:
        """Waits for the job's end and fetches its results, once.

        Args:
            timeout_s: How long to wait, in seconds; None for as long as it takes.
            progress: As in `wait`.

        Raises:
            JobFailedError: It failed; the message says why.
            JobCanceledError: It was canceled.
            WaitTimeoutError: It is not final by then; it goes on.
        """
        return self._client._run(self._fetch(timeout_s, progress))

    def watch(self) -> Iterator[JobUpdate]:
        """All that happens to the job, from its first event on, until it is final."""
        return self._client.watch_job(self.id)

    def cancel(self) -> CancelVerdict:
        """Cancels the job; the verdict says what that came to."""
        return self._client.cancel_job(self.id)

    def delete(self) -> None:
        """Deletes the job with its results, for good.

        Raises:
            JobActiveError: It is not final: cancel it first, or wait.
            JobNotFoundError: It was deleted before.
        """
        self._client.delete_job(self.id)

    def plot(self, *, kind: ResultType | str | None = None, ax: Axes | None = None) -> Axes:
        """Draws the result, once the job is finished; see `JobResult.plot`."""
        return self.result().plot(kind=kind, ax=ax)
