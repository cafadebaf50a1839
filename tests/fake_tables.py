"""The tables of the fake store, and its statements about targets, history, tokens and quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from app.store_history import FINAL, PastJob
from app.store_tokens import StoredToken
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
    tokens: dict[str, StoredToken] = field(default_factory=dict)
    quotas: dict[tuple[str, str], float] = field(default_factory=dict)
    usage: dict[tuple[str, date, str], float] = field(default_factory=dict)

    def copy(self) -> Tables:
        return Tables(**{name: dict(table) for name, table in vars(self).items()})


class Row(SimpleNamespace):
    """The values of a job, to look at. A `JobRow`, which is given out, takes far longer to make."""


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

    def delete(self, job_ids: Sequence[UUID], *, owner: str | None = None) -> int:
        jobs = self._tables.jobs
        final = set(job_ids) & jobs.keys() - set(self.active())
        ended = {each for each in final if owner in (None, jobs[each]["owner"])}
        for each in ended:
            del self._tables.jobs[each]
            self._tables.sweeps.pop(each, None)
        for key in [key for key in self._tables.results if key[0] in ended]:
            del self._tables.results[key]
        batches = {row["batch_id"] for row in self._tables.jobs.values()}
        for batch_id in self._tables.batches.keys() - batches:
            del self._tables.batches[batch_id]
        return len(ended)


class FakeTokenStatements:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def insert(self, token: StoredToken) -> None:
        self._tables.tokens[token.id] = token

    def every(self, *, valid_after: datetime | None = None) -> list[StoredToken]:
        tokens = sorted(self._tables.tokens.values(), key=lambda each: (each.created_at, each.id))
        return [
            each
            for each in tokens
            if all(
                valid_after is None or end is None or end > valid_after
                for end in (each.expires_at, each.revoked_at)
            )
        ]

    def revoke(self, ids: Collection[str], now: datetime) -> set[str]:
        tokens = self._tables.tokens
        valid = {each for each in ids if each in tokens and tokens[each].revoked_at is None}
        for each in valid:
            tokens[each] = tokens[each]._replace(revoked_at=now)
        return valid


class FakeUsageStatements:
    """Each method does what the statement of the same name does."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def quotas(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for (owner, name), value in sorted(self._tables.quotas.items()):
            found.setdefault(owner, {})[name] = value
        return found

    def set_quota(self, owner: str, name: str, value: float) -> None:
        self._tables.quotas[owner, name] = value

    def unset_quota(self, owner: str, name: str) -> bool:
        return self._tables.quotas.pop((owner, name), None) is not None

    def in_flight(self) -> dict[str, int]:
        return dict(
            Counter(
                row["owner"] for row in self._tables.jobs.values() if not row["status"].is_final
            )
        )

    def cpu_s(self, day: date) -> dict[str, float]:
        used: dict[str, float] = {}
        for (owner, of, _), cpu_s in self._tables.usage.items():
            if of == day:
                used[owner] = used.get(owner, 0.0) + cpu_s
        return used

    def add(self, owner: str, *, day: date, by: str, cpu_s: float) -> None:
        if cpu_s > 0:
            key = (owner, day, by)
            self._tables.usage[key] = self._tables.usage.get(key, 0.0) + cpu_s

    def forget(self, before: date) -> int:
        old = [key for key in self._tables.usage if key[1] < before]
        for key in old:
            del self._tables.usage[key]
        return len(old)
