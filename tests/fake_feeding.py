"""The fake store's statements about jobs that wait for their owners' turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.fairness import Key
from app.store_feeding import Waiting
from qdispatch.model import JobStatus
from tests.fake_tables import Tables


class FakeFeedingStatements:
    """Each method does what the statement of the same name does.

    Args:
        tx: The fake transaction, of which these are a part.
        tables: Its tables.
    """

    def __init__(self, tx: Any, tables: Tables) -> None:
        self._tx = tx
        self._tables = tables

    def backlogs(
        self, now: datetime, created_before: datetime, targets: Collection[str]
    ) -> list[Key]:
        return sorted(
            {
                (row["target"], row["owner"])
                for row in self._unsent(now)
                if row["created_at"] < created_before and row["target"] in targets
            }
        )

    def next(self, key: Key, now: datetime, created_before: datetime, limit: int) -> list[Waiting]:
        rows = [
            row
            for row in self._unsent(now)
            if (row["target"], row["owner"]) == key and row["created_at"] < created_before
        ]
        rows.sort(key=lambda row: (-row["priority"], row["id"]))
        names = Waiting.__dataclass_fields__
        return [Waiting(**{name: row[name] for name in names}) for row in rows[:limit]]

    def reserve(
        self, messages: Mapping[UUID | None, Sequence[UUID]], now: datetime, until: datetime
    ) -> set[UUID]:
        unsent = {row["id"] for row in self._unsent(now)}
        reserved = set()
        for chunk_id, job_ids in messages.items():
            for key in unsent.intersection(job_ids):
                row = self._tables.jobs[key]
                self._tables.jobs[key] = row | {"not_before": until, "chunk_id": chunk_id}
                reserved.add(key)
        return reserved

    def messages(self, keys: Collection[Key]) -> dict[Key, int]:
        out = {
            (each.target, each.owner, each.chunk_id or each.id)
            for each in self._tx._queued()
            if each.sent_at is not None and (each.target, each.owner) in keys
        }
        return dict(Counter((target, owner) for target, owner, _ in out))

    def pending_among(self, job_ids: Sequence[UUID]) -> set[UUID]:
        return {row["id"] for row in self._pending() if row["id"] in job_ids}

    def others_wait(self, job_id: UUID, since: datetime) -> bool:
        own = self._tables.jobs.get(job_id)
        return own is not None and any(
            row["target"] == own["target"]
            and row["owner"] != own["owner"]
            and (row["sent_at"] is not None or row["created_at"] >= since)
            for row in self._pending()
        )

    def _pending(self) -> Iterator[dict[str, Any]]:
        return (row for row in self._tables.jobs.values() if row["status"] is JobStatus.PENDING)

    def _unsent(self, now: datetime) -> Iterator[dict[str, Any]]:
        return (
            row
            for row in self._pending()
            if row["sent_at"] is None
            and (row["not_before"] is None or row["not_before"] <= now)
            and not self._tx.targets.paused(row["target"])
        )
