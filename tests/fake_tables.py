"""The tables of the fake store, and its statements about targets and history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.store_history import FINAL, PastJob
from qdispatch.model import JobStatus, TargetState


@dataclass
class Tables:
    """What is committed, or what a transaction would commit; rows are replaced, never changed."""

    jobs: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    results: dict[tuple[UUID, str, int], bytes] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, tuple[TargetState, datetime]] = field(default_factory=dict)
    batches: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    sweeps: dict[UUID, bytes] = field(default_factory=dict)

    def copy(self) -> Tables:
        return Tables(**{name: dict(table) for name, table in vars(self).items()})


class FakeTargetStatements:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def states(self, *, hold: bool = False) -> Mapping[str, TargetState]:
        # One writer at a time holds every state anyway.
        return {
            name: state
            for name, (state, _) in self._tables.targets.items()
            if state is not TargetState.ACTIVE
        }

    def changes(self) -> Mapping[str, datetime]:
        return {name: changed_at for name, (_, changed_at) in self._tables.targets.items()}

    def set_state(self, name: str, state: TargetState, now: datetime) -> None:
        if self._tables.targets.get(name, (None, now))[0] is not state:
            self._tables.targets[name] = (state, now)

    def requeue(self, target: str | None = None) -> int:
        waiting = [
            job_id
            for job_id, row in self._tables.jobs.items()
            if row["status"] is JobStatus.PENDING and target in (None, row["target"])
        ]
        for each in waiting:
            self._tables.jobs[each] = self._tables.jobs[each] | {"sent_at": None, "chunk_id": None}
        return len(waiting)

    def paused(self, name: str) -> bool:
        return self.states().get(name) is TargetState.PAUSED


class FakeHistoryStatements:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def oldest(self, after: UUID, limit: int) -> list[PastJob]:
        names = PastJob.__dataclass_fields__
        return [
            PastJob(**{name: row[name] for name in names})
            for job_id, row in sorted(self._tables.jobs.items())
            if job_id > after
        ][:limit]

    def count(self) -> int:
        return len(self._tables.jobs)

    def active(self) -> Sequence[UUID]:
        return [job_id for job_id, row in self._tables.jobs.items() if row["status"] not in FINAL]

    def result_bytes(self) -> int:
        return sum(row["result_bytes"] for row in self._tables.jobs.values())

    def delete(self, job_ids: Sequence[UUID]) -> int:
        ended = set(job_ids) & self._tables.jobs.keys() - set(self.active())
        for each in ended:
            del self._tables.jobs[each]
            self._tables.sweeps.pop(each, None)
        for key in [key for key in self._tables.results if key[0] in ended]:
            del self._tables.results[key]
        batches = {row["batch_id"] for row in self._tables.jobs.values()}
        for batch_id in self._tables.batches.keys() - batches:
            del self._tables.batches[batch_id]
        return len(ended)
