"""What one caller may do with jobs: their own, or everybody's.

What belongs to others does not exist for them, whichever way they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.cancellation import Canceling, End
from app.history import History
from app.identity import Caller
from app.ids import known_id, parse_batch_id, parse_job_id
from app.programs import Programs
from app.reading import Reading, found_batch, no_job
from app.records import batch_of, info_of
from app.store import Store
from app.submission import Order, Submission
from app.validation import check_filter
from qdispatch.errors import InvalidJobError, RequestError, TooLargeError
from qdispatch.model import Cancellation, CancelVerdict, JobInfo, JobSpec
from qdispatch.updates import BatchInfo, JobFilter

#: The most jobs that one call may cancel.
MAX_CANCELED: Final = 10_000

#: Jobs on a page, when the caller does not say and at the most.
PAGE: Final = 100
MAX_PAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Canceled:
    """What a cancellation came to."""

    verdict: CancelVerdict
    job: JobInfo


@dataclass(frozen=True, kw_only=True)
class Page:
    """A piece of a list of jobs."""

    jobs: tuple[JobInfo, ...]
    next_token: str
    """Names the next page; empty on the last one."""


@dataclass(frozen=True, kw_only=True)
class BatchJobs:
    """A batch, and its jobs in their order, without those that were deleted."""

    batch: BatchInfo
    job_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the use cases are made of."""

    store: Store
    programs: Programs
    reading: Reading
    submission: Submission
    canceling: Canceling
    history: History
    changed: Callable[[Sequence[UUID]], None]
    """Told which jobs have another status."""


