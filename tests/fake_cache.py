"""The fake store's statements about the result cache."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.rows import MAX_ENTRY_BYTES
from app.store_cache import Entry
from qdispatch.model import JobStatus
from tests.fake_tables import Tables


class FakeCacheStatements:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def entries(self, keys: Collection[bytes], *, seen_after: datetime) -> dict[bytes, Entry]:
        alive = {
            (each["target"], each["fingerprint"])
            for each in self._tables.workers.values()
            if each["fingerprint"] and each["seen_at"] > seen_after
        }
        return {
            row["cache_key"]: _entry(row)
            for row in self._entries()
            if row["cache_key"] in keys and (row["target"], row["fingerprint"]) in alive
        }

    def copy_results(self, job_ids: Sequence[UUID]) -> None:
        for job_id in job_ids:
            source = self._tables.jobs[job_id]["cached_from"]
            self._tables.results |= {
                (job_id, kind, point): value
                for (key, kind, point), value in self._tables.results.items()
                if key == source
            }

    def size(self) -> int:
        return sum(row["result_bytes"] for row in self._entries())

    def oldest(self, limit: int) -> list[Entry]:
        rows = sorted(self._entries(), key=lambda row: (row["finish_time"], row["id"]))
        return [_entry(row) for row in rows[:limit]]

    def forget(self, job_ids: Sequence[UUID]) -> None:
        for each in set(job_ids) & self._tables.jobs.keys():
            self._tables.jobs[each] = self._tables.jobs[each] | {"cache_key": None}

    def _entries(self) -> list[dict[str, Any]]:
        return [
            row
            for _, row in sorted(self._tables.jobs.items())
            if row["cache_key"] is not None
            and row["status"] is JobStatus.FINISHED
            and 1 <= row["result_bytes"] <= MAX_ENTRY_BYTES
        ]


def _entry(row: dict[str, Any]) -> Entry:
    names = ("cache_key", "method", "method_reason", "simulator_version", "result_bytes")
    return Entry(job_id=row["id"], **{name: row[name] for name in names})
