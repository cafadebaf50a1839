"""The client: submits circuits and finds jobs again.

Without an address it connects to what the environment variable named by
`ADDRESS_VARIABLE` says, else to `DEFAULT_ADDRESS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from qdispatch import credentials, operations, preparation, watching
from qdispatch.batch import Batch
from qdispatch.calls import Calls
from qdispatch.channel import ADDRESS_VARIABLE, DEFAULT_ADDRESS, address_or_default
from qdispatch.credentials import File
from qdispatch.driver import Driver
from qdispatch.filters import job_filter
from qdispatch.job import Job
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

__all__ = ["ADDRESS_VARIABLE", "DEFAULT_ADDRESS", "Client"]

T = TypeVar("T")


class Client:
    """A connection to a qdispatch server.

    Args:
        address: Host and port of the server; the environment variable
            QDISPATCH_ADDRESS, or else 127.0.0.1:50051, if not given.
        timeout_s: How long one call may take, in seconds. It is repeated for
            so long while the server, or a part that it needs, is away; for 5 s
            at the most if the server has never answered.
        max_message_bytes: The most that one message may take, in bytes.
        token: Says who calls; QDISPATCH_TOKEN, or else the content of the file
            QDISPATCH_TOKEN_FILE, if not given. It goes unencrypted to this
            machine only, unless ``tls`` is False.
        tls: Whether to encrypt; QDISPATCH_USE_TLS (1 or 0) if not given, or else
            whether there is a ``ca_file`` or a ``cert_file``.
        ca_file: PEM file of the authorities that the server's certificate may
            come from; QDISPATCH_CA_FILE, or else those that gRPC trusts.
        cert_file: PEM file of the client's own certificate, where the server
            wants one; QDISPATCH_CERT_FILE if not given.
        key_file: PEM file of its key; QDISPATCH_KEY_FILE, or else in ``cert_file``.
        quota_wait_s: How long a submission that is over a quota waits for room,
            in seconds, if it does not say itself; 0 for not at all. It comes back
            when the server says, with the same ``request_id``. Other calls wait
            for ``timeout_s``.

    Raises:
        ConfigurationError: The address has no port, a file cannot be used, or the
            token would be sent unencrypted.
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
        self._driver = Driver(self.address, shown, max_message_bytes=max_message_bytes)

    def prepare(self, circuit: object, **options: Unpack[SubmitOptions]) -> JobSpec:
        """What `submit` would send; nothing is sent.

        Args:
            circuit: As in `submit`.
            **options: See `SubmitOptions`.

        Raises:
            CircuitError: The circuit cannot be carried.
            InvalidJobError: An option is wrong.
        """
        return preparation.prepare(circuit, **options)

    def submit(
        self,
        circuit: object,
        *,
        request_id: str | None = None,
        quota_wait_s: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Job:
        """Submits a circuit and returns at once.

        Args:
            circuit: A Qiskit ``QuantumCircuit``, a Cirq ``Circuit``, a
                PennyLane tape or ``QNode``, or a `CustomCircuit`.
            request_id: Names this submission: repeating it returns the same
                job. Made anew if not given.
            quota_wait_s: How long to wait for room if it is over a quota, in seconds;
                as long as the client does if not given.
            **options: ``target``, ``shots``, ``seed``, ``result_types``,
                ``observables``, ``parameters``, ``args``, ``kwargs``,
                ``extra``, ``time_limit_s``, ``tags``, ``cache`` and ``priority``; see
                `SubmitOptions`.

        Returns:
            The job.

        Raises:
            CircuitError: The circuit cannot be carried; nothing was sent.
            RequestError: The server refuses the job; the message says why.
            QuotaError: It is over a quota, and waiting does not help or would take
                longer than ``quota_wait_s``.
            UnavailableError: The server does not answer. Whether it has the
                job is open: submitting again with the same request_id settles it.
        """
        spec = preparation.prepare(circuit, **options)
        return Job(self, self.create_job(spec, request_id=request_id, quota_wait_s=quota_wait_s))

    def submit_batch(
        self,
        circuits: Iterable[object],
        *,
        request_id: str | None = None,
        quota_wait_s: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Batch:
        """Submits many circuits in one call: all of them, or none.

        Args:
            circuits: Each as `submit` takes it, or a `JobSpec` of `prepare`,
                which the options do not change.
            request_id: Names this submission, as in `submit`.
            quota_wait_s: As in `submit`.
            **options: Of every circuit; see `SubmitOptions`.

        Raises:
            CircuitError: A circuit cannot be carried; the message says which.
            RequestError: The server refuses a job; the message says which.
            UnavailableError: As in `submit`.
        """
        specs = preparation.prepare_all(circuits, **options)
        return Batch(
            self, *self.create_jobs(specs, request_id=request_id, quota_wait_s=quota_wait_s)
        )

    def create_job(
        self, spec: JobSpec, *, request_id: str | None = None, quota_wait_s: float | None = None
    ) -> JobInfo:
        """Submits a spec as it is; see `submit` for what it raises."""
        return self._run(operations.create_job(self._calls, spec, request_id, quota_wait_s))

    def create_jobs(
        self,
        specs: Iterable[JobSpec],
        *,
        request_id: str | None = None,
        quota_wait_s: float | None = None,
    ) -> tuple[BatchInfo, tuple[str, ...]]:
        """Submits specs as they are; see `submit_batch` for what it raises.

        Returns:
            The batch, and the ids of its jobs in the order of the specs.
        """
        return self._run(operations.create_jobs(self._calls, specs, request_id, quota_wait_s))

    def job(self, job_id: str) -> Job:
        """Finds a job again, also one of an earlier process.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return Job(self, self.get_job(job_id))

    def batch(self, batch_id: str) -> Batch:
        """Finds a batch again, also one of an earlier process.

        Raises:
            BatchNotFoundError: There is none of that id.
        """
        return Batch(self, *self.get_batch(batch_id))

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
    ) -> Iterator[JobInfo]:
        """Lists jobs, newest first; pages are read as they are needed.

        Args:
            status: One status, or several; all if not given.
            target: Only jobs of this target.
            tag: Only jobs with this tag.
            batch: Only jobs of the batch of this id.
            created_after: Only jobs created at this moment or later. A moment
                without a time zone is one of this machine's.
            created_before: Only jobs created before this moment.
            owner: Only jobs of this owner. Administrators see those of everybody,
                everybody else their own.
            limit: The most to list; None for all.
        """
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

    def get_job(self, job_id: str, *, include_results: bool = False) -> JobInfo:
        """Reads a job as it is now.

        Args:
            job_id: Of the job.
            include_results: Whether to read its results in the same message,
                which limits their size; `get_result` has no such limit.
        """
        return self._run(operations.get_job(self._calls, job_id, include_results=include_results))

    def get_result(self, job_id: str) -> tuple[Result, ...]:
        """Reads the results of a finished job, however large they are.

        Returns:
            One result per type and point of the job's sweep.
        """
        return self._run(operations.get_result(self._calls, job_id))

    def get_batch(self, batch_id: str) -> tuple[BatchInfo, tuple[str, ...]]:
        """Reads a batch as it is now.

        Returns:
            The batch, and the ids of its jobs in the order of submission,
            without those that were deleted.
        """
        return self._run(operations.get_batch(self._calls, batch_id))

    def watch_job(
        self, job_id: str, *, after: int = 0, timeout_s: float | None = None
    ) -> Iterator[JobUpdate]:
        """All that happens to a job, as it happens, until it is final.

        The first update tells how it is now, one that follows soon what to expect.
        A connection that breaks is made anew, and no event is lost or told twice.

        Args:
            job_id: Of the job.
            after: Number of the last event that is known; only later ones are told.
            timeout_s: How long to watch, in seconds; None for as long as it takes.

        Raises:
            WaitTimeoutError: It is not final by then; it goes on.
        """
        return self._iterate(
            watching.watch_job_for(self._calls, job_id, after=after, timeout_s=timeout_s)
        )

    def watch_batch(self, batch_id: str, *, after: Sequence[int] = ()) -> Iterator[BatchUpdate]:
        """All that happens to the jobs of a batch, as it happens, until all are final.

        Args:
            batch_id: Of the batch.
            after: Of each job, by its place in the batch, the number of the
                last event that is known; as in `watch_job`.
        """
        return self._iterate(watching.watch_batch(self._calls, batch_id, after=after))

    def cancel_job(self, job_id: str) -> CancelVerdict:
        """Cancels a job; the verdict says what that came to."""
        return self._run(operations.cancel_job(self._calls, job_id))

    def cancel_jobs(self, job_ids: Iterable[str]) -> list[Cancellation]:
        """Cancels many jobs in one call, at most 10,000.

        Returns:
            One verdict per id, in their order; ``not_found`` where there is no
            such job.
        """
        return self._run(operations.cancel_jobs(self._calls, job_ids))

    def cancel_batch(self, batch_id: str) -> list[Cancellation]:
        """Cancels all jobs of a batch that are pending or running.

        Returns:
            One verdict per job, in the order of submission.
        """
        return self._run(operations.cancel_batch(self._calls, batch_id))

    def delete_job(self, job_id: str) -> None:
        """Deletes a final job with its results, for good; its request_id is free again.

        Raises:
            JobActiveError: It is not final: cancel it first, or wait.
            JobNotFoundError: There is none of that id. After a call that got
                no answer this may mean that it did its work.
        """
        self._run(operations.delete_job(self._calls, job_id))

    def targets(self) -> list[TargetInfo]:
        """The simulators that the server offers, with their load."""
        return self._run(operations.targets(self._calls))

    def is_serving(self) -> bool:
        """Whether the server says that it is serving, by gRPC's health protocol."""
        return self._driver.is_serving(self._calls.timeout_s)

    def close(self) -> None:
        """Closes the connection; jobs go on."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        return self._driver.run(flow)

    def _iterate(self, flow: Flow[None]) -> Iterator[Any]:
        return self._driver.iterate(flow)
