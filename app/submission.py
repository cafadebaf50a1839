"""Accepting jobs: one, or many at once.

What is answered is kept: program files first, then the rows in one
transaction, then the answer. Dispatch follows, off the request's path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from app.cache import ResultCache
from app.chunks import cut_into_chunks
from app.events import line
from app.ids import new_id
from app.placement import WORKER_SEEN_S, Placement, TargetLoad, drained_error
from app.ports import Chunk, Clock, Dispatch, Dispatcher
from app.programs import Programs
from app.records import dump_observables, pack_points
from app.rows import BatchRow, JobRow
from app.settings import Settings, TargetSettings
from app.store import Store, Transaction, label
from app.validation import check_request_id, check_spec, in_batch
from qdispatch.codec import encode_spec
from qdispatch.errors import InvalidJobError, RequestConflictError, RequestError, TooLargeError
from qdispatch.model import JobSpec, JobStatus, TargetState


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A batch that was accepted."""

    batch: BatchRow
    job_ids: tuple[UUID, ...]
    """In the order of the specs."""


class Submission:
    """Accepts jobs for one installation; see `app.service.JobService`."""

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
        self._cache = ResultCache(settings, clock)

    # -- one job

    def submit(self, spec: JobSpec, *, request_id: str, owner: str) -> JobRow:
        """Accepts a job, or finds the one that this request_id stands for."""
        check_request_id(request_id)
        try:
            check_spec(spec, self._settings.server)
            target = self._placement().pick(spec)
        except RequestError:
            # The settings may have changed since the job was accepted.
            with self._store.read() as tx:
                known = tx.by_request(owner, request_id)
            if known is not None and known.digest == _digest(spec):
                return known
            raise
        row = self._new_row(spec, target, request_id=request_id, owner=owner)
        # If the commit then fails, it is open whether it went through: the
        # file stays, and the sweep removes it should there be no job.
        self._programs.write({row.id: spec.program})
        existing = None
        with self._store.write() as tx:
            states = self._states(tx)
            drained = states.get(target) is TargetState.DRAINED
            [row] = self._cache.answer(tx, [row], states)
            inserted = not drained and tx.insert_job(row, pack_points(spec.parameter_values))
            if inserted:
                self._cache.copy(tx, [row])
            else:
                existing = tx.by_request(owner, request_id)
        if inserted:
            self._send([row], states)
            return row
        self._programs.delete(row.id)
        if existing is None:
            if drained and spec.target:
                raise drained_error([target])
            # Since it was looked at, the target was drained that was
            # picked, or the job deleted that had this request_id.
            return self.submit(spec, request_id=request_id, owner=owner)
        _check_same(existing.digest, row.digest, request_id, f"job {existing.id}")
        return existing

    # -- many jobs

    def submit_many(self, specs: Sequence[JobSpec], *, request_id: str, owner: str) -> Kept:
        """Accepts all of some jobs, or finds the batch that this request_id stands for."""
        check_request_id(request_id)
        try:
            targets = self._targets_of(specs)
        except RequestError:
            # The settings may have changed since the batch was accepted.
            known = self._known_batch(owner, request_id)
            if known is not None and known.batch.digest == _digest_of(map(_digest, specs)):
                return known
            raise
        batch, rows = self._new_batch(specs, targets, request_id=request_id, owner=owner)
        # See `submit` about the files.
        self._programs.write({row.id: spec.program for row, spec in zip(rows, specs, strict=True)})
        points = {
            row.id: pack_points(spec.parameter_values)
            for row, spec in zip(rows, specs, strict=True)
            if spec.parameters
        }
        with self._store.write(long=True) as tx:
            states = self._states(tx)
            drained = any(states.get(each) is TargetState.DRAINED for each in targets)
            rows = self._cache.answer(tx, rows, states)
            to_run = [row for row in rows if not row.status.is_final]
            chunks = cut_into_chunks(to_run, self._slots(tx))
            inserted = not drained and tx.insert_batch(batch, rows, points)
            if inserted:
                self._cache.copy(tx, rows)
        if inserted:
            self._send_chunks(chunks, states)
            self._send([row for row in rows if row.chunk_id is None], states)
            return Kept(batch=batch, job_ids=tuple(row.id for row in rows))
        for row in rows:
            self._programs.delete(row.id)
        existing = self._known_batch(owner, request_id)
        if existing is None:
            _check_drained(specs, states)
            # See `submit`.
            return self.submit_many(specs, request_id=request_id, owner=owner)
        _check_same(existing.batch.digest, batch.digest, request_id, f"batch {existing.batch.id}")
        return existing

    def _new_batch(
        self, specs: Sequence[JobSpec], targets: Sequence[str], *, request_id: str, owner: str
    ) -> tuple[BatchRow, list[JobRow]]:
        batch_id = new_id()
        rows = [
            self._new_row(spec, target, request_id=f"{batch_id}/{index}", owner=owner)
            for index, (spec, target) in enumerate(zip(specs, targets, strict=True))
        ]
        for index, row in enumerate(rows):
            row.batch_id, row.batch_index = batch_id, index
        batch = BatchRow(
            id=batch_id,
            owner=owner,
            request_id=request_id,
            digest=_digest_of(row.digest for row in rows),
            created_at=self._clock(),
            size=len(specs),
        )
        return batch, rows

    def _targets_of(self, specs: Sequence[JobSpec]) -> list[str]:
        most = self._settings.server.max_batch_jobs
        if not specs:
            raise InvalidJobError("a batch needs at least one job", field="specs")
        if len(specs) > most:
            raise TooLargeError(
                f"{len(specs)} jobs; a batch has at most {most} (server.max_batch_jobs):"
                " submit several batches",
                field="specs",
            )
        for index, spec in enumerate(specs):
            with in_batch(index):
                check_spec(spec, self._settings.server)
        placement = self._placement()
        targets = []
        for index, spec in enumerate(specs):
            with in_batch(index):
                targets.append(placement.pick(spec))
        return targets

    def _known_batch(self, owner: str, request_id: str) -> Kept | None:
        with self._store.read() as tx:
            batch = tx.batch_by_request(owner, request_id)
            if batch is None:
                return None
            return Kept(batch=batch, job_ids=tuple(tx.lists.batch_jobs(batch.id)))

    # -- both

    def _placement(self) -> Placement:
        return Placement(self._settings.targets, lambda: TargetLoad.read(self._store, self._clock))

    def _states(self, tx: Transaction) -> Mapping[str, TargetState]:
        # Held, so that nothing is accepted after a drain was acknowledged.
        return tx.targets.states(hold=True)

    def _slots(self, tx: Transaction) -> dict[str, int]:
        seen_after = self._clock() - timedelta(seconds=WORKER_SEEN_S)
        return {target: slots for target, (_, slots) in tx.workers(seen_after).items()}

    def _send_chunks(self, chunks: Iterable[Chunk], states: Mapping[str, TargetState]) -> None:
        for chunk in chunks:
            # See `_send`.
            if states.get(chunk.target) is not TargetState.PAUSED:
                self._dispatcher.send_chunk(chunk)

    def _send(self, rows: Iterable[JobRow], states: Mapping[str, TargetState]) -> None:
        for row in rows:
            if row.status.is_final:
                self._programs.delete(row.id)
            # Jobs of a paused target are for the sweep, after the pause.
            elif states.get(row.target) is not TargetState.PAUSED:
                text = label(row.target, row.n_qubits, row.shots)
                self._dispatcher.send(Dispatch(job_id=row.id, target=row.target, label=text))

    def _new_row(self, spec: JobSpec, target: str, *, request_id: str, owner: str) -> JobRow:
        now = self._clock()
        return JobRow(
            id=new_id(),
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
            use_cache=spec.cache,
            cache_key=self._cache.key(spec, target, owner),
            life=line(JobStatus.PENDING, now),
        )


def _check_drained(specs: Sequence[JobSpec], states: Mapping[str, TargetState]) -> None:
    for index, spec in enumerate(specs):
        if states.get(spec.target) is TargetState.DRAINED:
            with in_batch(index):
                raise drained_error([spec.target])


def _check_same(known: bytes, given: bytes, request_id: str, what: str) -> None:
    if known != given:
        raise RequestConflictError(
            f"{request_id!r} stands for {what}, whose content differs;"
            " make a new request_id for a new submission",
            field="request_id",
        )


def _digest(spec: JobSpec) -> bytes:
    # The client's clock may differ between two tries of the same submission.
    content = encode_spec(replace(spec, submission_date=None))
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def _digest_of(digests: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()


def _time_limit(spec: JobSpec, target: TargetSettings) -> float:
    return min(spec.time_limit_s or target.time_limit_s, target.max_time_limit_s)
