"""What users do with jobs: every use case, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.cancellation import Canceling
from app.chunks import note_sent
from app.history import History
from app.ids import known_id, parse_batch_id, parse_job_id
from app.placement import TargetLoad
from app.ports import Clock, Dispatcher, Sent
from app.programs import Programs
from app.reading import Found, Reading, Wanted, no_job
from app.records import batch_of, info_of
from app.rows import BatchRow
from app.settings import Settings
from app.store import Store, Transaction
from app.submission import ANONYMOUS, Order, Submission
from app.validation import check_filter
from qdispatch.errors import (
    BatchNotFoundError,
    InvalidJobError,
    RequestError,
    TooLargeError,
)
from qdispatch.model import (
    Cancellation,
    CancelVerdict,
    JobInfo,
    JobSpec,
    JobStatus,
    TargetInfo,
    TargetState,
)
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


class JobService:
    """The jobs of one installation, for its server and every gateway.

    Args:
        settings: Targets and limits.
        store: The database.
        programs: The program files.
        dispatcher: Tells the workers.
        clock: Tells the time.
        changed: Told which jobs this service has changed the status of.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        programs: Programs,
        dispatcher: Dispatcher,
        clock: Clock,
        changed: Callable[[Sequence[UUID]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._programs = programs
        self._clock = clock
        self._changed = changed
        self._reading = Reading(store)
        self._submission = Submission(
            settings=settings, store=store, programs=programs, dispatcher=dispatcher, clock=clock
        )
        self._canceling = Canceling(
            store=store,
            programs=programs,
            dispatcher=dispatcher,
            clock=clock,
            wait_s=settings.server.cancel_wait_s,
        )
        self._history = History(settings=settings.history, store=store, clock=clock)

    # -- one job

    def submit(self, spec: JobSpec, *, request_id: str, owner: str = ANONYMOUS) -> JobInfo:
        """Accepts a job, or returns the one that this request_id stands for.

        When this returns, the job is kept, and will be run.

        Raises:
            TargetDrainedError: Every target that it may run on is drained.
            RequestError: The job is refused, and nothing of it remains.
            UnavailableError: A part is away; the same request_id settles it later.
        """
        (answer,) = self.submit_each([Order(spec=spec, request_id=request_id, owner=owner)])
        if isinstance(answer, RequestError):
            raise answer
        return answer

    def submit_each(self, orders: Sequence[Order]) -> list[JobInfo | RequestError]:
        """Does what `submit` does for callers that come together, in one transaction.

        Returns:
            For each its job, or why it is refused.

        Raises:
            UnavailableError: As of `submit`, for all of them.
        """
        answers = self._submission.submit_each(orders)
        return [each if isinstance(each, RequestError) else info_of(each) for each in answers]

    def get(self, job_id: str) -> JobInfo:
        """A job, without its results.

        The values of a sweep are in its spec once it is final: who waits for it
        asks often, and they may be many.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return self._reading.get(job_id)

    def get_each(self, wanted: Sequence[Wanted]) -> list[Found | RequestError | None]:
        """Does what `get` and `results` do for callers that come together.

        Returns:
            For each its job; or why there is none; or None if it has so much to
            it that it should be read by itself.
        """
        return self._reading.get_each(wanted)

    def mark_sent(self, sent: Sequence[Sent]) -> None:
        """Notes what the broker has confirmed."""
        note_sent(self._store, sent, self._clock())

    def results(self, job_id: str) -> Sequence[bytes]:
        """The results of a job, each a serialized qdispatch.v1.Result.

        They come in the order of their types' names, and of their points; none
        unless the job is finished.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return self._reading.results(job_id)

    def small_results(self, job_id: str, most: int) -> Sequence[bytes]:
        """As `results`; none if they take more bytes than this, or there is no such job."""
        return self._reading.small_results(job_id, most)

    def cancel(self, job_id: str) -> Canceled:
        """Cancels a job, unless it has ended.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        key = parse_job_id(job_id)
        end = self._canceling.cancel([key]).get(key)
        if end is None:
            raise no_job(job_id)
        self._changed([key])
        return Canceled(verdict=end.verdict, job=info_of(end.row))

    def cancel_all(self, job_ids: Sequence[str]) -> list[Cancellation]:
        """Cancels many jobs; those that do not exist or have ended change nothing.

        Returns:
            One verdict per id, in their order.

        Raises:
            TooLargeError: They are more than one call may cancel.
        """
        if len(job_ids) > MAX_CANCELED:
            raise TooLargeError(
                f"{len(job_ids)} ids; one call cancels at most {MAX_CANCELED}", field="ids"
            )
        keys = [known_id(job_id) for job_id in job_ids]
        known = [key for key in dict.fromkeys(keys) if key is not None]
        ends = self._canceling.cancel(known)
        self._changed(known)
        cancellations = []
        for job_id, key in zip(job_ids, keys, strict=True):
            end = None if key is None else ends.get(key)
            cancellations.append(
                Cancellation(id=job_id, verdict=CancelVerdict.NOT_FOUND)
                if end is None
                else Cancellation(id=job_id, verdict=end.verdict, status=end.row.status)
            )
        return cancellations

    def delete(self, job_id: str) -> None:
        """Deletes a final job with its results, for good; its request_id is free again.

        Raises:
            JobNotFoundError: There is none of that id.
            JobActiveError: It is not final.
        """
        key = parse_job_id(job_id)
        self._history.delete(key)
        self._programs.delete(key)

    def page(
        self,
        wanted: JobFilter,
        *,
        size: int = 0,
        token: str = "",
        owner: str = ANONYMOUS,
        takes: Callable[[JobInfo], bool] = lambda _: True,
    ) -> Page:
        """A page of the jobs that pass a filter, newest first.

        Jobs may have much to them: they are read in pieces, and no more than are taken.

        Args:
            wanted: The filter.
            size: The most to return; 0 for as many as are usual.
            token: `Page.next_token` of the page before; empty for the first one.
            owner: Whose jobs.
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
        with closing(self._reading.newest(wanted, owner, before, limit=size + 1)) as newest:
            for job in newest:
                if len(jobs) == size or not takes(job):
                    return Page(jobs=tuple(jobs), next_token=jobs[-1].id)
                jobs.append(job)
        return Page(jobs=tuple(jobs), next_token="")

    # -- batches

    def submit_many(
        self, specs: Sequence[JobSpec], *, request_id: str, owner: str = ANONYMOUS
    ) -> BatchJobs:
        """Accepts all of some jobs, or none; or returns the batch that this request_id stands for.

        Raises:
            RequestError: One of them is refused, whose place ``field`` names,
                and nothing of any remains.
            UnavailableError: A part is away; the same request_id settles it later.
        """
        kept = self._submission.submit_many(specs, request_id=request_id, owner=owner)
        with self._store.read() as tx:
            numbers = tx.lists.batch_numbers(kept.batch.id)
        return BatchJobs(batch=batch_of(kept.batch, numbers), job_ids=tuple(map(str, kept.job_ids)))

    def batch(self, batch_id: str) -> BatchJobs:
        """A batch, and how far it is.

        Raises:
            BatchNotFoundError: There is none of that id.
        """
        key = parse_batch_id(batch_id)
        with self._store.read() as tx:
            row = _found_batch(tx, key)
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

    # -- targets

    def targets(self) -> list[TargetInfo]:
        """Every target with its load, in the order of the settings."""
        load = TargetLoad.read(self._store, self._clock)
        return [
            TargetInfo(
                name=name,
                simulator=target.simulator,
                program_formats=target.program_formats,
                max_qubits=target.max_qubits,
                result_types=target.result_types,
                workers_online=load.workers.get(name, (0, 0))[0],
                queue_length=load.jobs.get((name, JobStatus.PENDING), 0),
                running=load.jobs.get((name, JobStatus.RUNNING), 0),
                max_time_limit_s=target.max_time_limit_s,
                default_time_limit_s=target.time_limit_s,
                state=load.states.get(name, TargetState.ACTIVE),
            )
            for name, target in self._settings.targets.items()
        ]


def _found_batch(tx: Transaction, key: UUID) -> BatchRow:
    row = tx.lists.batch(key)
    if row is None:
        raise BatchNotFoundError(f"there is no batch {key}", field="batch_id")
    return row