class VisibleJobs:
    """The jobs that a caller sees.

    Args:
        parts: Of the installation.
        caller: Who asks.
    """

    def __init__(self, parts: Parts, caller: Caller) -> None:
        self._parts = parts
        self._caller = caller

    def submit(self, spec: JobSpec, *, request_id: str) -> JobInfo:
        """Accepts a job, or returns the one that this request_id stands for.

        When this returns, the job is kept, and will be run.

        Raises:
            TargetDrainedError: Every target that it may run on is drained.
            RequestError: The job is refused, and nothing of it remains.
            UnavailableError: A part is away; the same request_id settles it later.
        """
        order = Order(spec=spec, request_id=request_id, owner=self._caller.owner)
        (answer,) = self._parts.submission.submit_each([order])
        if isinstance(answer, RequestError):
            raise answer
        return info_of(answer)

    def get(self, job_id: str) -> JobInfo:
        """A job, without its results.

        The values of a sweep are in its spec once it is final: who waits for it
        asks often, and they may be many.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return self._parts.reading.get(job_id, self._caller.sees)

    def result_bytes(self, job_id: str) -> int:
        """How many bytes its results take; 0 unless the job is finished.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return self._parts.reading.result_bytes(job_id, self._caller.sees)

    def results(self, job_id: str) -> Sequence[bytes]:
        """The results of a job, each a serialized qdispatch.v1.Result.

        They come in the order of their types' names, and of their points; none
        unless the job is finished.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return self._parts.reading.results(job_id, self._caller.sees)

    def small_results(self, job_id: str, most: int) -> Sequence[bytes]:
        """As `results`; none if they take more bytes than this, or there is no such job."""
        return self._parts.reading.small_results(job_id, most, self._caller.sees)

    def cancel(self, job_id: str) -> Canceled:
        """Cancels a job, unless it has ended.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        key = parse_job_id(job_id)
        end = self._cancel([key]).get(key)
        if end is None:
            raise no_job(job_id)
        return Canceled(verdict=end.verdict, job=info_of(end.row))

    def cancel_all(self, job_ids: Sequence[str]) -> list[Cancellation]:
        """Cancels many jobs; those that do not exist or have ended change nothing.

        Returns:
            One verdict per id, in their order.

        Raises:
            TooLargeError: They are more than one call may cancel.
            CutShortError: The database went away, and some are canceled, or may be.
        """
        if len(job_ids) > MAX_CANCELED:
            raise TooLargeError(
                f"{len(job_ids)} ids; one call cancels at most {MAX_CANCELED}", field="ids"
            )
        keys = [known_id(job_id) for job_id in job_ids]
        known = [key for key in dict.fromkeys(keys) if key is not None]
        ends = self._cancel(known)
        cancellations = []
        for job_id, key in zip(job_ids, keys, strict=True):
            end = None if key is None else ends.get(key)
            cancellations.append(
                Cancellation(id=job_id, verdict=CancelVerdict.NOT_FOUND)
                if end is None
                else Cancellation(id=job_id, verdict=end.verdict, status=end.row.status)
            )
        return cancellations

    def _cancel(self, keys: Sequence[UUID]) -> dict[UUID, End]:
        try:
            return self._parts.canceling.cancel(keys, self._caller.sees)
        finally:
            # If it failed, some of them may be canceled all the same.
            self._parts.changed(keys)

    def delete(self, job_id: str) -> None:
        """Deletes a final job with its results, for good; its request_id is free again.

        Raises:
            JobNotFoundError: There is none of that id.
            JobActiveError: It is not final.
        """
        key = parse_job_id(job_id)
        self._parts.history.delete(key, self._caller.sees)
        self._parts.programs.delete(key)

    def page(
        self,
        wanted: JobFilter,
        *,
        size: int = 0,
        token: str = "",
        takes: Callable[[JobInfo], bool] = lambda _: True,
    ) -> Page:
        """A page of the jobs that pass a filter, newest first.

        Jobs may have much to them: they are read in pieces, and no more than are taken.

        Args:
            wanted: The filter.
            size: The most to return; 0 for as many as are usual.
            token: `Page.next_token` of the page before; empty for the first one.
            takes: Told of one job after the other; the first one that it does not
                take is on the next page, and may not be the first of all.

        Raises:
            InvalidJobError: The token is none, or a text cannot be stored.
            BatchNotFoundError: The batch's id is none.
        """
        check_filter(wanted)
        before = known_id(token)
        if token and before is None:
            raise InvalidJobError("is not the next_page_token of a page", field="page_token")
        if wanted.batch_id:
            parse_batch_id(wanted.batch_id)
        size = min(size or PAGE, MAX_PAGE)
        jobs: list[JobInfo] = []
        found = self._parts.reading.newest(wanted, self._caller.sees, before, limit=size + 1)
        with closing(found) as newest:
            for job in newest:
                if len(jobs) == size or not takes(job):
                    return Page(jobs=tuple(jobs), next_token=jobs[-1].id)
                jobs.append(job)
        return Page(jobs=tuple(jobs), next_token="")

    def submit_many(self, specs: Sequence[JobSpec], *, request_id: str) -> BatchJobs:
        """Accepts all of some jobs, or none; or returns the batch that this request_id stands for.

        Raises:
            RequestError: One of them is refused, whose place ``field`` names,
                and nothing of any remains.
            UnavailableError: A part is away; the same request_id settles it later.
        """
        kept = self._parts.submission.submit_many(
            specs, request_id=request_id, owner=self._caller.owner
        )
        with self._parts.store.read() as tx:
            numbers = tx.lists.batch_numbers(kept.batch.id)
        return BatchJobs(batch=batch_of(kept.batch, numbers), job_ids=tuple(map(str, kept.job_ids)))

    def batch(self, batch_id: str) -> BatchJobs:
        """A batch, and how far it is.

        Raises:
            BatchNotFoundError: There is none of that id.
        """
        key = parse_batch_id(batch_id)
        with self._parts.store.read() as tx:
            row = found_batch(tx.lists.batch(key, self._caller.sees), key, self._caller.sees)
            return BatchJobs(
                batch=batch_of(row, tx.lists.batch_numbers(key)),
                job_ids=tuple(map(str, tx.lists.batch_jobs(key))),
            )

    def cancel_batch(self, batch_id: str) -> list[Cancellation]:
        """Cancels those jobs of a batch that have not ended.

        Returns:
            One verdict per job, in their order.

        Raises:
            BatchNotFoundError: There is none of that id.
        """
        return self.cancel_all(self.batch(batch_id).job_ids)
