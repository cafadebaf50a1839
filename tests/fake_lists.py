"""The fake store's statements about lists of jobs, and batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from uuid import UUID

from app.rows import BatchRow, JobRow
from app.store_lists import Life, Past, Queued, Version
from qdispatch.model import JobStatus
from qdispatch.updates import JobFilter
from tests.fake_tables import Row, Tables


class FakeListStatements:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def jobs(
        self, wanted: JobFilter, *, sees: str | None, before: UUID | None, limit: int
    ) -> list[JobRow]:
        rows = (
            each
            for each in self._newest()
            if sees in (None, each.owner) and (before is None or each.id < before)
        )
        passing = [each for each in rows if _passes(each, wanted)][:limit]
        return [JobRow(**vars(each)) for each in passing]

    # -- batches

    def batch(self, batch_id: UUID, owner: str | None = None) -> BatchRow | None:
        values = self._tables.batches.get(batch_id)
        known = values is not None and owner in (None, values["owner"])
        return BatchRow(**values) if values is not None and known else None

    def batches(self, *, before: UUID | None, sees: str | None, limit: int) -> list[BatchRow]:
        keys = sorted(self._tables.batches, reverse=True)
        older = [
            BatchRow(**self._tables.batches[key]) for key in keys if not before or key < before
        ]
        return [each for each in older if sees in (None, each.owner)][:limit]

    def batch_numbers(self, batch_id: UUID) -> Mapping[JobStatus, int]:
        return Counter(each.status for each in self._of_batch(batch_id))

    def batch_jobs(self, batch_id: UUID) -> list[UUID]:
        return [each.id for each in self._of_batch(batch_id)]

    def batch_places(self, batch_id: UUID) -> dict[UUID, int]:
        return {each.id: each.batch_index for each in self._of_batch(batch_id)}

    # -- what watchers are told

    def versions(self, job_ids: Collection[UUID]) -> dict[UUID, Version]:
        rows = [self._tables.jobs[key] for key in job_ids if key in self._tables.jobs]
        return {row["id"]: (row["status"], len(row["life"]), row["points_done"]) for row in rows}

    def lives(self, job_ids: Collection[UUID]) -> list[Life]:
        rows = [self._tables.jobs[key] for key in job_ids if key in self._tables.jobs]
        return [Life(*(row[name] for name in Life._fields)) for row in rows]

    def past(self, target: str, limit: int) -> list[Past]:
        ended = (
            each
            for each in self._newest()
            if each.target == target and each.status is JobStatus.FINISHED
        )
        return [Past(*_load(each), each.started_at, each.finish_time) for each in ended][:limit]

    def queue(self, target: str, limit: int) -> list[Queued]:
        active = [
            each
            for each in reversed(list(self._newest()))
            if each.target == target and not each.status.is_final
        ]
        return [
            Queued(
                *_load(each),
                each.id,
                each.started_at if each.status is JobStatus.RUNNING else None,
                each.points_done,
            )
            for each in active[:limit]
        ]

    # -- rows

    def _newest(self) -> Iterator[Row]:
        return (Row(**each) for _, each in sorted(self._tables.jobs.items(), reverse=True))

    def _of_batch(self, batch_id: UUID) -> list[Row]:
        rows = [each for each in self._newest() if each.batch_id == batch_id]
        return sorted(rows, key=lambda each: each.batch_index)


def _passes(row: Row, wanted: JobFilter) -> bool:
    return all(
        (
            not wanted.statuses or row.status in wanted.statuses,
            wanted.owner in ("", row.owner),
            wanted.target in ("", row.target),
            not wanted.tag or wanted.tag in row.tags,
            not wanted.batch_id or row.batch_id == UUID(wanted.batch_id),
            wanted.created_after is None or row.created_at >= wanted.created_after,
            wanted.created_before is None or row.created_at < wanted.created_before,
        )
    )


def _load(row: Row) -> tuple[int, int, int, int, float]:
    return row.n_qubits, row.depth, row.shots, row.n_points, row.time_limit_s
