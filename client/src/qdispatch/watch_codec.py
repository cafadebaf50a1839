"""Batches, filters and what watchers are told, between the vocabulary and the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from qdispatch.codec import (
    STATUS,
    decode_event,
    decode_job,
    decode_time,
    encode_event,
    encode_job,
    encode_time,
    member,
)
from qdispatch.results_codec import decode_result
from qdispatch.updates import (
    BatchEvent,
    BatchInfo,
    BatchUpdate,
    Estimate,
    JobFilter,
    JobUpdate,
    Outlook,
)
from qdispatch.v1 import qdispatch_pb2 as pb


def encode_batch(batch: BatchInfo) -> pb.Batch:
    """The wire form of a batch."""
    return pb.Batch(
        id=batch.id,
        owner=batch.owner,
        request_id=batch.request_id,
        created_at=encode_time(batch.created_at),
        size=batch.size,
        pending=batch.pending,
        running=batch.running,
        finished=batch.finished,
        canceled=batch.canceled,
        failed=batch.failed,
    )


def decode_batch(message: pb.Batch) -> BatchInfo:
    """The batch in a wire message."""
    return BatchInfo(
        id=message.id,
        owner=message.owner,
        request_id=message.request_id,
        created_at=decode_time(message.created_at),
        size=message.size,
        pending=message.pending,
        running=message.running,
        finished=message.finished,
        canceled=message.canceled,
        failed=message.failed,
    )


def _encode_estimate(estimate: Estimate | None) -> pb.Estimate | None:
    if estimate is None:
        return None
    return pb.Estimate(
        lower=encode_time(estimate.lower),
        expected=encode_time(estimate.expected),
        upper=encode_time(estimate.upper),
    )


def _decode_estimate(message: pb.Estimate) -> Estimate:
    return Estimate(
        lower=decode_time(message.lower),
        expected=decode_time(message.expected),
        upper=decode_time(message.upper),
    )


def encode_outlook(outlook: Outlook) -> pb.Outlook:
    """The wire form of an outlook."""
    return pb.Outlook(
        queue_position=outlook.queue_position,
        start=_encode_estimate(outlook.start),
        finish=_encode_estimate(outlook.finish),
    )


def decode_outlook(message: pb.Outlook) -> Outlook:
    """The outlook in a wire message."""
    known = message.HasField("queue_position")
    return Outlook(
        queue_position=message.queue_position if known else None,
        start=_decode_estimate(message.start) if message.HasField("start") else None,
        finish=_decode_estimate(message.finish) if message.HasField("finish") else None,
    )


def encode_job_update(update: JobUpdate) -> pb.WatchJobResponse:
    """What a watcher of a job is told, for the wire."""
    return pb.WatchJobResponse(
        job=encode_job(update.job),
        events=[encode_event(each) for each in update.events],
        outlook=encode_outlook(update.outlook),
    )


def decode_job_update(message: pb.WatchJobResponse) -> JobUpdate:
    """What a watcher of a job is told."""
    job = decode_job(message.job)
    if message.results.results:
        job = replace(job, results=tuple(map(decode_result, message.results.results)))
    return JobUpdate(
        job=job,
        events=tuple(decode_event(each) for each in message.events),
        outlook=decode_outlook(message.outlook),
    )


def encode_batch_update(update: BatchUpdate) -> pb.WatchBatchResponse:
    """What a watcher of a batch is told, for the wire."""
    return pb.WatchBatchResponse(
        batch=encode_batch(update.batch),
        events=[
            pb.BatchEvent(
                job_id=each.job_id, batch_index=each.batch_index, event=encode_event(each.event)
            )
            for each in update.events
        ],
        outlook=encode_outlook(update.outlook),
    )


def decode_batch_update(message: pb.WatchBatchResponse) -> BatchUpdate:
    """What a watcher of a batch is told."""
    return BatchUpdate(
        batch=decode_batch(message.batch),
        events=tuple(
            BatchEvent(
                job_id=each.job_id,
                batch_index=each.batch_index,
                event=decode_event(each.event),
            )
            for each in message.events
        ),
        outlook=decode_outlook(message.outlook),
    )


def encode_filter(wanted: JobFilter, *, page_size: int, page_token: str) -> pb.ListJobsRequest:
    """A request for one page of the jobs that pass a filter."""
    return pb.ListJobsRequest(
        statuses=[STATUS[each] for each in wanted.statuses],  # type: ignore[misc]
        target=wanted.target,
        tag=wanted.tag,
        batch_id=wanted.batch_id,
        created_after=_encode_moment(wanted.created_after),
        created_before=_encode_moment(wanted.created_before),
        page_size=page_size,
        page_token=page_token,
        owner=wanted.owner,
    )


def decode_filter(message: pb.ListJobsRequest) -> JobFilter:
    """The filter in a request.

    Raises:
        InvalidJobError: A status or a moment is none; ``field`` names it.
    """
    return JobFilter(
        # Once each: databases take a limited number of words.
        statuses=tuple(
            dict.fromkeys(
                member(STATUS, number, f"statuses[{index}]")
                for index, number in enumerate(message.statuses)
            )
        ),
        target=message.target,
        tag=message.tag,
        batch_id=message.batch_id,
        created_after=decode_time(message.created_after, "created_after")
        if message.HasField("created_after")
        else None,
        created_before=decode_time(message.created_before, "created_before")
        if message.HasField("created_before")
        else None,
        owner=message.owner,
    )


def _encode_moment(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else encode_time(moment)
