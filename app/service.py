"""What users do with jobs: every use case, one transaction each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic, sleep
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from app.events import line
from app.history import History
from app.ports import Clock, Dispatch, Dispatcher
from app.programs import Programs
from app.records import dump_observables, info_of, pack_points
from app.rows import JobRow
from app.settings import Settings, TargetSettings
from app.store import Store, Transaction, label
from app.validation import candidates, check_request_id, check_spec
from qdispatch.codec import encode_spec
from qdispatch.errors import (
    JobNotFoundError,
    RequestConflictError,
    RequestError,
    TargetDrainedError,
    TooLargeError,
    UnavailableError,
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

#: The owner of every job, until there is authentication.
ANONYMOUS: Final = "anonymous"

#: A worker that was not seen for this long is not counted, in seconds.
WORKER_SEEN_S: Final = 30.0


#: The most jobs that one call may cancel.
MAX_CANCELED: Final = 10_000

# How often a cancellation looks for the workers' confirmations, in seconds.
_CONFIRMED_S: Final = 0.02
# Jobs canceled in one transaction.
_BATCH: Final = 500


@dataclass(frozen=True, kw_only=True)
class Canceled:
    """What a cancellation came to."""

    verdict: CancelVerdict
    job: JobInfo


class JobService:
    """The jobs of one installation, for its server and every gateway.

    Args:
        settings: Targets and limits.
        store: The database.
        programs: The program files.
        dispatcher: Tells the workers.
        clock: Tells the time.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        programs: Programs,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._programs = programs
        self._dispatcher = dispatcher
        self._clock = clock
        self._history = History(settings=settings.history, store=store, clock=clock)

    def submit(self, spec: JobSpec, *, request_id: str, owner: str = ANONYMOUS) -> JobInfo:
        """Accepts a job, or returns the one that this request_id stands for.

        When this returns, the job is kept, and will be run.

        Raises:
            TargetDrainedError: Every target that it may run on is drained.
            RequestError: The job is refused, and nothing of it remains.
            UnavailableError: A part is away; the same request_id settles it later.
        """
        check_request_id(request_id)
        try:
            check_spec(spec, self._settings.server)
            target = self._pick(spec)
        except RequestError:
            # The settings may have changed since the job was accepted.
            known = self._known(owner, request_id)
            if known is not None and known.digest == _digest(spec):
                return info_of(known)
            raise
        row = self._new_row(spec, target, request_id=request_id, owner=owner)
        # If the commit then fails, it is open whether it went through: the
        # file stays, and the sweep removes it should there be no job.
        self._programs.write(row.id, spec.program)
        existing = None
        with self._store.write() as tx:
            # Held, so that nothing is accepted after a drain was acknowledged.
            state = tx.targets.states(hold=True).get(target, TargetState.ACTIVE)
            inserted = state is not TargetState.DRAINED and tx.insert_job(
                row, pack_points(spec.parameter_values)
            )
            if not inserted:
                existing = tx.by_request(owner, request_id)
        if not inserted:
            self._programs.delete(row.id)
            if existing is None:
                if state is TargetState.DRAINED and spec.target:
                    raise _drained([target])
                # Since it was looked at, the target was drained that was
                # picked, or the job deleted that had this request_id.
                return self.submit(spec, request_id=request_id, owner=owner)
            if existing.digest != row.digest:
                raise RequestConflictError(
                    f"{request_id!r} stands for job {existing.id}, whose content differs;"
                    " make a new request_id for a new job",
                    field="request_id",
                )
            return info_of(existing)
        if state is not TargetState.PAUSED:
            # Else it is for the sweep, after the pause.
            self._dispatcher.send(
                Dispatch(
                    job_id=row.id, target=target, label=label(target, spec.n_qubits, spec.shots)
                )
            )
        return info_of(row)

    def _known(self, owner: str, request_id: str) -> JobRow | None:
        with self._store.read() as tx:
            return tx.by_request(owner, request_id)

    def get(self, job_id: str) -> JobInfo:
        """A job, without its results.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        key = _parse_id(job_id)
        with self._store.read() as tx:
            return info_of(_found(tx.job(key), job_id))

    def mark_sent(self, sent: Sequence[Dispatch]) -> None:
        """Notes that the broker has the messages for these jobs."""
        with self._store.write() as tx:
            tx.mark_sent(sent, self._clock())

    def results(self, job_id: str) -> Sequence[bytes]:
        """The results of a job, each a serialized qdispatch.v1.Result.

        They come in the order of their types' names; none unless it is finished.
        """
        key = _parse_id(job_id)
        with self._store.read(long=True) as tx:
            return tx.results(key)

    def cancel(self, job_id: str) -> Canceled:
        """Cancels a job, unless it has ended.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        key = _parse_id(job_id)
        verdict, row = self._cancel([key]).get(key, (CancelVerdict.NOT_FOUND, None))
        return Canceled(verdict=verdict, job=info_of(_found(row, job_id)))

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
        keys = [_known_id(job_id) for job_id in job_ids]
        ends = self._cancel([key for key in dict.fromkeys(keys) if key is not None])
        cancellations = []
        for job_id, key in zip(job_ids, keys, strict=True):
            end = None if key is None else ends.get(key)
            cancellations.append(
                Cancellation(id=job_id, verdict=CancelVerdict.NOT_FOUND)
                if end is None
                else Cancellation(id=job_id, verdict=end[0], status=end[1].status)
            )
        return cancellations

    def _cancel(self, keys: Sequence[UUID]) -> dict[UUID, tuple[CancelVerdict, JobRow]]:
        """The verdict on each job that there is."""
        ends: dict[UUID, tuple[CancelVerdict, JobRow]] = {}
        stopping: list[UUID] = []
        for at in range(0, len(keys), _BATCH):
            with self._store.write() as tx:
                some = self._mark_canceled(tx, set(keys[at : at + _BATCH]))
            # Before the next batch, which may not go through.
            self._tell(some, CancelVerdict.REMOVED_FROM_QUEUE, running=False)
            stopping += self._tell(some, CancelVerdict.STOPPING, running=True)
            ends |= some
        return ends | self._confirmed(stopping)

    def _tell(
        self,
        ends: Mapping[UUID, tuple[CancelVerdict, JobRow]],
        verdict: CancelVerdict,
        *,
        running: bool,
    ) -> list[UUID]:
        """Tells the workers of the jobs with this verdict; returns which these are."""
        keys = [key for key, (each, _) in ends.items() if each is verdict]
        if keys:
            self._dispatcher.revoke(keys, running=running)
        for key in keys:
            self._programs.delete(key)
        return keys

    def _mark_canceled(
        self, tx: Transaction, left: set[UUID]
    ) -> dict[UUID, tuple[CancelVerdict, JobRow]]:
        ends: dict[UUID, tuple[CancelVerdict, JobRow]] = {}
        now = self._clock()
        while left:
            for held, verdict in (
                (JobStatus.PENDING, CancelVerdict.REMOVED_FROM_QUEUE),
                (JobStatus.RUNNING, CancelVerdict.STOPPING),
            ):
                ends |= {row.id: (verdict, row) for row in tx.cancel(left, held, now=now)}
                left -= ends.keys()
            rows = tx.jobs(left) if left else []
            final = {row.id: row for row in rows if row.status.is_final}
            ends |= {key: (_late_verdict(row), row) for key, row in final.items()}
            # The others have gone from running back to pending in between.
            left = {row.id for row in rows} - final.keys()
        return ends

    def _confirmed(self, keys: Sequence[UUID]) -> dict[UUID, tuple[CancelVerdict, JobRow]]:
        """Waits a little for the workers' word that these jobs have stopped."""
        until = monotonic() + self._settings.server.cancel_wait_s
        stopped: dict[UUID, tuple[CancelVerdict, JobRow]] = {}
        left = set(keys)
        while left and monotonic() < until:
            sleep(_CONFIRMED_S)
            try:
                with self._store.read() as tx:
                    rows = tx.jobs(left)
            except UnavailableError:
                # They are canceled; that nobody can be asked now changes nothing.
                break
            for row in rows:
                if row.stopped_at is not None:
                    stopped[row.id] = (CancelVerdict.STOPPED_RUNNING, row)
            left -= stopped.keys()
        return stopped

    def delete(self, job_id: str) -> None:
        """Deletes a final job with its results, for good; its request_id is free again.

        Raises:
            JobNotFoundError: There is none of that id.
            JobActiveError: It is not final.
        """
        key = _parse_id(job_id)
        self._history.delete(key)
        self._programs.delete(key)

    def targets(self) -> list[TargetInfo]:
        """Every target with its load, in the order of the settings."""
        load, workers, states = self._load()
        return [
            TargetInfo(
                name=name,
                simulator=target.simulator,
                program_formats=target.program_formats,
                max_qubits=target.max_qubits,
                result_types=target.result_types,
                workers_online=workers.get(name, (0, 0))[0],
                queue_length=load.get((name, JobStatus.PENDING), 0),
                running=load.get((name, JobStatus.RUNNING), 0),
                max_time_limit_s=target.max_time_limit_s,
                default_time_limit_s=target.time_limit_s,
                state=states.get(name, TargetState.ACTIVE),
            )
            for name, target in self._settings.targets.items()
        ]

    def _load(
        self,
    ) -> tuple[
        Mapping[tuple[str, JobStatus], int],
        Mapping[str, tuple[int, int]],
        Mapping[str, TargetState],
    ]:
        """Jobs by target and status, workers and slots by target, states that are not active."""
        with self._store.read() as tx:
            seen_after = self._clock() - timedelta(seconds=WORKER_SEEN_S)
            return tx.load(), tx.workers(seen_after), tx.targets.states()

    def _pick(self, spec: JobSpec) -> str:
        names = candidates(spec, self._settings.targets)
        if spec.target:
            return names[0]
        load, workers, states = self._load()
        accepting = [name for name in names if states.get(name) is not TargetState.DRAINED]
        if not accepting:
            raise _drained(names)

        def rank(name: str) -> tuple[bool, bool, float]:
            busy = load.get((name, JobStatus.PENDING), 0) + load.get((name, JobStatus.RUNNING), 0)
            _, slots = workers.get(name, (0, 0))
            load_of_slot = busy / (slots or self._settings.targets[name].concurrency)
            return name in states, slots == 0, load_of_slot

        return min(accepting, key=rank)

    def _new_row(self, spec: JobSpec, target: str, *, request_id: str, owner: str) -> JobRow:
        now = self._clock()
        return JobRow(
            # The uuid-utils class looks like the standard one, but is another.
            id=UUID(int=uuid7().int),
            owner=owner,
            request_id=request_id,
            digest=_digest(spec),
            created_at=now,
            status=JobStatus.PENDING,
            target=target,
            framework=spec.framework,
            n_qubits=spec.n_qubits,
            depth=spec.depth,
            submission_date=spec.submission_date,
            program_format=spec.program_format.value,
            result_types=[kind.value for kind in spec.result_types],
            shots=spec.shots,
            seed=spec.seed,
            observables=dump_observables(spec.observables),
            extra=spec.extra,
            time_limit_s=_time_limit(spec, self._settings.targets[target]),
            tags=list(spec.tags),
            parameters=list(spec.parameters),
            n_points=len(spec.parameter_values),
            life=line(JobStatus.PENDING, now),
        )


