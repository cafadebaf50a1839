"""Every call of the service, as a flow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from google.protobuf.message import DecodeError, Message

from qdispatch.calls import Calls, Stream
from qdispatch.codec import (
    decode_cancellation,
    decode_job,
    decode_target,
    decode_verdict,
    encode_spec,
)
from qdispatch.errors import InvalidJobError, ServerError, UnimplementedError
from qdispatch.model import Cancellation, CancelVerdict, JobInfo, JobSpec, Result
from qdispatch.results_codec import decode_result, decode_whole_job
from qdispatch.steps import Emit, Flow
from qdispatch.targets import TargetList
from qdispatch.updates import BatchInfo, JobFilter
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.watch_codec import decode_batch, encode_filter

#: The most jobs that a page may have.
PAGE_SIZE: Final = 1000


def create_job(
    calls: Calls, spec: JobSpec, request_id: str | None, quota_wait_s: float | None
) -> Flow[JobInfo]:
    """Submits a job."""
    request = pb.CreateJobRequest(request_id=request_id or uuid4().hex, spec=_encoded(spec))
    answer: pb.CreateJobResponse = yield from calls.submission("CreateJob", request, quota_wait_s)
    job = decode_job(answer.job)
    # The server does not send back what may be long.
    return replace(job, spec=replace(job.spec, parameter_values=spec.parameter_values))


def create_jobs(
    calls: Calls,
    specs: Iterable[JobSpec],
    request_id: str | None,
    quota_wait_s: float | None,
) -> Flow[tuple[BatchInfo, tuple[str, ...]]]:
    """Submits many jobs: all of them, or none."""
    messages = [_encoded(spec, f"specs[{index}]") for index, spec in enumerate(specs)]
    request = pb.CreateJobsRequest(request_id=request_id or uuid4().hex, specs=messages)
    answer: pb.CreateJobsResponse = yield from calls.submission("CreateJobs", request, quota_wait_s)
    return decode_batch(answer.batch), tuple(answer.job_ids)


def get_job(calls: Calls, job_id: str, *, include_results: bool = False) -> Flow[JobInfo]:
    """Reads a job."""
    request = pb.GetJobRequest(id=job_id, include_results=include_results)
    answer: pb.GetJobResponse = yield from calls.unary("GetJob", request)
    return decode_whole_job(answer.job)


def get_result(calls: Calls, job_id: str) -> Flow[tuple[Result, ...]]:
    """Reads the results of a job, in pieces, or in one from an older server."""
    try:
        packed = yield from _whole_result(calls, job_id)
    except UnimplementedError:
        info = yield from get_job(calls, job_id, include_results=True)
        return info.results
    try:
        return tuple(map(decode_result, pb.ResultSet.FromString(packed).results))
    except (DecodeError, ValueError) as error:
        raise ServerError(f"the results of job {job_id} cannot be read: {error}") from error


def _whole_result(calls: Calls, job_id: str) -> Flow[bytes]:
    packed = bytearray()
    size: int | None = None
    stream = Stream(calls, "GetResult", lambda: pb.GetResultRequest(id=job_id, offset=len(packed)))
    while True:
        message: pb.GetResultResponse | None = yield from stream.next()
        if message is None:
            break
        size = message.size if size is None else size
        packed += message.data
    if len(packed) != (size or 0):
        raise ServerError(f"job {job_id} has results of {size} bytes; {len(packed)} came")
    return bytes(packed)


def list_page(
    calls: Calls, wanted: JobFilter, page_size: int, page_token: str
) -> Flow[tuple[list[JobInfo], str]]:
    """One page of the jobs that pass a filter, and the token of the next."""
    request = encode_filter(wanted, page_size=page_size, page_token=page_token)
    answer: pb.ListJobsResponse = yield from calls.unary("ListJobs", request)
    return list(map(decode_job, answer.jobs)), answer.next_page_token


def list_jobs(calls: Calls, wanted: JobFilter, limit: int | None = None) -> Flow[None]:
    """Emits the jobs that pass a filter, newest first, page by page."""
    left = limit
    token = ""
    while left is None or left > 0:
        size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
        jobs, token = yield from list_page(calls, wanted, size, token)
        for job in jobs[:left]:
            yield Emit(job)
        left = None if left is None else left - len(jobs)
        if not token:
            return


def get_batch(calls: Calls, batch_id: str) -> Flow[tuple[BatchInfo, tuple[str, ...]]]:
    """Reads a batch, and which jobs it has."""
    answer: pb.GetBatchResponse = yield from calls.unary(
        "GetBatch", pb.GetBatchRequest(id=batch_id)
    )
    return decode_batch(answer.batch), tuple(answer.job_ids)


def cancel_job(calls: Calls, job_id: str) -> Flow[CancelVerdict]:
    """Cancels a job."""
    answer: pb.CancelJobResponse = yield from calls.unary(
        "CancelJob", pb.CancelJobRequest(id=job_id)
    )
    return decode_verdict(answer.verdict)


def cancel_jobs(calls: Calls, job_ids: Iterable[str]) -> Flow[list[Cancellation]]:
    """Cancels many jobs."""
    request = pb.CancelJobsRequest(ids=list(job_ids))
    return (yield from _cancellations(calls, "CancelJobs", request))


def cancel_batch(calls: Calls, batch_id: str) -> Flow[list[Cancellation]]:
    """Cancels the jobs of a batch."""
    return (yield from _cancellations(calls, "CancelBatch", pb.CancelBatchRequest(id=batch_id)))


def _cancellations(calls: Calls, method: str, request: Message) -> Flow[list[Cancellation]]:
    answer: Any = yield from calls.unary(method, request)
    ends: Sequence[pb.Cancellation] = answer.cancellations
    return list(map(decode_cancellation, ends))


def delete_job(calls: Calls, job_id: str) -> Flow[None]:
    """Deletes a final job."""
    yield from calls.unary("DeleteJob", pb.DeleteJobRequest(id=job_id))


def targets(calls: Calls) -> Flow[TargetList]:
    """Lists the targets."""
    answer: pb.ListTargetsResponse = yield from calls.unary("ListTargets", pb.ListTargetsRequest())
    return TargetList(map(decode_target, answer.targets))


def _encoded(spec: JobSpec, field: str = "") -> pb.JobSpec:
    try:
        return encode_spec(spec)
    except (ValueError, TypeError) as error:
        # Protobuf's integers are bounded, and its text is real text.
        raise InvalidJobError(f"the job cannot be sent: {error}", field=field) from error
