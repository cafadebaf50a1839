"""What jobs are expected to do, from the queues and the history of their targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

from app.estimates import Ahead, History, Line, Load, PastRun, outlook
from app.placement import WORKER_SEEN_S
from app.rows import JobRow
from app.store import Store
from qdispatch.model import JobStatus, Outlook

# Jobs of a target's past that are looked at, and how long they are kept in mind, in seconds.
_PAST: Final = 300
_KEPT_S: Final = 10.0
# Jobs ahead of the others that are looked at.
_QUEUE: Final = 10_000


class OutlookSource:
    """Looks at queues and histories, once for many jobs.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._histories: dict[str, tuple[float, History]] = {}

    def of(self, rows: Iterable[JobRow], now: datetime) -> Mapping[UUID, Outlook]:
        """What is expected of those of these jobs that are active."""
        by_target: dict[str, list[JobRow]] = defaultdict(list)
        for row in rows:
            if not row.status.is_final:
                by_target[row.target].append(row)
        outlooks: dict[UUID, Outlook] = {}
        if by_target:
            with self._store.read() as tx:
                workers = tx.workers(now - timedelta(seconds=WORKER_SEEN_S))
            for target, some in by_target.items():
                _, slots = workers.get(target, (0, 0))
                outlooks |= self._of_target(target, some, slots, now)
        return outlooks

    def _of_target(
        self, target: str, rows: Sequence[JobRow], slots: int, now: datetime
    ) -> dict[UUID, Outlook]:
        with self._store.read() as tx:
            queue = tx.lists.queue(target, _QUEUE)
        if not slots:
            # Nobody knows when a worker comes.
            waiting = _positions(queue)
            return {row.id: Outlook(queue_position=waiting.get(row.id)) for row in rows}
        history = self._history(target)
        wanted = {row.id for row in rows}
        found = {row.id: _running(history, row, slots, now) for row in rows if _runs(row)}
        running = [
            Ahead(load=_load(*entry[:4]), running_for_s=_seconds(entry[5], now))
            for entry in queue
            if entry[5] is not None
        ]
        line = Line(history, running=running, slots=slots, now=now)
        position = 0
        for entry in queue:
            if entry[5] is not None:
                continue
            position += 1
            load = _load(*entry[:4])
            if entry[4] in wanted:
                start, finish = line.outlook(load)
                found[entry[4]] = Outlook(queue_position=position, start=start, finish=finish)
            line.add(load)
        return found

    def _history(self, target: str) -> History:
        read_at, history = self._histories.get(target, (0.0, None))
        if history is None or monotonic() - read_at > _KEPT_S:
            with self._store.read() as tx:
                runs = tx.lists.past(target, _PAST)
            history = History([_run(entry) for entry in runs])
            self._histories[target] = (monotonic(), history)
        return history


def _positions(queue: Sequence[tuple[Any, ...]]) -> dict[UUID, int]:
    waiting = (entry[4] for entry in queue if entry[5] is None)
    return {key: position for position, key in enumerate(waiting, 1)}


def _load(n_qubits: int, depth: int, shots: int, n_points: int) -> Load:
    return Load(n_qubits=n_qubits, depth=depth, shots=shots, n_points=n_points)


def _runs(row: JobRow) -> bool:
    return row.status is JobStatus.RUNNING


def _running(history: History, row: JobRow, slots: int, now: datetime) -> Outlook:
    _, finish = outlook(
        history,
        load=_load(row.n_qubits, row.depth, row.shots, row.n_points),
        ahead=(),
        slots=slots,
        now=now,
        running_for_s=_seconds(row.started_at, now),
        points_done=row.points_done,
    )
    return Outlook(finish=finish)


def _run(entry: tuple[Any, ...]) -> PastRun:
    return PastRun(load=_load(*entry[:4]), run_s=_seconds(entry[4], entry[5]))


def _seconds(since: datetime | None, until: datetime) -> float:
    return 0.0 if since is None else max(0.0, (until - since).total_seconds())
