"""Decode, call the service, encode. Nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import grpc

from app.ids import parse_batch_id, parse_job_id
from app.reading import Found, Wanted
from app.service import JobService
from app.submission import Order
from app.validation import in_batch
from app.watching import Tell, Watcher, Watchers
from qdispatch.codec import VERDICT, decode_spec, encode_cancellation, encode_job, encode_target
from qdispatch.errors import InvalidJobError, QDispatchError, TooLargeError
from qdispatch.model import JobInfo, JobStatus
from qdispatch.updates import BatchUpdate, JobUpdate
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from qdispatch.watch_codec import (
    decode_filter,
    encode_batch,
    encode_batch_update,
    encode_job_update,
)
from rpc.errors import abort, abort_async
from rpc.grouping import Grouping
from rpc.pieces import PIECE_BYTES, Room, framed, pieces
from rpc.watch import Mailbox

T = TypeVar("T")

# Results that are told with the end of their job, in bytes.
_SMALL_BYTES: Final = 256 * 1024

# Full groups that are under way at the same time. What is committed waits for the disk,
# and another group can use the processor meanwhile; what is read hardly waits.
_CREATING: Final = 2
_GETTING: Final = 1


class QDispatchServicer(pb_grpc.QDispatchServicer):
    """qdispatch.v1 over a `JobService`.

    Args:
        service: The core.
        watchers: Those who watch jobs.
        calls: Where streams have the core work.
        max_result_bytes: The most that the results in one answer may take.
    """

    def __init__(
        self,
        service: JobService,
        watchers: Watchers,
        *,
        calls: Executor,
        max_result_bytes: int,
    ) -> None:
        self._service = service
        self._watchers = watchers
        self._calls = calls
        self._max_result_bytes = max_result_bytes
        self._piece_bytes = min(PIECE_BYTES, max_result_bytes)
        self._creating = Grouping(self._create, calls, at_once=_CREATING)
        self._getting = Grouping(self._get, calls, at_once=_GETTING)

    async def CreateJob(  # noqa: N802
        self, request: pb.CreateJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.CreateJobResponse:
        """Stores a job."""
        try:
            return await self._creating.ask(request, request.ByteSize())
        except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
            await abort_async(context, error, f"CreateJob {request.request_id}")

    def _create(
        self, requests: Sequence[pb.CreateJobRequest]
    ) -> Sequence[pb.CreateJobResponse | Exception]:
        orders = [_order(each) for each in requests]
        jobs = iter(self._service.submit_each([each for each in orders if isinstance(each, Order)]))
        ends = [next(jobs) if isinstance(each, Order) else each for each in orders]
        return [
            end if isinstance(end, Exception) else pb.CreateJobResponse(job=encode_job(end))
            for end in ends
        ]

    async def GetJob(  # noqa: N802
        self, request: pb.GetJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetJobResponse:
        """Reads a job."""
        try:
            answer = await self._getting.ask(request)
            if answer is not None:
                return answer
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._calls, self._get_large, request)
        except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
            await abort_async(context, error, f"GetJob {request.id}")

    def _get(
        self, requests: Sequence[pb.GetJobRequest]
    ) -> Sequence[pb.GetJobResponse | Exception | None]:
        wanted = [Wanted(job_id=each.id, results=each.include_results) for each in requests]
        answers: list[pb.GetJobResponse | Exception | None] = []
        for each in self._service.get_each(wanted):
            if isinstance(each, Found):
                too_large = self._too_large(each.results)
                answers.append(too_large or _response(each.job, each.results))
            else:
                answers.append(each)
        return answers

    def _get_large(self, request: pb.GetJobRequest) -> pb.GetJobResponse:
        info = self._service.get(request.id)
        values = self._service.results(request.id) if request.include_results else ()
        if too_large := self._too_large(values):
            raise too_large
        return _response(info, values)

    def _too_large(self, values: Sequence[bytes]) -> TooLargeError | None:
        size = sum(map(len, values))
        if size <= self._max_result_bytes:
            return None
        return TooLargeError(
            f"the results take {size} bytes, and one message may carry"
            f" {self._max_result_bytes} (server.max_message_bytes): read them by"
            " GetResult, which sends them in pieces",
            field="include_results",
        )

    def CancelJob(  # noqa: N802
        self, request: pb.CancelJobRequest, context: grpc.ServicerContext
    ) -> pb.CancelJobResponse:
        """Cancels a job."""

        def call() -> pb.CancelJobResponse:
            outcome = self._service.cancel(request.id)
            return pb.CancelJobResponse(
                verdict=VERDICT[outcome.verdict],  # type: ignore[arg-type]
                job=encode_job(outcome.job),
            )

        return _answer(call, context, f"CancelJob {request.id}")

    def CancelJobs(  # noqa: N802
        self, request: pb.CancelJobsRequest, context: grpc.ServicerContext
    ) -> pb.CancelJobsResponse:
        """Cancels many jobs."""

        def call() -> pb.CancelJobsResponse:
            ends = self._service.cancel_all(request.ids)
            return pb.CancelJobsResponse(cancellations=[encode_cancellation(end) for end in ends])

        return _answer(call, context, f"CancelJobs of {len(request.ids)}")

    def DeleteJob(  # noqa: N802
        self, request: pb.DeleteJobRequest, context: grpc.ServicerContext
    ) -> pb.DeleteJobResponse:
        """Deletes a final job."""

        def call() -> pb.DeleteJobResponse:
            self._service.delete(request.id)
            return pb.DeleteJobResponse()

        return _answer(call, context, f"DeleteJob {request.id}")

    async def GetResult(  # noqa: N802
        self, request: pb.GetResultRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.GetResultResponse]:
        """Reads results in pieces."""
        loop = asyncio.get_running_loop()
        try:
            values = await loop.run_in_executor(self._calls, self._service.results, request.id)
            for piece in pieces(values, request.offset, self._piece_bytes):
                yield piece
        except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
            await abort_async(context, error, f"GetResult {request.id}")

    def ListJobs(  # noqa: N802
        self, request: pb.ListJobsRequest, context: grpc.ServicerContext
    ) -> pb.ListJobsResponse:
        """Lists jobs."""

        def call() -> pb.ListJobsResponse:
            # Jobs may have observables by the thousand.
            room = Room[pb.Job](self._max_result_bytes)
            page = self._service.page(
                decode_filter(request),
                size=request.page_size,
                token=request.page_token,
                takes=lambda job: room.take(encode_job(job)),
            )
            return pb.ListJobsResponse(jobs=room.messages, next_page_token=page.next_token)

        return _answer(call, context, "ListJobs")

    async def WatchJob(  # noqa: N802
        self, request: pb.WatchJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchJobResponse]:
        """Tells of a job."""

        def begin(tell: Tell) -> Watcher:
            key = parse_job_id(request.id)
            return self._watchers.watch_job(key, after=request.after, tell=tell)

        async for update in self._watch(begin, context, f"WatchJob {request.id}"):
            if isinstance(update, JobUpdate):
                answer = encode_job_update(update)
                if request.with_results and update.job.status is JobStatus.FINISHED:
                    await self._add_results(answer, request.id)
                yield answer

    async def _add_results(self, answer: pb.WatchJobResponse, job_id: str) -> None:
        """Spares the watcher a call, if the results are small and can be had."""
        loop = asyncio.get_running_loop()
        with suppress(QDispatchError):
            most = min(_SMALL_BYTES, self._max_result_bytes)
            read = partial(self._service.small_results, job_id, most)
            values = await loop.run_in_executor(self._calls, read)
            if values:
                answer.results.MergeFromString(b"".join(framed(values)))

    async def _watch(
        self,
        begin: Callable[[Tell], Watcher],
        context: grpc.aio.ServicerContext[Any, Any],
        call: str,
    ) -> AsyncIterator[JobUpdate | BatchUpdate]:
        mailbox = Mailbox()
        watcher = None
        try:
            watcher = begin(mailbox.tell)
            async for update in mailbox.updates():
                yield update
        except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
            await abort_async(context, error, call)
        finally:
            if watcher is not None:
                self._watchers.leave(watcher)

    def CreateJobs(  # noqa: N802
        self, request: pb.CreateJobsRequest, context: grpc.ServicerContext
    ) -> pb.CreateJobsResponse:
        """Stores many jobs."""

        def call() -> pb.CreateJobsResponse:
            specs = []
            for index, spec in enumerate(request.specs):
                with in_batch(index):
                    specs.append(decode_spec(spec))
            kept = self._service.submit_many(specs, request_id=request.request_id)
            return pb.CreateJobsResponse(batch=encode_batch(kept.batch), job_ids=kept.job_ids)

        return _answer(call, context, f"CreateJobs {request.request_id}")

    def GetBatch(  # noqa: N802
        self, request: pb.GetBatchRequest, context: grpc.ServicerContext
    ) -> pb.GetBatchResponse:
        """Reads how far a batch is."""

        def call() -> pb.GetBatchResponse:
            found = self._service.batch(request.id)
            return pb.GetBatchResponse(batch=encode_batch(found.batch), job_ids=found.job_ids)

        return _answer(call, context, f"GetBatch {request.id}")

    def CancelBatch(  # noqa: N802
        self, request: pb.CancelBatchRequest, context: grpc.ServicerContext
    ) -> pb.CancelBatchResponse:
        """Cancels a batch."""

        def call() -> pb.CancelBatchResponse:
            ends = self._service.cancel_batch(request.id)
            return pb.CancelBatchResponse(cancellations=[encode_cancellation(end) for end in ends])

        return _answer(call, context, f"CancelBatch {request.id}")

    async def WatchBatch(  # noqa: N802
        self, request: pb.WatchBatchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchBatchResponse]:
        """Tells of a batch."""

        def begin(tell: Tell) -> Watcher:
            key = parse_batch_id(request.id)
            return self._watchers.watch_batch(key, after=request.after, tell=tell)

        async for update in self._watch(begin, context, f"WatchBatch {request.id}"):
            if isinstance(update, BatchUpdate):
                yield encode_batch_update(update)

    def ListTargets(  # noqa: N802
        self, _request: pb.ListTargetsRequest, context: grpc.ServicerContext
    ) -> pb.ListTargetsResponse:
        """Lists the targets."""

        def call() -> pb.ListTargetsResponse:
            targets = self._service.targets()
            return pb.ListTargetsResponse(targets=[encode_target(each) for each in targets])

        return _answer(call, context, "ListTargets")


def _answer(call: Callable[[], T], context: grpc.ServicerContext, name: str) -> T:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
        abort(context, error, name)


def _order(request: pb.CreateJobRequest) -> Order | InvalidJobError:
    try:
        return Order(spec=decode_spec(request.spec), request_id=request.request_id)
    except InvalidJobError as error:
        return error


def _response(info: JobInfo, values: Sequence[bytes]) -> pb.GetJobResponse:
    job = encode_job(info)
    job.results.extend(map(pb.Result.FromString, values))
    return pb.GetJobResponse(job=job)