def _drained(names: Sequence[str]) -> TargetDrainedError:
    if len(names) == 1:
        text = f"target {names[0]} is drained: it accepts no jobs until it is resumed"
    else:
        text = f"all targets that fit are drained ({', '.join(names)}): none accepts jobs for now"
    return TargetDrainedError(
        f"{text}; name another target, or submit again later (`client.targets()` shows the states)",
        field="spec.target",
    )


def _found(row: JobRow | None, job_id: str) -> JobRow:
    if row is None:
        raise JobNotFoundError(f"there is no job {job_id}", field="id")
    return row


def _parse_id(job_id: str) -> UUID:
    try:
        return UUID(job_id)
    except ValueError as error:
        raise JobNotFoundError(
            f"{job_id[:60]!r} is not the id of a job; ids are UUIDs", field="id"
        ) from error


def _late_verdict(row: JobRow) -> CancelVerdict:
    """On a job that was final before; it may have been canceled by the same call's first try."""
    unconfirmed = row.status is JobStatus.CANCELED and row.lease_until is not None
    return CancelVerdict.STOPPING if unconfirmed else CancelVerdict.TOO_LATE


def _known_id(job_id: str) -> UUID | None:
    try:
        return _parse_id(job_id)
    except JobNotFoundError:
        return None


def _digest(spec: JobSpec) -> bytes:
    # The client's clock may differ between two tries of the same submission.
    content = encode_spec(replace(spec, submission_date=None))
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def _time_limit(spec: JobSpec, target: TargetSettings) -> float:
    return min(spec.time_limit_s or target.time_limit_s, target.max_time_limit_s)
