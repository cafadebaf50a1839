"""The SQL of the result cache: finished jobs that answer equal ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from app.rows import ENTRY, JOB, RESULT, WORKER
from app.store_keys import among
from app.store_life import lock_in_order
from qdispatch.model import JobStatus

# Letter by letter as the partial index is, so that it is used; SQLAlchemy would write
# a Boolean expression otherwise where the database has no Booleans.
_IS_ENTRY: Final = sa.text(ENTRY)
_NAMES: Final = ("method", "method_reason", "simulator_version", "result_bytes")


def _entries(among: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The latest entry of each key, if a live worker would make the same of it."""
    latest = sa.func.row_number().over(partition_by=JOB.c.cache_key, order_by=JOB.c.id.desc())
    alike = (
        sa.select(1)
        .where(
            WORKER.c.target == JOB.c.target,
            WORKER.c.fingerprint == JOB.c.fingerprint,
            WORKER.c.seen_at > sa.bindparam("seen_after"),
        )
        .correlate(JOB)
    )
    ranked = (
        sa.select(JOB.c.id, latest.label("place"))
        .where(_IS_ENTRY, among)
        .where(JOB.c.fingerprint != "", alike.exists())
        .subquery()
    )
    return (
        sa.select(JOB.c.id.label("job_id"), JOB.c.cache_key, *(JOB.c[name] for name in _NAMES))
        .where(JOB.c.id.in_(sa.select(ranked.c.id).where(ranked.c.place == 1)))
        .where(JOB.c.status == JobStatus.FINISHED)
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )


# Made once: to put them together takes longer than to run them.
_ENTRIES: Final = {dialect: _entries(each) for dialect, each in among(JOB.c.cache_key).items()}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A finished job that answers equal ones."""

    job_id: UUID
    cache_key: bytes
    method: str = ""
    method_reason: str = ""
    simulator_version: str = ""
    result_bytes: int


class CacheStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def entries(self, keys: Collection[bytes], *, seen_after: datetime) -> dict[bytes, Entry]:
        """The entries that answer jobs of these keys, of those that there are.

        An entry counts if a worker of its target lives that would make the same
        of it. Nobody deletes one until the transaction ends; one that is just
        being deleted is none.

        Args:
            keys: Of the jobs.
            seen_after: A worker that was seen later lives.
        """
        values = {"keys": list(keys), "seen_after": seen_after}
        rows = self._connection.execute(_ENTRIES[self._connection.dialect.name], values)
        # One that was given up since has no key.
        return {row["cache_key"]: Entry(**row) for row in rows.mappings() if row["cache_key"]}

    def copy_results(self, job_ids: Sequence[UUID]) -> None:
        """Gives jobs the results of those that they are answered from."""
        copied = (
            sa.select(JOB.c.id, RESULT.c.result_type, RESULT.c.point, RESULT.c.value)
            .join(RESULT, RESULT.c.job_id == JOB.c.cached_from)
            .where(JOB.c.id.in_(list(job_ids)))
        )
        names = ["job_id", "result_type", "point", "value"]
        self._connection.execute(sa.insert(RESULT).from_select(names, copied))

    def size(self) -> int:
        """What the results of all entries take, as they are encoded, in bytes."""
        statement = sa.select(sa.func.sum(JOB.c.result_bytes)).where(_IS_ENTRY)
        return int(self._connection.execute(statement).scalar() or 0)

    def oldest(self, limit: int) -> list[Entry]:
        """The entries that have been there for longest."""
        rows = self._connection.execute(
            sa.select(JOB.c.id.label("job_id"), JOB.c.cache_key, JOB.c.result_bytes)
            .where(_IS_ENTRY)
            # No index has this order: the whole history might be read by one that had.
            .order_by(JOB.c.finish_time, JOB.c.id)
            .limit(limit)
        )
        return [Entry(**row) for row in rows.mappings()]

    def forget(self, job_ids: Sequence[UUID]) -> None:
        """Has these jobs be entries no more."""
        lock_in_order(self._connection, list(job_ids))
        self._connection.execute(sa.update(JOB).where(JOB.c.id.in_(job_ids)).values(cache_key=None))
