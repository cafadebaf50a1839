"""What a server says of a job, and of a batch of three."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from qdispatch.codec import encode_job
from qdispatch.model import JobEvent, JobInfo, JobStatus, Result, ResultType
from qdispatch.results_codec import encode_result
from qdispatch.updates import BatchEvent, BatchInfo, BatchUpdate, JobUpdate
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.watch_codec import encode_batch, encode_batch_update, encode_job_update
from tests.specs import bell

START: Final = datetime(2026, 1, 2, tzinfo=UTC)
BATCH_ID: Final = "018f0000-0000-7000-8000-0000000000ba"
PENDING, RUNNING, FINISHED = JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FINISHED
FAILED, CANCELED = JobStatus.FAILED, JobStatus.CANCELED
#: A life without trouble.
LIFE: Final = (PENDING, RUNNING, FINISHED)
RESULT: Final = Result(type=ResultType.COUNTS, n_bits=2, counts={"00": 1, "11": 2})


def job_id(index: int = 0) -> str:
    return f"018f0000-0000-7000-8000-{index:012d}"


def events(*life: JobStatus) -> tuple[JobEvent, ...]:
    """The events of a job's life, first to last."""
    return tuple(
        JobEvent(number=number, status=status, at=START + timedelta(seconds=number))
        for number, status in enumerate(life, 1)
    )


def info(*life: JobStatus, index: int = 0, **changes: Any) -> JobInfo:
    """A job that has lived so far, and knows its events."""
    defaults = {
        "id": job_id(index),
        "owner": "anonymous",
        "request_id": "r",
        "status": life[-1],
        "spec": bell(program=""),
        "created_at": START,
        "batch_index": index,
        "events": events(*life),
    }
    return JobInfo(**(defaults | changes))


def created(*life: JobStatus, **changes: Any) -> pb.CreateJobResponse:
    return pb.CreateJobResponse(job=encode_job(info(*life, **changes)))


def read(*life: JobStatus, results: tuple[Result, ...] = (), **changes: Any) -> pb.GetJobResponse:
    message = encode_job(info(*life, **changes))
    message.results.extend(map(encode_result, results))
    return pb.GetJobResponse(job=message)


def told(*life: JobStatus, since: int = 0, **changes: Any) -> pb.WatchJobResponse:
    """The update of a job that has lived so far, with the events since a number."""
    job = info(*life, **(changes | {"events": ()}))
    return encode_job_update(JobUpdate(job=job, events=events(*life)[since:]))


def packed(*results: Result) -> bytes:
    return pb.ResultSet(results=map(encode_result, results)).SerializeToString()


def pieces(whole: bytes, *cuts: int, offset: int = 0) -> list[pb.GetResultResponse]:
    """The whole from an offset on, cut at these places."""
    ends = [offset, *(cut for cut in cuts if cut > offset), len(whole)]
    return [
        pb.GetResultResponse(data=whole[a:b], size=len(whole) if a == offset else 0)
        for a, b in pairwise(ends)
    ]


def batch(*statuses: JobStatus) -> BatchInfo:
    """A batch whose jobs are in these statuses."""
    numbers = {each.value: statuses.count(each) for each in JobStatus}
    return BatchInfo(
        id=BATCH_ID,
        owner="anonymous",
        request_id="r",
        created_at=START,
        size=len(statuses),
        **numbers,
    )


def submitted(*statuses: JobStatus) -> pb.CreateJobsResponse:
    ids = [job_id(index) for index in range(len(statuses))]
    return pb.CreateJobsResponse(batch=encode_batch(batch(*statuses)), job_ids=ids)


def batch_read(*statuses: JobStatus) -> pb.GetBatchResponse:
    ids = [job_id(index) for index in range(len(statuses))]
    return pb.GetBatchResponse(batch=encode_batch(batch(*statuses)), job_ids=ids)


def batch_told(
    *statuses: JobStatus, news: Mapping[int, tuple[JobStatus, ...]], since: int = 0
) -> pb.WatchBatchResponse:
    """The update of a batch, with news of the jobs at these places."""
    happened = tuple(
        BatchEvent(job_id=job_id(index), batch_index=index, event=event)
        for index, life in news.items()
        for event in events(*life)[since:]
    )
    return encode_batch_update(BatchUpdate(batch=batch(*statuses), events=happened))


def page(*jobs: JobInfo, token: str = "") -> pb.ListJobsResponse:
    return pb.ListJobsResponse(jobs=map(encode_job, jobs), next_page_token=token)
