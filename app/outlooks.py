"""What jobs are expected to do, from the queues and the history of their targets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from uuid import UUID

from app.estimates import Ahead, History, Line, Load, PastRun, outlook
from app.placement import WORKER_SEEN_S
from app.store import Store
from app.store_lists import Past, Queued
from qdispatch.updates import Outlook

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

    def of(self, targets: Mapping[UUID, str], now: datetime) -> Mapping[UUID, Outlook]:
        """What is expected of those of these jobs that are active.

        Args:
            targets: The jobs, and the target of each.
            now: The time.
        """
        with self._store.read() as tx:
            workers = tx.workers(now - timedelta(seconds=WORKER_SEEN_S))
            queues = {each: tx.lists.queue(each, _QUEUE) for each in set(targets.values())}
        outlooks: dict[UUID, Outlook] = {}
        for target, queue in queues.items():
            _, slots = workers.get(target, (0, 0))
            history = self._history(target)
            outlooks |= _of_target(history, queue, wanted=targets, slots=slots, now=now)
        return outlooks

    def _history(self, target: str) -> History:
        read_at, history = self._histories.get(target, (0.0, None))
        if history is None or monotonic() - read_at > _KEPT_S:
            with self._store.read() as tx:
                runs = tx.lists.past(target, _PAST)
            history = History([_run(each) for each in runs])
            self._histories[target] = (monotonic(), history)
        return history


def _of_target(
    history: History,
    queue: Sequence[Queued],
    *,
    wanted: Collection[UUID],
    slots: int,
    now: datetime,
) -> dict[UUID, Outlook]:
    found: dict[UUID, Outlook] = {}
    running = [
        Ahead(
            load=_load(each),
            running_for_s=_seconds(each.running_since, now),
            points_done=each.points_done,
        )
        for each in queue
        if each.running_since is not None
    ]
    line = Line(history, running=running, slots=slots, now=now)
    position = 0
    for each in queue:
        load = _load(each)
        if each.running_since is None:
            position += 1
            if each.id in wanted:
                start, finish = line.outlook(load)
                found[each.id] = Outlook(queue_position=position, start=start, finish=finish)
            line.add(load)
        elif each.id in wanted:
            _, finish = outlook(
                history,
                load=load,
                ahead=(),
                slots=slots,
                now=now,
                running_for_s=_seconds(each.running_since, now),
                points_done=each.points_done,
            )
            found[each.id] = Outlook(finish=finish)
    return found


def _load(job: Queued | Past) -> Load:
    return Load(
        n_qubits=job.n_qubits,
        depth=job.depth,
        shots=job.shots,
        n_points=job.n_points,
        limit_s=job.time_limit_s,
    )


def _run(job: Past) -> PastRun:
    return PastRun(load=_load(job), run_s=_seconds(job.started_at, job.finish_time))


def _seconds(since: datetime, until: datetime) -> float:
    return max(0.0, (until - since).total_seconds())
