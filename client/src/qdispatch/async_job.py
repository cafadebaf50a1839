"""`Job` for those who await."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from qdispatch.lives import JobLife
from qdispatch.model import CancelVerdict, JobInfo, JobStatus, ResultType
from qdispatch.result import JobResult
from qdispatch.updates import JobUpdate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qdispatch.async_client import AsyncClient


class AsyncJob(JobLife):
    """A job on the server; see `Job`.

    Attributes:
        id: UUIDv7, 36 characters; `AsyncClient.job` finds the job by it again.
        info: The job as it was last seen.
    """

    def __init__(self, client: AsyncClient, info: JobInfo) -> None:
        super().__init__(client._calls, info)
        self._client = client

    async def status(self) -> JobStatus:
        """As `Job.status`."""
        return await self._client._run(self._status())

    async def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> JobStatus:
        """As `Job.wait`."""
        return await self._client._run(self._wait(timeout_s, progress))

    async def result(self, timeout_s: float | None = None, *, progress: bool = False) -> JobResult:
        """As `Job.result`."""
        return await self._client._run(self._fetch(timeout_s, progress))

    def watch(self) -> AsyncIterator[JobUpdate]:
        """As `Job.watch`."""
        return self._client.watch_job(self.id)

    async def cancel(self) -> CancelVerdict:
        """As `Job.cancel`."""
        return await self._client.cancel_job(self.id)

    async def delete(self) -> None:
        """As `Job.delete`."""
        await self._client.delete_job(self.id)

    async def plot(self, *, kind: ResultType | str | None = None, ax: Axes | None = None) -> Axes:
        """As `Job.plot`."""
        return (await self.result()).plot(kind=kind, ax=ax)
