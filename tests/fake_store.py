"""A store without a database. It passes the core's suites, as the real one does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from threading import Lock
from uuid import UUID

from app.events import line
from app.jobs import EncodedResult, Failed, Finished, check_transition
from app.ports import Dispatch
from app.rows import BatchRow, JobRow, WorkerRow
from app.store_dispatch import label
from app.store_ends import Ended
from app.store_life import JobGoneError
from qdispatch.model import JobStatus, TargetState
from tests.fake_cache import FakeCacheStatements
from tests.fake_chunks import FakeChunkStatements
from tests.fake_feeding import FakeFeedingStatements
from tests.fake_lists import FakeListStatements
from tests.fake_tables import (
    FakeHistoryStatements,
    FakeTargetStatements,
    FakeTokenStatements,
    FakeUsageStatements,
    Row,
    Tables,
)


class FakeStore:
    """Jobs in memory: one writer at a time, readers of what was committed last."""

    def __init__(self) -> None:
        self.committed = Tables()
        self._writing = Lock()

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[FakeTransaction]:
        with self._writing:
            tables = self.committed.copy()
            yield FakeTransaction(tables)
            self.committed = tables

    def once(self) -> AbstractContextManager[FakeTransaction]:
        return self.write()

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[FakeTransaction]:
        yield FakeTransaction(self.committed.copy())

    def close(self) -> None:
        """Nothing is open."""


class FakeTransaction:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.targets = FakeTargetStatements(tables)
        self.chunks = FakeChunkStatements(self, tables)
        self.feeding = FakeFeedingStatements(self, tables)
        self.history = FakeHistoryStatements(tables)
        self.lists = FakeListStatements(tables)
        self.tokens = FakeTokenStatements(tables)
        self.usage = FakeUsageStatements(tables)
        self.cache = FakeCacheStatements(tables)

    # -- submission

    def insert_jobs(self, rows: Sequence[JobRow], packed_points: Mapping[UUID, bytes]) -> set[UUID]:
        inserted = set()
        for row in rows:
            key = (row.owner, row.request_id)
            if row.id not in self._tables.jobs and not self.by_request([key]):
                self._tables.jobs[row.id] = row.model_dump()
                inserted.add(row.id)
        self._tables.sweeps |= {key: packed_points[key] for key in inserted & packed_points.keys()}
        return inserted

    def accept_jobs(self, rows: Sequence[JobRow]) -> tuple[set[UUID], Mapping[str, TargetState]]:
        states = self.targets.states()
        accepted = [row for row in rows if states.get(row.target) is not TargetState.DRAINED]
        return self.insert_jobs(accepted, {}), states

    def insert_batch(
        self, batch: BatchRow, rows: Sequence[JobRow], packed_points: Mapping[UUID, bytes]
    ) -> bool:
        if self.batch_by_request(batch.owner, batch.request_id):
            return False
        self._tables.batches[batch.id] = batch.model_dump()
        self._tables.jobs |= {row.id: row.model_dump() for row in rows}
        self._tables.sweeps |= packed_points
        return True

    def batch_by_request(self, owner: str, request_id: str) -> BatchRow | None:
        for each in self._tables.batches.values():
            if (each["owner"], each["request_id"]) == (owner, request_id):
                return BatchRow(**each)
        return None

    def by_request(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], JobRow]:
        rows = {(row.owner, row.request_id): row for row in self._rows()}
        return {key: JobRow(**vars(rows[key])) for key in keys if key in rows}

    # -- reading

    def sweeps(self, job_ids: Collection[UUID]) -> dict[UUID, bytes]:
        return {key: packed for key, packed in self._tables.sweeps.items() if key in job_ids}

    def small_results(self, job_id: UUID, most: int, owner: str | None) -> list[bytes]:
        row = self._look(job_id)
        known = row is not None and row.result_bytes <= most and owner in (None, row.owner)
        return list(self.results(job_id)) if known else []

    def results_of(self, job_ids: Collection[UUID]) -> dict[UUID, list[bytes]]:
        return {key: list(self.results(key)) for key in job_ids if self.results(key)}

    def sweep(self, job_id: UUID) -> bytes:
        return self._tables.sweeps.get(job_id, b"")

    def job(self, job_id: UUID, owner: str | None = None) -> JobRow | None:
        row = self._look(job_id)
        return JobRow(**vars(row)) if row is not None and owner in (None, row.owner) else None

    def jobs(
        self, job_ids: Iterable[UUID], owners: Collection[str | None] = (None,)
    ) -> list[JobRow]:
        rows = map(self._look, dict.fromkeys(job_ids))
        known = [each for each in rows if each is not None]
        return [JobRow(**vars(each)) for each in known if None in owners or each.owner in owners]

    def results(self, job_id: UUID, owner: str | None = None) -> Sequence[bytes]:
        row = self._look(job_id)
        if row is None or owner not in (None, row.owner):
            return []
        return [value for key, value in sorted(self._tables.results.items()) if key[0] == job_id]

    def load(self) -> dict[tuple[str, JobStatus], int]:
        return dict(Counter((each.target, each.status) for each in self._rows() if _active(each)))

    # -- the life of a job

    def claim(
        self, job_id: UUID, *, worker: str, now: datetime, lease_until: datetime
    ) -> JobRow | None:
        row = self._look(job_id)
        if row is None or self.targets.paused(row.target):
            return None
        return self._change(
            job_id,
            JobStatus.PENDING,
            JobStatus.RUNNING,
            now=now,
            attempt=row.attempt + 1,
            worker=worker,
            started_at=now,
            lease_until=lease_until,
        )

    def renew(self, job_id: UUID, attempt: int, lease_until: datetime) -> bool:
        held = self._held(job_id, JobStatus.RUNNING, attempt)
        if held:
            self._put(job_id, lease_until=lease_until)
        return held

    def holds(self, job_id: UUID, attempt: int) -> bool:
        return self._held(job_id, JobStatus.RUNNING, attempt)

    def progress(self, job_id: UUID, attempt: int, points_done: int) -> None:
        if self._held(job_id, JobStatus.RUNNING, attempt):
            self._put(job_id, points_done=points_done)

    def end(self, ended: Ended, *, now: datetime, saving_s: float, by: str) -> set[UUID]:
        held = set()
        for claim, outcome in ended:
            if isinstance(outcome, Finished):
                row = self.finish(claim.job_id, claim.attempt, outcome, now=now, saving_s=saving_s)
                self.add_results(claim.job_id, outcome.results if row else ())
            else:
                row = self.fail(claim.job_id, outcome, now=now, attempt=claim.attempt)
            if row is not None:
                held.add(claim.job_id)
                day = now.astimezone(UTC).date()
                self.usage.add(row.owner, day=day, by=by, cpu_s=outcome.cpu_s)
        return held

    def finish(
        self, job_id: UUID, attempt: int, outcome: Finished, *, now: datetime, saving_s: float
    ) -> JobRow | None:
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.FINISHED,
            now=now,
            attempt_held=attempt,
            finish_time=now,
            lease_until=None,
            method=outcome.method,
            method_reason=outcome.method_reason,
            simulator_version=outcome.simulator_version,
            fingerprint=outcome.fingerprint,
            parsing_s=outcome.parsing_s,
            simulating_s=outcome.simulating_s,
            saving_s=saving_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            result_bytes=sum(len(each.value) for each in outcome.results),
            points_done=self._tables.jobs.get(job_id, {}).get("n_points", 0),
            took_s=outcome.cpu_s,
        )

    def add_results(self, job_id: UUID, results: Iterable[EncodedResult]) -> None:
        for each in results:
            if job_id not in self._tables.jobs:
                raise JobGoneError(f"there is no job {job_id} any more")
            key = (job_id, each.result_type, each.point)
            self._tables.results.setdefault(key, each.value)

    def fail(
        self,
        job_id: UUID,
        outcome: Failed,
        *,
        now: datetime,
        attempt: int | None,
        faults: int = 0,
        lapsed: datetime | None = None,
    ) -> JobRow | None:
        return self._change(
            job_id,
            JobStatus.PENDING if attempt is None else JobStatus.RUNNING,
            JobStatus.FAILED,
            now=now,
            attempt_held=attempt,
            lapsed=lapsed,
            faults=faults,
            finish_time=now,
            lease_until=None,
            error_kind=outcome.kind.value,
            error_message=outcome.message,
            simulator_version=outcome.simulator_version,
            parsing_s=outcome.parsing_s,
            simulating_s=outcome.simulating_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            took_s=outcome.cpu_s,
        )

    def cancel(
        self,
        job_ids: Iterable[UUID],
        held: JobStatus,
        *,
        now: datetime,
        owner: str | None = None,
    ) -> list[JobRow]:
        rows = [
            self._change(job_id, held, JobStatus.CANCELED, now=now, finish_time=now)
            for job_id in dict.fromkeys(job_ids)
            if (row := self._look(job_id)) is not None and owner in (None, row.owner)
        ]
        return [each for each in rows if each is not None]

    def cancel_attempt(
        self, job_id: UUID, attempt: int, *, now: datetime, cpu_s: float = 0.0
    ) -> JobRow | None:
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.CANCELED,
            now=now,
            attempt_held=attempt,
            finish_time=now,
            stopped_at=now,
            lease_until=None,
            took_s=cpu_s,
        )

    def confirm_stop(
        self, job_id: UUID, attempt: int, *, now: datetime, cpu_s: float = 0.0
    ) -> bool:
        row = self._look(job_id)
        stops = row is not None and row.stopped_at is None and self._canceled(row, attempt)
        if row is not None and stops:
            self._put(job_id, stopped_at=now, lease_until=None, cpu_s=row.cpu_s + cpu_s)
        return stops

    def end_lease(self, job_id: UUID, attempt: int, *, lapsed: datetime) -> None:
        row = self._look(job_id)
        if row is not None and self._canceled(row, attempt) and _lapsed(row, lapsed):
            self._put(job_id, lease_until=None)

    def hand_over(
        self,
        job_id: UUID,
        attempt: int,
        *,
        now: datetime,
        faults: int = 0,
        not_before: datetime | None = None,
        lapsed: datetime | None = None,
        cpu_s: float = 0.0,
    ) -> JobRow | None:
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.PENDING,
            now=now,
            attempt_held=attempt,
            lapsed=lapsed,
            faults=faults,
            lease_until=None,
            sent_at=None,
            chunk_id=None,
            not_before=not_before,
            points_done=0,
            took_s=cpu_s,
        )

    # -- dispatch and sweep

    def mark_sent(self, sent: Sequence[Dispatch], now: datetime) -> None:
        for each in sent:
            held = self._held(each.job_id, JobStatus.PENDING, each.attempt)
            if held and not self.targets.paused(self._tables.jobs[each.job_id]["target"]):
                self._put(each.job_id, sent_at=now, chunk_id=None)

    def hold_back(self, job_id: UUID) -> None:
        if self._held(job_id, JobStatus.PENDING, None):
            self._put(job_id, sent_at=None, chunk_id=None)

    def sent(self) -> dict[str, int]:
        messages = {
            (each.target, each.chunk_id or each.id)
            for each in self._queued()
            if each.sent_at is not None
        }
        return dict(Counter(target for target, _ in messages))

    def sent_before(
        self, target: str, moment: datetime, *, messages: int, limit: int
    ) -> list[Dispatch]:
        late = [
            each
            for each in self._queued()
            if each.target == target and each.sent_at is not None and each.sent_at < moment
        ]
        late = [each for each in late if not self.targets.paused(each.target)]
        carriers = dict.fromkeys(
            each.chunk_id or each.id for each in sorted(late, key=lambda row: row.id)
        )
        oldest = list(carriers)[:messages]
        return self._dispatches(
            limit, (each for each in late if (each.chunk_id or each.id) in oldest)
        )

    def _queued(self) -> Iterator[Row]:
        """Those that wait, but for jobs of chunks that slots have taken."""
        taken = {each.chunk_id for each in self._rows() if each.status is JobStatus.RUNNING}
        return (
            each for each in self._waiting() if each.chunk_id is None or each.chunk_id not in taken
        )

    def lapsed(self, now: datetime) -> list[JobRow]:
        rows = [each for each in self._rows() if each.lease_until and each.lease_until < now]
        return [JobRow(**vars(each)) for each in rows]

    def active_among(self, job_ids: Sequence[UUID]) -> set[UUID]:
        return {each.id for each in self._rows() if each.id in job_ids and _active(each)}

    # -- workers

    def see_worker(self, row: WorkerRow) -> None:
        self._tables.workers[row.name] = row.model_dump()

    def forget_worker(self, name: str) -> None:
        self._tables.workers.pop(name, None)

    def forget_workers(self, seen_before: datetime) -> int:
        workers = self._tables.workers
        lost = [name for name, each in workers.items() if each["seen_at"] < seen_before]
        for name in lost:
            del workers[name]
        return len(lost)

    def workers(self, seen_after: datetime) -> dict[str, tuple[int, int]]:
        seen: dict[str, tuple[int, int]] = {}
        for each in self._tables.workers.values():
            if each["seen_at"] > seen_after:
                workers, slots = seen.get(each["target"], (0, 0))
                seen[each["target"]] = (workers + 1, slots + each["concurrency"])
        return seen

    # -- schema

    def revision(self) -> str | None:
        return None

    # -- what stands for UPDATE

    def _look(self, job_id: UUID) -> Row | None:
        values = self._tables.jobs.get(job_id)
        return None if values is None else Row(**values)

    def _rows(self) -> Iterator[Row]:
        return (Row(**each) for each in self._tables.jobs.values())

    def _dispatches(self, limit: int, rows: Iterable[Row]) -> list[Dispatch]:
        may_run = (each for each in rows if not self.targets.paused(each.target))
        return [
            Dispatch(
                job_id=each.id,
                attempt=each.attempt,
                target=each.target,
                label=label(each.target, each.n_qubits, each.shots),
                owner=each.owner,
            )
            for each in sorted(may_run, key=lambda row: row.id)[:limit]
        ]

    def _waiting(self) -> Iterator[Row]:
        return (each for each in self._rows() if each.status is JobStatus.PENDING)

    def _canceled(self, row: Row, attempt: int) -> bool:
        return row.status is JobStatus.CANCELED and row.attempt == attempt

    def _held(self, job_id: UUID, status: JobStatus, attempt: int | None) -> bool:
        values = self._tables.jobs.get(job_id)
        return (
            values is not None
            and values["status"] is status
            and attempt in (None, values["attempt"])
        )

    def _put(self, job_id: UUID, **values: object) -> None:
        self._tables.jobs[job_id] = self._tables.jobs[job_id] | values

    def _change(
        self,
        job_id: UUID,
        old: JobStatus,
        new: JobStatus,
        *,
        now: datetime,
        attempt_held: int | None = None,
        faults: int = 0,
        lapsed: datetime | None = None,
        took_s: float = 0.0,
        **values: object,
    ) -> JobRow | None:
        check_transition(old, new)
        if not self._held(job_id, old, attempt_held):
            return None
        row = self._look(job_id)
        if lapsed is not None and (row is None or not _lapsed(row, lapsed)):
            return None
        faults += self._tables.jobs[job_id]["faults"]
        took_s += self._tables.jobs[job_id]["cpu_s"]
        life = self._tables.jobs[job_id]["life"] + line(new, now)
        self._put(job_id, status=new, faults=faults, cpu_s=took_s, life=life, **values)
        return self.job(job_id)


def _lapsed(row: Row, moment: datetime) -> bool:
    return row.lease_until is not None and row.lease_until < moment


def _active(row: Row) -> bool:
    return not row.status.is_final
