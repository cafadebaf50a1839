"""The fake store's statements about jobs that one message carries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.jobs import Claim
from app.rows import JobRow
from qdispatch.model import JobStatus
from tests.fake_tables import Tables


class FakeChunkStatements:
    """Each method does what the statement of the same name does.

    Args:
        tx: The fake transaction, of which these are a part.
        tables: Its tables.
    """

    def __init__(self, tx: Any, tables: Tables) -> None:
        self._tx = tx
        self._tables = tables

    def mark_sent(self, chunk_ids: Sequence[UUID], now: datetime) -> None:
        for key, row in self._tables.jobs.items():
            pending = row["chunk_id"] in chunk_ids and row["status"] is JobStatus.PENDING
            if pending and not self._tx.targets.paused(row["target"]):
                self._tables.jobs[key] = row | {"sent_at": now}

    def jobs(self, chunk_ids: Sequence[UUID]) -> list[UUID]:
        return [
            key
            for key, row in self._tables.jobs.items()
            if row["chunk_id"] in chunk_ids and not row["status"].is_final
        ]

    def claim(
        self, job_ids: Sequence[UUID], *, worker: str, now: datetime, lease_until: datetime
    ) -> dict[UUID, JobRow]:
        rows = {
            key: self._tx.claim(key, worker=worker, now=now, lease_until=lease_until)
            for key in job_ids
        }
        return {key: row for key, row in rows.items() if row is not None}

    def release(self, job_ids: Sequence[UUID]) -> None:
        for key in job_ids:
            self._tx.hold_back(key)
            row = self._tables.jobs.get(key)
            if row is not None and row["status"] is JobStatus.PENDING:
                self._tables.jobs[key] = row | {"not_before": None}

    def held(self, claims: Iterable[Claim]) -> set[UUID]:
        return {claim.job_id for claim in claims if self._tx.holds(claim.job_id, claim.attempt)}

    def renew(self, claims: Sequence[Claim], lease_until: datetime) -> set[UUID]:
        return {
            claim.job_id
            for claim in claims
            if self._tx.renew(claim.job_id, claim.attempt, lease_until)
        }
