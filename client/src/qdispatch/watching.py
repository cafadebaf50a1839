"""Watching jobs and batches: by stream, and by polling where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from qdispatch import operations
from qdispatch.calls import Calls, Deadline, Stream
from qdispatch.errors import QuotaError, TooLargeError, UnimplementedError, WaitTimeoutError
from qdispatch.model import JobInfo
from qdispatch.steps import Emit, Flow, gathered
from qdispatch.updates import BatchEvent, BatchInfo, BatchUpdate, JobFilter, JobUpdate
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.watch_codec import decode_batch_update, decode_job_update

# Back-off of the polling: short jobs are seen soon, long ones cost little.
_FIRST_S: Final = 0.005
_GROWTH: Final = 1.3
_LAST_S: Final = 1.0

# An older server does not stream, and a full one takes no more watchers.
_NO_STREAM: Final = (UnimplementedError, TooLargeError, QuotaError)


def watch_job(
    calls: Calls,
    job_id: str,
    *,
    after: int = 0,
    deadline: Deadline | None = None,
    with_results: bool = False,
) -> Flow[None]:
    """Emits a `JobUpdate` whenever something changes, until the job is final.

    Args:
        calls: Of the client.
        job_id: Of the job.
        after: Number of the last event that is known.
        deadline: Until when; without it for as long as it takes.
        with_results: Whether the last update is to have the results, if they are small.

    Raises:
        TimeoutError: It is not final by then.
    """
    watch = _JobWatch(calls, job_id, after, deadline or Deadline(None), with_results)
    with suppress(*_NO_STREAM):
        return (yield from watch.streamed())
    yield from watch.polled()


def watch_job_for(calls: Calls, job_id: str, *, after: int, timeout_s: float | None) -> Flow[None]:
    """As `watch_job`, for those who do not know of deadlines.

    Raises:
        WaitTimeoutError: It is not final in time.
    """
    try:
        yield from watch_job(calls, job_id, after=after, deadline=Deadline(timeout_s))
    except TimeoutError as error:
        text = f"job {job_id} is not final after {timeout_s:g} s; it goes on"
        raise WaitTimeoutError(text) from error


def watch_batch(
    calls: Calls, batch_id: str, *, after: Sequence[int] = (), deadline: Deadline | None = None
) -> Flow[None]:
    """Emits a `BatchUpdate` whenever something changes, until all its jobs are final.

    Args:
        calls: Of the client.
        batch_id: Of the batch.
        after: Of each job, by its place, the number of the last event that is known.
        deadline: Until when; without it for as long as it takes.

    Raises:
        TimeoutError: Some are not final by then.
    """
    watch = _BatchWatch(calls, batch_id, after, deadline or Deadline(None))
    with suppress(*_NO_STREAM):
        return (yield from watch.streamed())
    yield from watch.polled()


class _Pauses:
    """The pauses between looks, each longer than the one before.

    Args:
        deadline: Until when there are any.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._pause_s = _FIRST_S

    def sleep(self) -> Flow[None]:
        """Lets a pause pass.

        Raises:
            TimeoutError: There is no time left.
        """
        yield from self._deadline.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * _GROWTH, _LAST_S)


class _JobWatch:
    def __init__(
        self, calls: Calls, job_id: str, after: int, deadline: Deadline, with_results: bool
    ) -> None:
        self._with_results = with_results
        self._calls = calls
        self._job_id = job_id
        self._after = after
        self._deadline = deadline

    def streamed(self) -> Flow[None]:
        stream = Stream(self._calls, "WatchJob", self._request, self._deadline)
        while True:
            message = yield from stream.next()
            if message is None:
                yield from stream.reopen()
                continue
            update = decode_job_update(message)
            yield Emit(self._news(update))
            if update.job.status.is_final:
                return

    def polled(self) -> Flow[None]:
        pauses = _Pauses(self._deadline)
        seen: JobInfo | None = None
        while True:
            job = yield from operations.get_job(self._calls, self._job_id)
            if job != seen:
                bare = replace(job, events=())
                yield Emit(self._news(JobUpdate(job=bare, events=job.events)))
            if job.status.is_final:
                return
            seen = job
            yield from pauses.sleep()

    def _request(self) -> pb.WatchJobRequest:
        return pb.WatchJobRequest(
            id=self._job_id, after=self._after, with_results=self._with_results
        )

    def _news(self, update: JobUpdate) -> JobUpdate:
        """The update without what was told before."""
        events = tuple(event for event in update.events if event.number > self._after)
        if events:
            self._after = events[-1].number
        return JobUpdate(job=update.job, events=events, outlook=update.outlook)


class _BatchWatch:
    def __init__(
        self, calls: Calls, batch_id: str, after: Sequence[int], deadline: Deadline
    ) -> None:
        self._calls = calls
        self._batch_id = batch_id
        self._after = list(after)
        self._deadline = deadline

    def streamed(self) -> Flow[None]:
        stream = Stream(self._calls, "WatchBatch", self._request, self._deadline)
        while True:
            message = yield from stream.next()
            if message is None:
                yield from stream.reopen()
                continue
            update = decode_batch_update(message)
            yield Emit(self._news(update))
            if update.batch.is_final:
                return

    def polled(self) -> Flow[None]:
        pauses = _Pauses(self._deadline)
        seen: BatchInfo | None = None
        while True:
            batch, _ = yield from operations.get_batch(self._calls, self._batch_id)
            if batch != seen:
                events = yield from self._listed()
                yield Emit(self._news(BatchUpdate(batch=batch, events=events)))
            if batch.is_final:
                return
            seen = batch
            yield from pauses.sleep()

    def _listed(self) -> Flow[tuple[BatchEvent, ...]]:
        wanted = JobFilter(batch_id=self._batch_id)
        jobs: list[JobInfo] = yield from gathered(operations.list_jobs(self._calls, wanted))
        jobs.reverse()
        return tuple(
            BatchEvent(job_id=job.id, batch_index=job.batch_index, event=event)
            for job in jobs
            for event in job.events
        )

    def _request(self) -> pb.WatchBatchRequest:
        return pb.WatchBatchRequest(id=self._batch_id, after=self._after)

    def _news(self, update: BatchUpdate) -> BatchUpdate:
        """The update without what was told before."""
        self._after += [0] * (update.batch.size - len(self._after))
        events = []
        for each in update.events:
            if each.event.number > self._after[each.batch_index]:
                self._after[each.batch_index] = each.event.number
                events.append(each)
        return BatchUpdate(batch=update.batch, events=tuple(events), outlook=update.outlook)
