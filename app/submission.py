"""Accepting jobs: one, or many at once.

What is answered is kept: program files first, then the rows in one
transaction, then the answer. Dispatch follows, off the request's path.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.cache import ResultCache
from app.chunks import cut_a_group, cut_into_chunks
from app.ids import new_id
from app.new_rows import conflict, digest_of, digest_of_all, new_row
from app.placement import WORKER_SEEN_S, Placement, TargetLoad, check_drained, drained_error
from app.ports import Clock, Dispatcher
from app.programs import Programs
from app.quotas import Quotas
from app.rows import BatchRow, JobRow
from app.sending import Sending
from app.settings import Settings
from app.store import Store, Transaction
from app.validation import check_request_id, check_spec, in_batch
from qdispatch.arrays import pack_points
from qdispatch.errors import InvalidJobError, RequestError, TooLargeError
from qdispatch.model import JobSpec, TargetState


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
    owner: str

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
        quotas: Quotas,
    ) -> None:
        self._settings = settings
        self._store = store
        self._programs = programs
        self._sending = Sending(programs, dispatcher)
        self._clock = clock
        self._quotas = quotas
        self._cache = ResultCache(settings, clock)
        # Of one machine: who has more wins nothing by it for a few jobs.
        self._own_slots = {name: each.concurrency for name, each in settings.targets.items()}

    # -- jobs by themselves

    def submit_each(
        self, orders: Sequence[Order], *, counted: bool = False
    ) -> list[JobRow | RequestError]:
        """Accepts jobs that have nothing in common but the moment, in one transaction.

        Args:
            orders: The jobs.
            counted: Whether these submissions were counted before.

        Returns:
            For each order its job, which may be one that the request_id stood for
            before, or why it is refused.

        Raises:
            UnavailableError: What became of them is open.
        """
        answers: dict[int, JobRow | RequestError] = {}
        drafts: list[_Draft] = []
        try:
            refused = self._draft(orders, drafts, answers, counted=counted)
            if refused:
                answers |= self._recalled({place: orders[place] for place in refused})
        except BaseException:
            self._settle_quotas(drafts, ())
            raise
        if drafts:
            answers |= self._keep(drafts)
        return [answers[place] for place in range(len(orders))]

    def _draft(
        self,
        orders: Sequence[Order],
        drafts: list[_Draft],
        answers: dict[int, JobRow | RequestError],
        *,
        counted: bool,
    ) -> list[int]:
        """Adds orders to those that can be accepted, or to the answers why they cannot.

        Returns:
            Those of the latter that may have been accepted before.
        """
        refused: list[int] = []
        placement = self._placement()
        for place, order in enumerate(orders):
            try:
                check_request_id(order.request_id)
            except RequestError as error:
                answers[place] = error
                continue
            try:
                if not counted:
                    self._quotas.note_submission(order.owner)
                row = self._row(order, placement)
                self._quotas.take(order.owner)
                drafts.append(_Draft(place=place, order=order, row=row))
            except RequestError as error:
                answers[place] = error
                refused.append(place)
        return refused

    def _row(self, order: Order, placement: Placement) -> JobRow:
        check_spec(order.spec, self._settings.server)
        self._quotas.check(order.owner, order.spec)
        target = placement.pick(order.spec)
        return self._new_row(order.spec, target, request_id=order.request_id, owner=order.owner)

    def _new_row(self, spec: JobSpec, target: str, *, request_id: str, owner: str) -> JobRow:
        return new_row(
            spec,
            target,
            self._settings.targets[target],
            request_id=request_id,
            owner=owner,
            now=self._clock(),
            cache_key=self._cache.key(spec, target, owner),
        )

    def _recalled(self, refused: Mapping[int, Order]) -> dict[int, JobRow]:
        """Those of these that were accepted before, when settings and use may have been others."""
        with self._store.read() as tx:
            known = tx.by_request({order.key for order in refused.values()})
        rows = ((place, order, known.get(order.key)) for place, order in refused.items())
        return {
            place: row for place, order, row in rows if row and row.digest == digest_of(order.spec)
        }

    def _keep(self, drafts: Sequence[_Draft]) -> dict[int, JobRow | RequestError]:
        try:
            rows, existing, states = self._commit(drafts)
        except BaseException:
            # Whether they are in flight is open; the next count tells.
            self._settle_quotas(drafts, {each.row.id for each in drafts})
            raise
        self._settle_quotas(drafts, {key for key, row in rows.items() if not row.status.is_final})
        kept = {each.place: rows[each.row.id] for each in drafts if each.row.id in rows}
        left = [each for each in drafts if each.row.id not in rows]
        return kept | (self._settle(left, existing, states) if left else {})

    def _settle_quotas(self, drafts: Sequence[_Draft], in_flight: Container[UUID]) -> None:
        for each in drafts:
            self._quotas.settle(each.order.owner, 1, int(each.row.id in in_flight))

    def _commit(
        self, drafts: Sequence[_Draft]
    ) -> tuple[dict[UUID, JobRow], Mapping[tuple[str, str], JobRow], Mapping[str, TargetState]]:
        """Keeps and sends jobs.

        Returns:
            Those that were inserted, those that stood for the others' request_ids
            before, and the states of targets.
        """
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
        kept = {row.id: row for row in rows if row.id in inserted}
        self._sending.send_chunks(chunks, states, among=inserted)
        self._sending.send([row for row in kept.values() if row.chunk_id is None], states)
        return kept, existing, states

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
                answers[each.place] = known if same else conflict(each.order.request_id, what)
            elif each.order.spec.target and states.get(each.row.target) is TargetState.DRAINED:
                answers[each.place] = drained_error([each.row.target])
            else:
                # Since it was looked at, the target was drained that was
                # picked, or the job deleted that had this request_id.
                again.append(each)
        if again:
            ends = self.submit_each([each.order for each in again], counted=True)
            answers |= {each.place: end for each, end in zip(again, ends, strict=True)}
        return answers

    # -- many jobs

    def submit_many(
        self, specs: Sequence[JobSpec], *, request_id: str, owner: str, counted: bool = False
    ) -> Kept:
        """Accepts all of some jobs, or finds the batch that this request_id stands for."""
        check_request_id(request_id)
        try:
            if not counted:
                self._quotas.note_submission(owner, max(1, len(specs)))
            targets = self._targets_of(specs, owner)
            self._quotas.take(owner, len(specs))
        except RequestError:
            # Settings and use may have been others when the batch was accepted.
            known = self._known_batch(owner, request_id)
            if known is not None and known.batch.digest == digest_of_all(map(digest_of, specs)):
                return known
            raise
        in_flight = len(specs)
        try:
            kept, in_flight = self._keep_batch(specs, targets, request_id=request_id, owner=owner)
        except RequestError:
            in_flight = 0
            raise
        finally:
            # If it failed otherwise, whether they are in flight is open; a count will tell.
            self._quotas.settle(owner, len(specs), in_flight)
        # See `_settle`.
        return kept or self.submit_many(specs, request_id=request_id, owner=owner, counted=True)

    def _keep_batch(
        self, specs: Sequence[JobSpec], targets: Sequence[str], *, request_id: str, owner: str
    ) -> tuple[Kept | None, int]:
        """Keeps and sends the jobs of a batch.

        Returns:
            The batch, which may be one that the request_id stood for before, or None
            if it is to be tried again; and how many jobs it has added that are to run.
        """
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
            # Of one owner's jobs, those of higher priority go first.
            to_run.sort(key=lambda row: -row.priority)
            chunks = cut_into_chunks(to_run, self._slots(tx))
            inserted = not drained and tx.insert_batch(batch, rows, points)
            if inserted:
                self._cache.copy(tx, rows)
        if inserted:
            self._sending.send_chunks(chunks, states)
            alone = [row for row in rows if row.chunk_id is None]
            self._sending.send(sorted(alone, key=lambda row: -row.priority), states)
            return Kept(batch=batch, job_ids=tuple(row.id for row in rows)), len(to_run)
        for row in rows:
            self._programs.delete(row.id)
        existing = self._known_batch(owner, request_id)
        if existing is None:
            check_drained(specs, states)
            return None, 0
        if existing.batch.digest != batch.digest:
            raise conflict(request_id, f"batch {existing.batch.id}")
        return existing, 0

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
            digest=digest_of_all(row.digest for row in rows),
            created_at=self._clock(),
            size=len(specs),
        )
        return batch, rows

    def _targets_of(self, specs: Sequence[JobSpec], owner: str) -> list[str]:
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
                self._quotas.check(owner, spec)
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
