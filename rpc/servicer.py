"""Decode, call the service, encode. Nothing else: what is true of every call is `rpc.edge`'s."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Final

from app.identity import Caller
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
from rpc.grouping import Grouping
from rpc.pieces import PIECE_BYTES, Room, framed, pieces
from rpc.shelf import Shelf
from rpc.watch import Mailbox

# Results that are told with the end of their job, in bytes.
_SMALL_BYTES: Final = 256 * 1024

# Full groups that are under way at the same time. What is committed waits for the disk,
# and another group can use the processor meanwhile; what is read hardly waits.
_CREATING: Final = 2
_GETTING: Final = 1
# Jobs with large results that are put together at the same time: each takes several
# times its size meanwhile.
_LARGE: Final = 2


class QDispatchServicer(pb_grpc.QDispatchServicer):
    """qdispatch.v1 over a `JobService`.

    Args:
        service: The core.
        watchers: Those who watch jobs.
        calls: Where streams have the core work.
        max_result_bytes: The most that the results in one answer may take.
        shelf: Has the results that streams read from.
    """

    def __init__(
        self,
        service: JobService,
        watchers: Watchers,
        *,
        calls: Executor,
        max_result_bytes: int,
        shelf: Shelf,
    ) -> None:
        self._service = service
        self._watchers = watchers
        self._calls = calls
        self._max_result_bytes = max_result_bytes
        self._shelf = shelf
        self._large = asyncio.Semaphore(_LARGE)
        self._piece_bytes = min(PIECE_BYTES, max_result_bytes)
        # What is created is told to the audit, whoever still waits for it.
        self._creating = Grouping(self._create, calls, at_once=_CREATING, ends=True)
        self._getting = Grouping(self._get, calls, at_once=_GETTING)

    async def CreateJob(  # noqa: N802
        self, request: pb.CreateJobRequest, caller: Caller
    ) -> pb.CreateJobResponse:
        """Stores a job."""
        return await self._creating.ask((request, caller), request.ByteSize())

    def _create(
        self, asked: Sequence[tuple[pb.CreateJobRequest, Caller]]
    ) -> Sequence[pb.CreateJobResponse | Exception]:
        orders = [_order(request, caller) for request, caller in asked]
        jobs = iter(self._service.submit_each([each for each in orders if isinstance(each, Order)]))
        ends = [next(jobs) if isinstance(each, Order) else each for each in orders]
        return [
            end if isinstance(end, Exception) else pb.CreateJobResponse(job=encode_job(end))
            for end in ends
        ]

    async def GetJob(  # noqa: N802
        self, request: pb.GetJobRequest, caller: Caller
    ) -> pb.GetJobResponse:
        """Reads a job."""
        answer = await self._getting.ask((request, caller))
        if answer is not None:
            return answer
        loop = asyncio.get_running_loop()
        async with self._large:
            return await loop.run_in_executor(self._calls, self._get_large, request, caller)

    def _get(
        self, asked: Sequence[tuple[pb.GetJobRequest, Caller]]
    ) -> Sequence[pb.GetJobResponse | Exception | None]:
        wanted = [
            Wanted(job_id=each.id, sees=caller.sees, results=each.include_results)
            for each, caller in asked
        ]
        answers: list[pb.GetJobResponse | Exception | None] = []
        for each in self._service.get_each(wanted):
            if isinstance(each, Found):
                too_large = self._too_large(sum(map(len, each.results)))
                answers.append(too_large or _response(each.job, each.results))
            else:
                answers.append(each)
        return answers

    def _get_large(self, request: pb.GetJobRequest, caller: Caller) -> pb.GetJobResponse:
        jobs = self._service.by(caller)
        info = jobs.get(request.id)
        if not request.include_results:
            return _response(info, ())
        # What is refused is not read.
        if too_large := self._too_large(jobs.result_bytes(request.id)):
            raise too_large
        return _response(info, jobs.results(request.id))

    def _too_large(self, size: int) -> TooLargeError | None:
        if size <= self._max_result_bytes:
            return None
        return TooLargeError(
            f"the results take {size} bytes, and one message may carry"
            f" {self._max_result_bytes} (server.max_message_bytes): read them by"
            " GetResult, which sends them in pieces",
            field="include_results",
        )

    def CancelJob(  # noqa: N802
        self, request: pb.CancelJobRequest, caller: Caller
    ) -> pb.CancelJobResponse:
        """Cancels a job."""
        outcome = self._service.by(caller).cancel(request.id)
        return pb.CancelJobResponse(
            verdict=VERDICT[outcome.verdict],  # type: ignore[arg-type]
            job=encode_job(outcome.job),
        )

    def CancelJobs(  # noqa: N802
        self, request: pb.CancelJobsRequest, caller: Caller
    ) -> pb.CancelJobsResponse:
        """Cancels many jobs."""
        ends = self._service.by(caller).cancel_all(request.ids)
        return pb.CancelJobsResponse(cancellations=[encode_cancellation(end) for end in ends])

    def DeleteJob(  # noqa: N802
        self, request: pb.DeleteJobRequest, caller: Caller
    ) -> pb.DeleteJobResponse:
        """Deletes a final job."""
        self._service.by(caller).delete(request.id)
        return pb.DeleteJobResponse()

    async def GetResult(  # noqa: N802
        self, request: pb.GetResultRequest, caller: Caller
    ) -> AsyncIterator[pb.GetResultResponse]:
        """Reads results in pieces."""
        loop = asyncio.get_running_loop()
        jobs = self._service.by(caller)
        size = await loop.run_in_executor(self._calls, jobs.result_bytes, request.id)
        if not size:
            yield pb.GetResultResponse(size=0)
            return
        key, read = parse_job_id(request.id), partial(jobs.results, request.id)
        async with self._shelf.reading(key, caller, size, read) as values:
            for piece in pieces(values, request.offset, self._piece_bytes):
                yield piece

    def ListJobs(  # noqa: N802
        self, request: pb.ListJobsRequest, caller: Caller
    ) -> pb.ListJobsResponse:
        """Lists jobs."""
        # Jobs may have observables by the thousand.
        room = Room[pb.Job](self._max_result_bytes)
        page = self._service.by(caller).page(
            decode_filter(request),
            size=request.page_size,
            token=request.page_token,
            takes=lambda job: room.take(encode_job(job)),
        )
        return pb.ListJobsResponse(jobs=room.messages, next_page_token=page.next_token)

    async def WatchJob(  # noqa: N802
        self, request: pb.WatchJobRequest, caller: Caller
    ) -> AsyncIterator[pb.WatchJobResponse]:
        """Tells of a job."""

        def begin(tell: Tell) -> Watcher:
            key = parse_job_id(request.id)
            return self._watchers.watch_job(key, caller, after=request.after, tell=tell)

        async for update in self._watch(begin):
            if isinstance(update, JobUpdate):
                answer = encode_job_update(update)
                if request.with_results and update.job.status is JobStatus.FINISHED:
                    await self._add_results(answer, request.id, caller)
                yield answer

    async def _add_results(self, answer: pb.WatchJobResponse, job_id: str, caller: Caller) -> None:
        """Spares the watcher a call, if the results are small and can be had."""
        loop = asyncio.get_running_loop()
        with suppress(QDispatchError):
            most = min(_SMALL_BYTES, self._max_result_bytes)
            read = partial(self._service.by(caller).small_results, job_id, most)
            values = await loop.run_in_executor(self._calls, read)
            if values:
                answer.results.MergeFromString(b"".join(framed(values)))

    async def _watch(
        self, begin: Callable[[Tell], Watcher]
    ) -> AsyncIterator[JobUpdate | BatchUpdate]:
        mailbox = Mailbox()
        watcher = begin(mailbox.tell)
        try:
            async for update in mailbox.updates():
                yield update
        finally:
            self._watchers.leave(watcher)

    def CreateJobs(  # noqa: N802
        self, request: pb.CreateJobsRequest, caller: Caller
    ) -> pb.CreateJobsResponse:
        """Stores many jobs."""
        specs = []
        for index, spec in enumerate(request.specs):
            with in_batch(index):
                specs.append(decode_spec(spec))
        kept = self._service.by(caller).submit_many(specs, request_id=request.request_id)
        return pb.CreateJobsResponse(batch=encode_batch(kept.batch), job_ids=kept.job_ids)

    def GetBatch(  # noqa: N802
        self, request: pb.GetBatchRequest, caller: Caller
    ) -> pb.GetBatchResponse:
        """Reads how far a batch is."""
        found = self._service.by(caller).batch(request.id)
        return pb.GetBatchResponse(batch=encode_batch(found.batch), job_ids=found.job_ids)

    def CancelBatch(  # noqa: N802
        self, request: pb.CancelBatchRequest, caller: Caller
    ) -> pb.CancelBatchResponse:
        """Cancels a batch."""
        ends = self._service.by(caller).cancel_batch(request.id)
        return pb.CancelBatchResponse(cancellations=[encode_cancellation(end) for end in ends])

    async def WatchBatch(  # noqa: N802
        self, request: pb.WatchBatchRequest, caller: Caller
    ) -> AsyncIterator[pb.WatchBatchResponse]:
        """Tells of a batch."""

        def begin(tell: Tell) -> Watcher:
            key = parse_batch_id(request.id)
            return self._watchers.watch_batch(key, caller, after=request.after, tell=tell)

        async for update in self._watch(begin):
            if isinstance(update, BatchUpdate):
                yield encode_batch_update(update)

    def ListTargets(  # noqa: N802
        self, _request: pb.ListTargetsRequest, _caller: Caller
    ) -> pb.ListTargetsResponse:
        """Lists the targets."""
        targets = self._service.targets()
        return pb.ListTargetsResponse(targets=[encode_target(each) for each in targets])


def _order(request: pb.CreateJobRequest, caller: Caller) -> Order | InvalidJobError:
    try:
        spec = decode_spec(request.spec)
        return Order(spec=spec, request_id=request.request_id, owner=caller.owner)
    except InvalidJobError as error:
        return error


def _response(info: JobInfo, values: Sequence[bytes]) -> pb.GetJobResponse:
    job = encode_job(info)
    job.results.extend(map(pb.Result.FromString, values))
    return pb.GetJobResponse(job=job)
