"""The client for those who await; all that it does is shared with `Client`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from qdispatch import credentials, operations, preparation, watching
from qdispatch.async_batch import AsyncBatch
from qdispatch.async_driver import AsyncDriver
from qdispatch.async_job import AsyncJob
from qdispatch.calls import Calls
from qdispatch.channel import address_or_default
from qdispatch.credentials import File
from qdispatch.filters import job_filter
from qdispatch.model import (
    Cancellation,
    CancelVerdict,
    JobInfo,
    JobSpec,
    JobStatus,
    Result,
    TargetInfo,
)
from qdispatch.options import SubmitOptions
from qdispatch.steps import Flow
from qdispatch.updates import BatchInfo, BatchUpdate, JobUpdate

_T = TypeVar("_T")


class AsyncClient:
    """A connection to a qdispatch server, for use in an event loop; see `Client`.

    Args:
        address: Host and port of the server; the environment variable
            QDISPATCH_ADDRESS, or else 127.0.0.1:50051, if not given.
        timeout_s: How long one call may take, in seconds. It is repeated for
            so long while the server, or a part that it needs, is away; for 5 s
            at the most if the server has never answered.
        max_message_bytes: The most that one message may take, in bytes.
        token: As of `Client`, like all that follow.
        tls: Whether to encrypt.
        ca_file: Of the authorities.
        cert_file: Of the client's certificate.
        key_file: Of its key.
        quota_wait_s: How long a submission waits for room in a quota, in seconds.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout_s: float = 30.0,
        max_message_bytes: int = 256 * 2**20,
        token: str | None = None,
        tls: bool | None = None,
        ca_file: File = None,
        cert_file: File = None,
        key_file: File = None,
        quota_wait_s: float = 300.0,
    ) -> None:
        self.address = address_or_default(address)
        shown = credentials.find(
            self.address,
            token=token,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
        )
        self._calls = Calls(self.address, timeout_s, shown, quota_wait_s)
        self._driver = AsyncDriver(self.address, shown, max_message_bytes=max_message_bytes)

    def prepare(self, circuit: object, **options: Unpack[SubmitOptions]) -> JobSpec:
        """As `Client.prepare`."""
        return preparation.prepare(circuit, **options)

    async def submit(
        self,
        circuit: object,
        *,
        request_id: str | None = None,
        quota_wait_s: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AsyncJob:
        """As `Client.submit`."""
        spec = preparation.prepare(circuit, **options)
        return AsyncJob(
            self, await self.create_job(spec, request_id=request_id, quota_wait_s=quota_wait_s)
        )

    async def submit_batch(
        self,
        circuits: Iterable[object],
        *,
        request_id: str | None = None,
        quota_wait_s: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AsyncBatch:
        """As `Client.submit_batch`."""
        specs = preparation.prepare_all(circuits, **options)
        return AsyncBatch(
            self, *(await self.create_jobs(specs, request_id=request_id, quota_wait_s=quota_wait_s))
        )

    async def create_job(
        self, spec: JobSpec, *, request_id: str | None = None, quota_wait_s: float | None = None
    ) -> JobInfo:
        """As `Client.create_job`."""
        return await self._run(operations.create_job(self._calls, spec, request_id, quota_wait_s))

    async def create_jobs(
        self,
        specs: Iterable[JobSpec],
        *,
        request_id: str | None = None,
        quota_wait_s: float | None = None,
    ) -> tuple[BatchInfo, tuple[str, ...]]:
        """As `Client.create_jobs`."""
        return await self._run(operations.create_jobs(self._calls, specs, request_id, quota_wait_s))

    async def job(self, job_id: str) -> AsyncJob:
        """As `Client.job`."""
        return AsyncJob(self, await self.get_job(job_id))

    async def batch(self, batch_id: str) -> AsyncBatch:
        """As `Client.batch`."""
        return AsyncBatch(self, *(await self.get_batch(batch_id)))

    def jobs(
        self,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        target: str = "",
        tag: str = "",
        batch: str = "",
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        owner: str = "",
        limit: int | None = None,
    ) -> AsyncIterator[JobInfo]:
        """As `Client.jobs`."""
        wanted = job_filter(
            status=status,
            target=target,
            tag=tag,
            batch=batch,
            created_after=created_after,
            created_before=created_before,
            owner=owner,
        )
        return self._iterate(operations.list_jobs(self._calls, wanted, limit))

    async def get_job(self, job_id: str, *, include_results: bool = False) -> JobInfo:
        """As `Client.get_job`."""
        return await self._run(
            operations.get_job(self._calls, job_id, include_results=include_results)
        )

    async def get_result(self, job_id: str) -> tuple[Result, ...]:
        """As `Client.get_result`."""
        return await self._run(operations.get_result(self._calls, job_id))

    async def get_batch(self, batch_id: str) -> tuple[BatchInfo, tuple[str, ...]]:
        """As `Client.get_batch`."""
        return await self._run(operations.get_batch(self._calls, batch_id))

    def watch_job(
        self, job_id: str, *, after: int = 0, timeout_s: float | None = None
    ) -> AsyncIterator[JobUpdate]:
        """As `Client.watch_job`."""
        return self._iterate(
            watching.watch_job_for(self._calls, job_id, after=after, timeout_s=timeout_s)
        )

    def watch_batch(
        self, batch_id: str, *, after: Sequence[int] = ()
    ) -> AsyncIterator[BatchUpdate]:
        """As `Client.watch_batch`."""
        return self._iterate(watching.watch_batch(self._calls, batch_id, after=after))

    async def cancel_job(self, job_id: str) -> CancelVerdict:
        """As `Client.cancel_job`."""
        return await self._run(operations.cancel_job(self._calls, job_id))

    async def cancel_jobs(self, job_ids: Iterable[str]) -> list[Cancellation]:
        """As `Client.cancel_jobs`."""
        return await self._run(operations.cancel_jobs(self._calls, job_ids))

    async def cancel_batch(self, batch_id: str) -> list[Cancellation]:
        """As `Client.cancel_batch`."""
        return await self._run(operations.cancel_batch(self._calls, batch_id))

    async def delete_job(self, job_id: str) -> None:
        """As `Client.delete_job`."""
        await self._run(operations.delete_job(self._calls, job_id))

    async def targets(self) -> list[TargetInfo]:
        """As `Client.targets`."""
        return await self._run(operations.targets(self._calls))

    async def is_serving(self) -> bool:
        """As `Client.is_serving`."""
        return await self._driver.is_serving(self._calls.timeout_s)

    async def close(self) -> None:
        """As `Client.close`."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[_T]) -> _T:
        return await self._driver.run(flow)

    def _iterate(self, flow: Flow[None]) -> AsyncIterator[Any]:
        return self._driver.iterate(flow)
