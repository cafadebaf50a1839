"""A job, as the one who submitted it sees it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qdispatch.errors import (
    JobCanceledError,
    JobFailedError,
    QDispatchError,
    WaitTimeoutError,
)
from qdispatch.model import CancelVerdict, JobInfo, JobStatus, Result, ResultType

if TYPE_CHECKING:
    from qdispatch.client import Client

# Back-off of the polling: short jobs are seen soon, long ones cost little.
_FIRST_S: Final = 0.005
_GROWTH: Final = 1.3
_LAST_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """The results of a finished job.

    Attributes:
        info: The job: method, timings, peak memory and all else.
    """

    info: JobInfo

    @property
    def counts(self) -> Mapping[str, int]:
        """Outcome -> number of shots; the highest classical bit is on the left."""
        counts = self._of(ResultType.COUNTS).counts
        return {} if counts is None else counts

    @property
    def quasi(self) -> Mapping[str, float]:
        """Outcome -> probability; outcomes that are absent have 0."""
        quasi = self._of(ResultType.QUASI).quasi
        return {} if quasi is None else quasi

    @property
    def expval(self) -> tuple[float, ...]:
        """One expectation value per observable, in their order."""
        return self._of(ResultType.EXPVAL).expval or ()

    @property
    def standard_errors(self) -> tuple[float, ...]:
        """Standard error of each expectation value; 0 where it is exact."""
        return self._of(ResultType.EXPVAL).standard_errors or ()

    def __repr__(self) -> str:
        parts = [f"{each.type}={getattr(each, each.type)!r}" for each in self.info.results]
        return f"JobResult({', '.join(parts)})"

    def _of(self, kind: ResultType) -> Result:
        for result in self.info.results:
            if result.type is kind:
                return result
        asked = ", ".join(self.info.spec.result_types)
        raise QDispatchError(f"the job was not asked for {kind}, only for {asked}")


class Job:
    """A job on the server.

    Attributes:
        id: UUIDv7, 36 characters; `Client.job` finds the job by it again.
        info: The job as it was last seen.
    """

    def __init__(self, client: Client, info: JobInfo) -> None:
        self._client = client
        self.id = info.id
        self.info = info

    def status(self) -> JobStatus:
        """Asks the server where the job is in its life."""
        if not self.info.status.is_final:
            self.info = self._client.get_job(self.id)
        return self.info.status

    def wait(self, timeout_s: float | None = None) -> JobStatus:
        """Waits until the job is final.

        Args:
            timeout_s: How long, in seconds; None for as long as it takes.

        Returns:
            Its final status.

        Raises:
            WaitTimeoutError: It is not final by then; it goes on.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        pause = _FIRST_S
        while not self.status().is_final:
            left = pause if until is None else until - time.monotonic()
            if left <= 0:
                raise WaitTimeoutError(
                    f"job {self.id} is still {self.info.status} after {timeout_s:g} s; it goes on"
                )
            time.sleep(min(pause, left))
            pause = min(pause * _GROWTH, _LAST_S)
        return self.info.status

    def result(self, timeout_s: float | None = None) -> JobResult:
        """Waits for the job's end and fetches its results.

        Args:
            timeout_s: How long to wait, in seconds; None for as long as it takes.

        Raises:
            JobFailedError: It failed; the message says why.
            JobCanceledError: It was canceled.
            WaitTimeoutError: It is not final by then; it goes on.
        """
        status = self.wait(timeout_s)
        if status is JobStatus.FAILED:
            error = self.info.error
            text = "unknown" if error is None else f"{error.kind}: {error.message}"
            raise JobFailedError(f"job {self.id} failed: {text}", self.info)
        if status is JobStatus.CANCELED:
            raise JobCanceledError(f"job {self.id} was canceled", self.info)
        if not self.info.results:
            self.info = self._client.get_job(self.id, include_results=True)
        return JobResult(info=self.info)

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

    def __repr__(self) -> str:
        return f"<Job {self.id} on {self.info.spec.target}: {self.info.status}>"
