"""`Batch` for those who await."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from qdispatch.async_job import AsyncJob
from qdispatch.lives import BatchLife
from qdispatch.model import Cancellation
from qdispatch.result import JobResult
from qdispatch.updates import BatchInfo, BatchUpdate

if TYPE_CHECKING:
    from qdispatch.async_client import AsyncClient


class AsyncBatch(BatchLife[AsyncJob]):
    """A batch on the server; see `Batch`.

    Attributes:
        id: UUIDv7, 36 characters; `AsyncClient.batch` finds the batch by it again.
        info: The batch as it was last seen.
        job_ids: Of its jobs, in the order of submission, without those that
            were deleted when the batch was found again.
    """

    def __init__(self, client: AsyncClient, info: BatchInfo, job_ids: tuple[str, ...]) -> None:
        super().__init__(client._calls, info, job_ids, lambda each: AsyncJob(client, each))
        self._client = client

    async def status(self) -> BatchInfo:
        """As `Batch.status`."""
        return await self._client._run(self._status())

    async def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> BatchInfo:
        """As `Batch.wait`."""
        return await self._client._run(self._wait(timeout_s, progress))

    async def jobs(self) -> list[AsyncJob]:
        """As `Batch.jobs`."""
        return await self._client._run(self._jobs())

    async def results(
        self, timeout_s: float | None = None, *, progress: bool = False
    ) -> list[JobResult]:
        """As `Batch.results`."""
        return await self._client._run(self._results(timeout_s, progress))

    def as_completed(self, timeout_s: float | None = None) -> AsyncIterator[AsyncJob]:
        """As `Batch.as_completed`."""
        return self._client._iterate(self._completed(timeout_s))

    def watch(self) -> AsyncIterator[BatchUpdate]:
        """As `Batch.watch`."""
        return self._client.watch_batch(self.id)

    async def cancel(self) -> list[Cancellation]:
        """As `Batch.cancel`."""
        return await self._client.cancel_batch(self.id)
