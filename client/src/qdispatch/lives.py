"""What jobs and batches do, as flows; `Job`, `AsyncJob` and their batches carry them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from qdispatch import operations, progress, watching
from qdispatch.calls import Calls, Deadline
from qdispatch.errors import (
    JobCanceledError,
    JobFailedError,
    JobNotFoundError,
    WaitTimeoutError,
)
from qdispatch.model import JobInfo, JobStatus
from qdispatch.result import JobResult
from qdispatch.steps import Emit, Flow, each, gathered
from qdispatch.updates import BatchInfo, BatchUpdate, JobFilter, JobUpdate

if TYPE_CHECKING:
    from rich.console import RenderableType

# From so many on, and from such a part of all on, reading a batch's jobs in pages is
# cheaper than one by one.
_MANY: Final = 4
_PART: Final = 1 / 10


class JobLife:
    """A job as its client knows it, and what can be done with it.

    Attributes:
        id: UUIDv7, 36 characters; `Client.job` finds the job by it again.
        info: The job as it was last seen.
    """

    def __init__(self, calls: Calls, info: JobInfo) -> None:
        self._calls = calls
        self._result: JobResult | None = None
        self.id = info.id
        self.info = info

    def _status(self) -> Flow[JobStatus]:
        if not self.info.status.is_final:
            self._saw((yield from operations.get_job(self._calls, self.id)))
        return self.info.status

    def _wait(
        self, timeout_s: float | None, show: bool, with_results: bool = False
    ) -> Flow[JobStatus]:
        if self.info.status.is_final:
            return self.info.status
        if timeout_s is not None and timeout_s <= 0:
            yield from self._status()
        else:
            yield from self._watch_to_the_end(timeout_s, show, with_results)
        if self.info.status.is_final:
            return self.info.status
        raise WaitTimeoutError(
            f"job {self.id} is still {self.info.status} after {timeout_s:g} s; it goes on"
        )

    def _watch_to_the_end(
        self, timeout_s: float | None, show: bool, with_results: bool
    ) -> Flow[None]:
        deadline = Deadline(timeout_s)
        updates = watching.watch_job(
            self._calls,
            self.id,
            after=_last(self.info),
            deadline=deadline,
            with_results=with_results,
        )
        with progress.of_job(self.info, show=show) as tell:

            def take(update: JobUpdate) -> None:
                # Another thread may have heard of some of them.
                last = _last(self.info)
                new = tuple(event for event in update.events if event.number > last)
                self._saw(replace(update.job, events=self.info.events + new))
                tell(update)

            try:
                yield from each(updates, take)
            except TimeoutError:
                return

    def _fetch(self, timeout_s: float | None, show: bool) -> Flow[JobResult]:
        if self._result is not None:
            return self._result
        status = yield from self._wait(timeout_s, show, with_results=True)
        if status is JobStatus.FAILED:
            error = self.info.error
            text = "unknown" if error is None else f"{error.kind}: {error.message}"
            raise JobFailedError(f"job {self.id} failed: {text}", self.info)
        if status is JobStatus.CANCELED:
            raise JobCanceledError(f"job {self.id} was canceled", self.info)
        if self.info.spec.parameters and not self.info.spec.parameter_values:
            # Only the answer of GetJob has them.
            self._saw((yield from operations.get_job(self._calls, self.id)))
        if not self.info.results:
            results = yield from operations.get_result(self._calls, self.id)
            self.info = replace(self.info, results=results)
        self._result = JobResult(info=self.info)
        return self._result

    def _saw(self, info: JobInfo) -> None:
        """Keeps what is known now, and what was known of its sweep."""
        points = info.spec.parameter_values or self.info.spec.parameter_values
        self.info = replace(info, spec=replace(info.spec, parameter_values=points))

    def __rich__(self) -> RenderableType:
        from qdispatch.display.terminal import job_view

        return job_view(self.info)

    def _repr_html_(self) -> str:
        from qdispatch.display.html import job_html

        return job_html(self.info)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} on {self.info.spec.target}: {self.info.status}>"


def _last(info: JobInfo) -> int:
    """Number of the last event that is known."""
    return info.events[-1].number if info.events else 0


J = TypeVar("J", bound=JobLife)


class BatchLife(Generic[J]):
    """A batch as its client knows it, and what can be done with it.

    Attributes:
        id: UUIDv7, 36 characters; `Client.batch` finds the batch by it again.
        info: The batch as it was last seen.
        job_ids: Of its jobs, in the order of submission, without those that
            were deleted when the batch was found again.
    """

    def __init__(
        self,
        calls: Calls,
        info: BatchInfo,
        job_ids: tuple[str, ...],
        make_job: Callable[[JobInfo], J],
    ) -> None:
        self._calls = calls
        self._make_job = make_job
        self._known: dict[str, J] = {}
        self.id = info.id
        self.info = info
        self.job_ids = job_ids

    def _status(self) -> Flow[BatchInfo]:
        if not self.info.is_final:
            self.info, _ = yield from operations.get_batch(self._calls, self.id)
        return self.info

    def _wait(self, timeout_s: float | None, show: bool) -> Flow[BatchInfo]:
        if self.info.is_final:
            return self.info
        if timeout_s is not None and timeout_s <= 0:
            yield from self._status()
        else:
            updates = watching.watch_batch(self._calls, self.id, deadline=Deadline(timeout_s))
            yield from self._follow(updates, show)
        if not self.info.is_final:
            raise self._timed_out(timeout_s)
        return self.info

    def _follow(
        self,
        updates: Flow[None],
        show: bool,
        handle: Callable[[BatchUpdate], Flow[None]] | None = None,
    ) -> Flow[None]:
        """Handles all that happens, until the end or the deadline."""
        with progress.of_batch(self.info, show=show) as tell:

            def take(update: BatchUpdate) -> Flow[None] | None:
                self.info = update.batch
                tell(update)
                return None if handle is None else handle(update)

            try:
                yield from each(updates, take)
            except TimeoutError:
                return

    def _completed(self, timeout_s: float | None) -> Flow[None]:
        """Emits the jobs as they end."""
        updates = watching.watch_batch(self._calls, self.id, deadline=Deadline(timeout_s))
        yield from self._follow(updates, False, self._emit_ended)
        if not self.info.is_final:
            raise self._timed_out(timeout_s)

    def _emit_ended(self, update: BatchUpdate) -> Flow[None]:
        ended = [each.job_id for each in update.events if each.event.status.is_final]
        for job in (yield from self._jobs_of(ended)):
            yield Emit(job)

    def _jobs(self) -> Flow[list[J]]:
        return (yield from self._jobs_of(self.job_ids))

    def _results(self, timeout_s: float | None, show: bool) -> Flow[list[JobResult]]:
        yield from self._wait(timeout_s, show)
        results: list[JobResult] = []
        for job in (yield from self._jobs()):
            result = yield from job._fetch(None, show=False)
            results.append(result)
        return results

    def _jobs_of(self, job_ids: Any) -> Flow[list[J]]:
        """The jobs of these ids, as they are now; without those that were deleted."""
        unknown = [each for each in job_ids if not self._is_settled(each)]
        if len(unknown) < max(_MANY, self.info.size * _PART):
            for job_id in unknown:
                yield from self._read(job_id)
        else:
            wanted = JobFilter(batch_id=self.id)
            for info in (yield from gathered(operations.list_jobs(self._calls, wanted))):
                self._saw(info)
        return [self._known[each] for each in job_ids if each in self._known]

    def _read(self, job_id: str) -> Flow[None]:
        try:
            info = yield from operations.get_job(self._calls, job_id)
        except JobNotFoundError:
            # It was deleted meanwhile.
            self._known.pop(job_id, None)
        else:
            self._saw(info)

    def _saw(self, info: JobInfo) -> None:
        known = self._known.get(info.id)
        if known is None:
            self._known[info.id] = self._make_job(info)
        elif not known.info.status.is_final:
            known._saw(info)

    def _is_settled(self, job_id: str) -> bool:
        return job_id in self._known and self._known[job_id].info.status.is_final

    def _timed_out(self, timeout_s: float | None) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"batch {self.id} has {self.info.done} of {self.info.size} jobs done after"
            f" {timeout_s:g} s; it goes on"
        )

    def __len__(self) -> int:
        return self.info.size

    def __rich__(self) -> RenderableType:
        from qdispatch.display.terminal import batch_view

        return batch_view(self.info)

    def _repr_html_(self) -> str:
        from qdispatch.display.html import batch_html

        return batch_html(self.info)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}: {self.info.done} of {self.info.size} done>"
