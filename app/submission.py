"""Accepting jobs: one, or many at once.

What is answered is kept: program files first, then the rows in one
transaction, then the answer. Dispatch follows, off the request's path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.cache import ResultCache
from app.chunks import cut_a_group, cut_into_chunks
from app.events import line
from app.ids import new_id
from app.placement import WORKER_SEEN_S, Placement, TargetLoad, drained_error
from app.ports import Chunk, Clock, Dispatch, Dispatcher
from app.programs import Programs
from app.records import dump_observables
from app.rows import BatchRow, JobRow, job_row
from app.settings import Settings, TargetSettings
from app.store import Store, Transaction
from app.store_dispatch import label
from app.validation import check_request_id, check_spec, in_batch
from qdispatch.arrays import pack_points
from qdispatch.codec import encode_spec
from qdispatch.errors import InvalidJobError, RequestConflictError, RequestError, TooLargeError
from qdispatch.model import JobSpec, JobStatus, TargetState

#: The owner of every job, until there is authentication.
ANONYMOUS: Final = "anonymous"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A batch that was accepted."""

    batch: BatchRow
    job_ids: tuple[UUID, ...]
    """In the order of the specs."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job that somebody submits."""

    spec: JobSpec
    request_id: str
    owner: str = ANONYMOUS

    @property
    def key(self) -> tuple[str, str]:
        """Names the submission, among all."""
        return self.owner, self.request_id


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """An order that can be accepted."""

    place: int
    order: Order
    row: JobRow


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
        # Of one machine: who has more wins nothing by it for a few jobs.
        self._own_slots = {name: each.concurrency for name, each in settings.targets.items()}

    # -- jobs by themselves

    def submit_each(self, orders: Sequence[Order]) -> list[JobRow | RequestError]:
        """Accepts jobs that have nothing in common but the moment, in one transaction.

        Returns:
            For each order its job, which may be one that the request_id stood for
            before, or why it is refused.

        Raises:
            UnavailableError: What became of them is open.
        """
        answers: dict[int, JobRow | RequestError] = {}
        refused: list[int] = []
        drafts: list[_Draft] = []
        placement = self._placement()
        for place, order in enumerate(orders):
            try:
                check_request_id(order.request_id)
            except RequestError as error:
                answers[place] = error
                continue
            try:
                drafts.append(_Draft(place=place, order=order, row=self._row(order, placement)))
            except RequestError as error:
                answers[place] = error
                refused.append(place)
        if refused:
            answers |= self._recalled({place: orders[place] for place in refused})
        if drafts:
            answers |= self._keep(drafts)
        return [answers[place] for place in range(len(orders))]

    def _row(self, order: Order, placement: Placement) -> JobRow:
        check_spec(order.spec, self._settings.server)
        target = placement.pick(order.spec)
        return self._new_row(order.spec, target, request_id=order.request_id, owner=order.owner)

    def _recalled(self, refused: Mapping[int, Order]) -> dict[int, JobRow]:
        """Those of these that were accepted before, when the settings may have been others."""
        with self._store.read() as tx:
            known = tx.by_request({order.key for order in refused.values()})
        rows = ((place, order, known.get(order.key)) for place, order in refused.items())
        return {
            place: row for place, order, row in rows if row and row.digest == _digest(order.spec)
        }

    def _keep(self, drafts: Sequence[_Draft]) -> dict[int, JobRow | RequestError]:
        # If the commit then fails, it is open whether it went through: the
        # files stay, and the sweep removes those without a job.
        self._programs.write({each.row.id: each.order.spec.program for each in drafts})
        points = {
            each.row.id: pack_points(each.order.spec.parameter_values)
            for each in drafts
            if each.row.n_points
        }
        rows = [each.row for each in drafts]
        plain = not points and not any(row.cache_key for row in rows)
        with self._store.once() if plain else self._store.write() as tx:
            if plain:
                chunks = cut_a_group(rows, self._own_slots)
                inserted, states = tx.accept_jobs(rows)
            else:
                chunks = []
                inserted, states, rows = self._insert(tx, rows, points)
            left = [each for each in drafts if each.row.id not in inserted]
            existing = tx.by_request({each.order.key for each in left}) if left else {}
        accepted = {row.id: row for row in rows}
        kept = {each.place: accepted[each.row.id] for each in drafts if each.row.id in inserted}
        self._send_chunks(_of(chunks, inserted), states)
        self._send([row for row in kept.values() if row.chunk_id is None], states)
        return kept | (self._settle(left, existing, states) if left else {})

    def _insert(
        self, tx: Transaction, rows: Sequence[JobRow], points: Mapping[UUID, bytes]
    ) -> tuple[set[UUID], Mapping[str, TargetState], list[JobRow]]:
        """Inserts jobs of which some may be answered, or are sweeps.

        Returns:
            Which were inserted, the states of targets, and the jobs as they are now.
        """
        states = self._states(tx)
        accepted = [row for row in rows if states.get(row.target) is not TargetState.DRAINED]
        accepted = self._cache.answer(tx, accepted, states)
        inserted = tx.insert_jobs(accepted, points) if accepted else set()
        self._cache.copy(tx, [row for row in accepted if row.id in inserted])
        return inserted, states, accepted

    def _settle(
        self,
        left: Sequence[_Draft],
        existing: Mapping[tuple[str, str], JobRow],
        states: Mapping[str, TargetState],
    ) -> dict[int, JobRow | RequestError]:
        """Answers those that were not inserted."""
        answers: dict[int, JobRow | RequestError] = {}
        again: list[_Draft] = []
        for each in left:
            self._programs.delete(each.row.id)
            known = existing.get(each.order.key)
            if known is not None:
                same = known.digest == each.row.digest
                what = f"job {known.id}"
                answers[each.place] = known if same else _conflict(each.order.request_id, what)
            elif each.order.spec.target and states.get(each.row.target) is TargetState.DRAINED:
                answers[each.place] = drained_error([each.row.target])
            else:
                # Since it was looked at, the target was drained that was
                # picked, or the job deleted that had this request_id.
                again.append(each)
        if again:
            ends = self.submit_each([each.order for each in again])
            answers |= {each.place: end for each, end in zip(again, ends, strict=True)}
        return answers

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
        # See `_keep` about the files.
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
            # See `_settle`.
            return self.submit_many(specs, request_id=request_id, owner=owner)
        if existing.batch.digest != batch.digest:
            raise _conflict(request_id, f"batch {existing.batch.id}")
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
        return job_row(
            {
                "id": new_id(),
                "owner": owner,
                "request_id": request_id,
                "digest": _digest(spec),
                "created_at": now,
                "status": JobStatus.PENDING,
                "target": target,
                "framework": spec.framework,
                "n_qubits": spec.n_qubits,
                "depth": spec.depth,
                "submission_date": spec.submission_date,
                "program_format": spec.program_format.value,
                "result_types": [kind.value for kind in spec.result_types],
                "shots": spec.shots,
                "seed": spec.seed,
                "observables": dump_observables(spec.observables),
                "extra": spec.extra,
                "time_limit_s": _time_limit(spec, self._settings.targets[target]),
                "tags": list(spec.tags),
                "parameters": list(spec.parameters),
                "n_points": len(spec.parameter_values),
                "use_cache": spec.cache,
                "cache_key": self._cache.key(spec, target, owner),
                "life": line(JobStatus.PENDING, now),
            }
        )


def _of(chunks: Iterable[Chunk], inserted: Container[UUID]) -> Iterator[Chunk]:
    """The chunks, with those of their jobs that there are."""
    for chunk in chunks:
        job_ids = tuple(job_id for job_id in chunk.job_ids if job_id in inserted)
        if job_ids:
            yield replace(chunk, job_ids=job_ids)


def _check_drained(specs: Sequence[JobSpec], states: Mapping[str, TargetState]) -> None:
    for index, spec in enumerate(specs):
        if states.get(spec.target) is TargetState.DRAINED:
            with in_batch(index):
                raise drained_error([spec.target])


def _conflict(request_id: str, what: str) -> RequestConflictError:
    return RequestConflictError(
        f"{request_id!r} stands for {what}, whose content differs;"
        " make a new request_id for a new submission",
        field="request_id",
    )


def _digest(spec: JobSpec) -> bytes:
    content = encode_spec(spec)
    # The client's clock may differ between two tries of the same submission.
    content.ClearField("submission_date")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def _digest_of(digests: Iterable[bytes]) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()


def _time_limit(spec: JobSpec, target: TargetSettings) -> float:
    return min(spec.time_limit_s or target.time_limit_s, target.max_time_limit_s)
