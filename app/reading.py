"""Reading jobs: one, or those that several callers ask for at the same moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from app.ids import parse_job_id
from app.records import info_of
from app.rows import BatchRow, JobRow
from app.store import Store
from qdispatch.arrays import PackedPoints
from qdispatch.errors import BatchNotFoundError, JobNotFoundError, RequestError
from qdispatch.model import JobInfo, JobStatus
from qdispatch.updates import JobFilter

#: What is more than this, in bytes, is not read for several callers at once.
LARGE_BYTES: Final = 2**20
_DOUBLE_BYTES: Final = 8

#: Of a list, jobs in the first piece that is read, and bytes in those that follow, about.
FIRST_PIECE: Final = 25
PIECE_BYTES: Final = 4 * 2**20
# What a row takes as it was read, without what may be long, and a term of an observable.
_ROW_BYTES: Final = 4_000
_TERM_BYTES: Final = 300


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a caller asks for."""

    job_id: str
    sees: str | None
    """Whose jobs there are for them; None for everybody's."""
    results: bool = False
    """Whether its results, too."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A job as it was found."""

    job: JobInfo
    results: Sequence[bytes] = ()
    """Each a serialized qdispatch.v1.Result; none unless they were asked for."""


class Reading:
    """Reads jobs for one installation; see `app.service.JobService`.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # In each of these, ``sees`` is whose jobs there are for the caller; None is everybody's.

    def get(self, job_id: str, sees: str | None) -> JobInfo:
        """A job, without its results."""
        key = parse_job_id(job_id)
        with self._store.read() as tx:
            row = tx.job(key, sees)
            if row is None:
                raise no_job(job_id)
            packed = tx.sweep(key) if _has_points(row) else b""
        return _info(row, packed)

    def result_bytes(self, job_id: str, sees: str | None) -> int:
        """How many bytes the results of a job take; see `results`."""
        with self._store.read() as tx:
            row = tx.job(parse_job_id(job_id), sees)
        if row is None:
            raise no_job(job_id)
        return row.result_bytes

    def results(self, job_id: str, sees: str | None) -> Sequence[bytes]:
        """The results of a job, each a serialized qdispatch.v1.Result."""
        key = parse_job_id(job_id)
        with self._store.read(long=True) as tx:
            values = tx.results(key, sees)
            if not values and tx.job(key, sees) is None:
                raise no_job(job_id)
        return values

    def small_results(self, job_id: str, most: int, sees: str | None) -> Sequence[bytes]:
        """As `results`; none if they take more bytes than this, or there is no such job."""
        with self._store.read() as tx:
            return tx.small_results(parse_job_id(job_id), most, sees)

    def get_each(self, wanted: Sequence[Wanted]) -> list[Found | RequestError | None]:
        """Reads what several callers ask for, by one statement for each table."""
        keys = [_key(each) for each in wanted]
        with_results = {key for key, each in zip(keys, wanted, strict=True) if each.results}
        seers: defaultdict[UUID | JobNotFoundError, set[str | None]] = defaultdict(set)
        for key, each in zip(keys, wanted, strict=True):
            seers[key].add(each.sees)
        with self._store.read() as tx:
            known = tx.jobs(
                {key for key in keys if isinstance(key, UUID)}, {each.sees for each in wanted}
            )
            # Of what nobody sees who asks for it no more is read: that would take its time.
            rows = {row.id: row for row in known if seers[row.id] & {None, row.owner}}
            small = [row for row in rows.values() if not _is_large(row)]
            sweeps = tx.sweeps([row.id for row in small if _has_points(row)])
            results = tx.results_of(
                [
                    row.id
                    for row in small
                    if row.id in with_results and row.status is JobStatus.FINISHED
                ]
            )
        found = _Rows(jobs=rows, sweeps=sweeps, results=results)
        return [found.answer(key, each) for key, each in zip(keys, wanted, strict=True)]

    def newest(
        self, wanted: JobFilter, sees: str | None, before: UUID | None, *, limit: int
    ) -> Generator[JobInfo, None, None]:
        """Jobs that pass a filter, newest first, read in pieces.

        Args:
            wanted: The filter.
            sees: Whose jobs; None for everybody's.
            before: Only jobs that are older than this one.
            limit: The most to read.
        """
        piece = FIRST_PIECE
        with self._store.read() as tx:
            while limit:
                piece = min(piece, limit)
                rows = tx.lists.jobs(wanted, sees=sees, before=before, limit=piece)
                yield from map(info_of, rows)
                if len(rows) < piece:
                    return
                limit -= piece
                before = rows[-1].id
                # What comes next is likely to be like this.
                piece = max(PIECE_BYTES // max(map(_weight, rows)), 1)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What there is of some jobs."""

    jobs: Mapping[UUID, JobRow]
    sweeps: Mapping[UUID, bytes]
    results: Mapping[UUID, Sequence[bytes]]

    def answer(self, key: UUID | JobNotFoundError, wanted: Wanted) -> Found | RequestError | None:
        if not isinstance(key, UUID):
            return key
        row = self.jobs.get(key)
        if row is None or not is_seen(row, wanted.sees):
            return no_job(wanted.job_id)
        if _is_large(row):
            return None
        results = self.results.get(key, ()) if wanted.results else ()
        if wanted.results and row.result_bytes and not results:
            # It was deleted in between.
            return no_job(wanted.job_id)
        return Found(job=_info(row, self.sweeps.get(key, b"")), results=results)


def _weight(row: JobRow) -> int:
    terms = sum(map(len, row.observables))
    return _ROW_BYTES + len(row.extra) + terms * _TERM_BYTES


def no_job(job_id: str) -> JobNotFoundError:
    """There is none of that id."""
    return JobNotFoundError(f"there is no job {job_id}", field="id")


def found_batch(row: BatchRow | None, key: UUID, sees: str | None) -> BatchRow:
    """A batch that was looked up.

    Args:
        row: What was found.
        key: What was asked for.
        sees: Whose batches there are for the caller; None for everybody's.

    Raises:
        BatchNotFoundError: There is none for them.
    """
    if row is None or not is_seen(row, sees):
        raise BatchNotFoundError(f"there is no batch {key}", field="batch_id")
    return row


def is_seen(row: JobRow | BatchRow, sees: str | None) -> bool:
    """Whether there is such a job, or batch, for who sees those of this owner; None is all."""
    return sees is None or row.owner == sees


def _key(wanted: Wanted) -> UUID | JobNotFoundError:
    try:
        return parse_job_id(wanted.job_id)
    except JobNotFoundError as error:
        return error


def _has_points(row: JobRow) -> bool:
    """Whether the values of a sweep are told."""
    return row.n_points > 0 and row.status.is_final


def _is_large(row: JobRow) -> bool:
    points = row.n_points * len(row.parameters) * _DOUBLE_BYTES
    return max(row.result_bytes, points) > LARGE_BYTES


def _info(row: JobRow, packed_points: bytes) -> JobInfo:
    info = info_of(row)
    if not packed_points:
        return info
    points = PackedPoints(packed_points, len(row.parameters))
    return replace(info, spec=replace(info.spec, parameter_values=points))
