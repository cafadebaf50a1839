"""What a database must be like after whatever was asked of its server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import sqlalchemy as sa

from app.events import events_of
from app.jobs import TRANSITIONS
from app.programs import Programs
from app.records import info_of
from app.rows import BatchRow, JobRow, ResultRow, SweepRow
from app.store import Store
from qdispatch.codec import encode_job
from qdispatch.model import JobStatus
from qdispatch.v1 import qdispatch_pb2 as pb

_MOST: Final = 20


def problems_of(store: Store, programs: Programs) -> list[str]:
    """What is wrong, in words; the first few of it.

    Args:
        store: Of a server that has stopped.
        programs: Its program files.
    """
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(JobRow.__table__)).all()  # type: ignore[attr-defined]
        found = [
            *_of_rows(rows),
            *_of_ids(rows),
            *_of_parts(connection, rows),
            *_of_files(programs, rows),
        ]
    return found[:_MOST]


def _of_rows(rows: Any) -> Iterator[str]:
    for row in rows:
        said = f"job {row.id}, {row.status}"
        events = events_of(row)
        statuses = [each.status for each in events]
        if [each.number for each in events] != list(range(1, len(events) + 1)):
            yield f"{said}: its events are numbered wrongly"
        if statuses[0] is not JobStatus.PENDING and statuses != [JobStatus.FINISHED]:
            yield f"{said}: its life began as {statuses[0]}"
        for before, after in pairwise(statuses):
            if after not in TRANSITIONS[before]:
                yield f"{said}: it became {after} from {before}"
        if statuses[-1] is not row.status:
            yield f"{said}: its life ended as {statuses[-1]}"
        if row.status.is_final != (row.finish_time is not None):
            yield f"{said}: finish_time is {row.finish_time}"
        if (row.status is JobStatus.FAILED) != bool(row.error_kind):
            yield f"{said}: its error is {row.error_kind!r}"
        # Whatever was accepted can be told.
        told = encode_job(info_of(row)).SerializeToString()
        if pb.Job.FromString(told).id != str(row.id):
            yield f"{said}: cannot be told"


def _of_ids(rows: Any) -> Iterator[str]:
    for key, number in Counter((row.owner, row.request_id) for row in rows).items():
        if number > 1:
            yield f"{number} jobs of one request_id: {key}"
    for owner in {row.owner for row in rows} - {"ada", "bob", "root", "anonymous"}:
        yield f"jobs of {owner!r}, who has no token"


def _of_parts(connection: sa.Connection, rows: Any) -> Iterator[str]:
    known = {row.id: row for row in rows}
    batches: Counter[Any] = Counter(row.batch_id for row in rows if row.batch_id)
    sizes = {
        row.id: row.size
        for row in connection.execute(sa.select(BatchRow.__table__))  # type: ignore[attr-defined]
    }
    for batch_id, number in batches.items():
        if number > sizes.get(batch_id, 0):
            yield f"batch {batch_id} of {sizes.get(batch_id)} has {number} jobs"
    results = ResultRow.__table__.c  # type: ignore[attr-defined]
    for (job_id,) in connection.execute(sa.select(results.job_id).distinct()):
        if job_id not in known or known[job_id].status is not JobStatus.FINISHED:
            yield f"results of {job_id}, which has not finished"
    with_results = {job_id for (job_id,) in connection.execute(sa.select(results.job_id))}
    for row in rows:
        if row.status is JobStatus.FINISHED and row.id not in with_results:
            yield f"job {row.id} has finished without results"
    sweeps = SweepRow.__table__.c  # type: ignore[attr-defined]
    for (job_id,) in connection.execute(sa.select(sweeps.job_id)):
        if job_id not in known or not known[job_id].n_points:
            yield f"points of {job_id}, which is no sweep"


def _of_files(programs: Programs, rows: Any) -> Iterator[str]:
    stored = {job_id for job_id, _ in programs.stored()}
    active = {row.id for row in rows if not row.status.is_final}
    for job_id in stored - active:
        yield f"the program of {job_id}, which needs none"
    for job_id in active - stored:
        yield f"job {job_id} has no program"
