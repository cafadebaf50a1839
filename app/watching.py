"""Tells watchers of jobs what happens to them.

One thread looks for all of them. It looks at once at jobs that somebody says
have changed, and every so often at all that are watched, since whoever should
say so may be away. A look is one question for many jobs: which of them have
changed, and then for those.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Any, Final, TypeAlias
from uuid import UUID

from app.identity import Caller
from app.outlooks import OutlookSource
from app.ports import Clock
from app.reading import found_batch
from app.rows import JobRow
from app.settings import MAX_BATCH_JOBS
from app.store import Store
from app.store_lists import Life, Version
from app.watches import BatchWatch, JobWatch, Outlooks, Watch
from qdispatch.errors import (
    BatchNotFoundError,
    InvalidJobError,
    JobNotFoundError,
    QDispatchError,
    UnavailableError,
)
from qdispatch.updates import BatchUpdate, JobUpdate

_log = logging.getLogger(__name__)

# Jobs in one question.
_MANY: Final = 1000
# Of so many jobs at the most all is read at once, whether it is new or not.
_FEW: Final = 20
# How long to wait for a database that is away, in seconds, unless looks are closer.
_AWAY_S: Final = 1.0
# Outlooks are made when a job has been watched for so long, and every so often, in
# seconds: many jobs end before anybody can read what is expected of them.
_SOON_S: Final = 0.3
_OUTLOOK_S: Final = 2.0
# Watchers that are told of outlooks at once, and the pause behind, in seconds: ends
# must not wait behind the outlooks of thousands.
_TOLD: Final = 25
_PAUSE_S: Final = 0.1

#: Told of every update; then, once, of the end: None, or why it could not go on.
Tell: TypeAlias = Callable[[JobUpdate | BatchUpdate | QDispatchError | None], None]


@dataclass(eq=False, kw_only=True)
class Watcher:
    """Somebody who is told."""

    tell: Tell
    watch: Watch | None
    """None until the batch was looked up."""
    sees: str | None
    """Whose jobs there are for them; None for everybody's."""
    job_id: UUID | None = None
    batch_id: UUID | None = None
    seen: Sequence[int] = ()
    """Of a batch's jobs by their places, the numbers of the last events."""
    told: bool = False


class Watchers:
    """Everybody who watches jobs of one installation.

    Args:
        store: The database.
        clock: Tells the time, to those who are told when to expect what.
        outlooks: What jobs are expected to do.
        interval_s: How often to look at all jobs that are watched.
    """

    def __init__(
        self, *, store: Store, clock: Clock, outlooks: OutlookSource, interval_s: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._outlooks = outlooks
        self._interval_s = interval_s
        self._condition = Condition()
        self._closed = False
        # Guarded by the condition.
        self._said: set[UUID] = set()
        self._new: list[Watcher] = []
        self._left: set[Watcher] = set()
        # The thread's own.
        self._of_job: dict[UUID, set[Watcher]] = defaultdict(set)
        self._versions: dict[UUID, Version] = {}
        self._targets: dict[UUID, str] = {}
        self._expected: Outlooks = {}
        self._to_tell: deque[Watcher] = deque()
        self._outlook_at = float("inf")
        self._thread = Thread(target=self._run, name="watchers", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def close(self) -> None:
        """Ends all watching."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()

    def watch_job(self, job_id: UUID, caller: Caller, *, after: int, tell: Tell) -> Watcher:
        """Watches a job; ``tell`` is called by another thread, and must not wait.

        Args:
            job_id: The job.
            caller: Who watches.
            after: Number of the last event that is known.
            tell: Told of what has happened since, and of the end.
        """
        watch = JobWatch(job_id=job_id, seen=after)
        return self._add(Watcher(tell=tell, watch=watch, sees=caller.sees, job_id=job_id))

    def watch_batch(
        self, batch_id: UUID, caller: Caller, *, after: Sequence[int], tell: Tell
    ) -> Watcher:
        """Watches the jobs of a batch; see `watch_job`.

        Args:
            batch_id: The batch.
            caller: Who watches.
            after: Of each job by its place, the number of the last event that is known.
            tell: Told of what has happened since, and of the end.

        Raises:
            InvalidJobError: They are more numbers than a batch can have jobs.
        """
        if len(after) > MAX_BATCH_JOBS:
            raise InvalidJobError(
                f"{len(after)} numbers; a batch has at most {MAX_BATCH_JOBS} jobs", field="after"
            )
        seen = tuple(after)
        return self._add(
            Watcher(tell=tell, watch=None, sees=caller.sees, batch_id=batch_id, seen=seen)
        )

    def leave(self, watcher: Watcher) -> None:
        """Ends a watcher's watching; it may be told once more."""
        with self._condition:
            self._left.add(watcher)

    def changed(self, job_ids: Iterable[UUID]) -> None:
        """Says that jobs may have changed."""
        with self._condition:
            self._said.update(job_ids)
            self._condition.notify()

    def _add(self, watcher: Watcher) -> Watcher:
        with self._condition:
            closed = self._closed
            if not closed:
                self._new.append(watcher)
                self._condition.notify()
        if closed:
            watcher.tell(_stopping())
        return watcher

    # -- the thread

    def _run(self) -> None:
        look_at = monotonic()
        while True:
            said, new, left, closed = self._next(min(look_at, self._outlook_at))
            # Whoever has left at once is in both.
            new = [each for each in new if each not in left]
            if closed:
                break
            now = monotonic()
            everything = now >= look_at
            try:
                self._forget(left)
                self._begin(new)
                self._look(set(self._of_job) if everything else said & self._of_job.keys())
                if now >= self._outlook_at:
                    self._tell_outlooks()
                if everything:
                    look_at = monotonic() + self._interval_s
            except UnavailableError:
                # The store has logged it; nobody's watching ends for that.
                with self._condition:
                    self._new[:0] = [each for each in new if not each.told]
                self._pause()
                # Whatever was said to have changed is among all.
                look_at = monotonic()
            except Exception:  # noqa: BLE001 - a defect; others are still to be told
                _log.exception("cannot tell watchers")
                for each in new:
                    if not each.told:
                        self._end(each, _defect())
                self._pause()
                look_at = monotonic()
        for watcher in {each for some in self._of_job.values() for each in some}.union(new):
            watcher.tell(_stopping())

    def _next(self, until: float) -> tuple[set[UUID], list[Watcher], set[Watcher], bool]:
        with self._condition:
            self._condition.wait_for(
                lambda: self._closed or self._new or self._said & self._of_job.keys(),
                max(0.0, until - monotonic()),
            )
            taken = self._said, self._new, self._left, self._closed
            self._said, self._new, self._left = set(), [], set()
            return taken

    def _pause(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed, min(_AWAY_S, self._interval_s))

    def _begin(self, new: Sequence[Watcher]) -> None:
        """Tells new watchers where their jobs are."""
        for each in new:
            if each.batch_id is not None and each.watch is None:
                self._look_up(each, each.batch_id)
        begun = [each for each in new if each.watch is not None]
        for each in begun:
            for key in each.watch.keys if each.watch else ():
                self._of_job[key].add(each)
        keys = {key for each in begun for key in (each.watch.keys if each.watch else ())}
        rows = self._rows(keys, {each.sees for each in begun})
        if begun:
            self._outlook_at = min(self._outlook_at, monotonic() + _SOON_S)
        for each in begun:
            if _is_seen(each, rows):
                self._tell(each, rows, None)
            if not each.told:
                self._end(each, JobNotFoundError(f"there is no job {each.job_id}", field="id"))
        for row in rows.values():
            if row.id in self._of_job:
                self._targets[row.id] = row.target
                # Those who watch it already have not been told of a newer one.
                self._versions.setdefault(row.id, _version(row))

    def _look_up(self, watcher: Watcher, batch_id: UUID) -> None:
        try:
            with self._store.read() as tx:
                # First: to read the places of another's would take as long as they are many.
                found = found_batch(tx.lists.batch(batch_id, watcher.sees), batch_id, watcher.sees)
                places = tx.lists.batch_places(batch_id)
        except BatchNotFoundError as error:
            self._end(watcher, error)
        else:
            watcher.watch = BatchWatch(found, places, dict(enumerate(watcher.seen)))

    def _look(self, keys: Collection[UUID]) -> None:
        """Tells of those of these jobs that have changed."""
        if len(keys) <= _FEW:
            # One question: these have likely changed, or nobody would have said so.
            rows = self._rows(keys)
            versions = {key: _version(row) for key, row in rows.items()}
            fresh = self._changed_among(versions)
            rows = {key: row for key, row in rows.items() if key in fresh}
        else:
            versions = self._versions_of(keys)
            fresh = self._changed_among(versions)
            rows = self._rows(fresh)
        for watcher in {each for key in rows for each in self._of_job[key]}:
            self._tell(watcher, rows, None)
        self._versions |= {key: versions[key] for key in rows if key in self._of_job}
        self._drop_deleted(set(keys) - versions.keys())

    def _versions_of(self, keys: Collection[UUID]) -> dict[UUID, Version]:
        versions: dict[UUID, Version] = {}
        for some in _pieces(keys):
            with self._store.read() as tx:
                versions |= tx.lists.versions(some)
        return versions

    def _changed_among(self, versions: Mapping[UUID, Version]) -> set[UUID]:
        return {key for key, each in versions.items() if each != self._versions.get(key)}

    def _rows(
        self, keys: Collection[UUID], owners: Collection[str | None] = (None,)
    ) -> dict[UUID, Any]:
        """What there is to tell of these jobs; the whole row where one is watched by itself.

        Args:
            keys: The jobs.
            owners: For whom there have to be those that are read whole; None is everybody.
        """
        # A batch may have thousands of jobs, whose whole rows would take seconds.
        whole = {key for key in keys if any(each.job_id for each in self._of_job.get(key, ()))}
        rows: list[Any] = []
        for some in _pieces(set(keys) - whole):
            with self._store.read() as tx:
                rows += tx.lists.lives(some)
        for some in _pieces(whole):
            with self._store.read() as tx:
                rows += tx.jobs(some, owners)
        return {row.id: row for row in rows}

    def _tell(self, watcher: Watcher, rows: Mapping[UUID, Any], outlooks: Outlooks | None) -> None:
        watch = watcher.watch
        if watch is None:
            return
        before = set(watch.keys)
        try:
            update = watch.update([rows[key] for key in rows.keys() & before], outlooks)
        except Exception:  # noqa: BLE001 - a row that is damaged; others are still to be told
            _log.exception("cannot tell of %s", watcher.job_id or watcher.batch_id)
            self._end(watcher, _defect())
            return
        if update is not None:
            watcher.told = True
            watcher.tell(update)
        for key in before - set(watch.keys):
            self._release(watcher, key)
        if watcher.told and not watch.keys:
            watcher.tell(None)

    def _tell_outlooks(self) -> None:
        """Tells some watchers what to expect; all of them in turn."""
        if not self._to_tell:
            self._expected = self._outlooks.of(self._targets, self._clock())
            self._to_tell.extend({each for some in self._of_job.values() for each in some})
        for _ in range(min(_TOLD, len(self._to_tell))):
            watcher = self._to_tell.popleft()
            if watcher.watch is not None and watcher.watch.keys:
                self._tell(watcher, {}, self._expected)
        pause_s = _PAUSE_S if self._to_tell else _OUTLOOK_S
        self._outlook_at = monotonic() + pause_s if self._of_job else float("inf")

    def _drop_deleted(self, keys: Iterable[UUID]) -> None:
        for key in keys:
            for watcher in tuple(self._of_job.get(key, ())):
                if isinstance(watcher.watch, BatchWatch):
                    watcher.watch.gone([key])
                    self._release(watcher, key)
                    self._tell(watcher, {}, None)
                else:
                    self._end(watcher, JobNotFoundError(f"there is no job {key}", field="id"))

    def _end(self, watcher: Watcher, error: QDispatchError) -> None:
        watcher.told = True
        watcher.tell(error)
        self._forget([watcher])

    def _forget(self, watchers: Iterable[Watcher]) -> None:
        for watcher in watchers:
            for key in tuple(watcher.watch.keys) if watcher.watch else ():
                self._release(watcher, key)

    def _release(self, watcher: Watcher, key: UUID) -> None:
        some = self._of_job.get(key)
        if some is not None:
            some.discard(watcher)
            if not some:
                del self._of_job[key]
                self._versions.pop(key, None)
                self._targets.pop(key, None)


def _is_seen(watcher: Watcher, rows: Mapping[UUID, Any]) -> bool:
    """Whether a new watcher may see what it watches; whose a batch is was looked up."""
    row = None if watcher.job_id is None else rows.get(watcher.job_id)
    return row is None or watcher.sees is None or row.owner == watcher.sees


def _version(row: JobRow | Life) -> Version:
    """As `ListStatements.versions` tells it."""
    return row.status, len(row.life), row.points_done


def _stopping() -> UnavailableError:
    return UnavailableError("the server stops; watch again")


def _defect() -> QDispatchError:
    return QDispatchError("a defect of the service; its log has the details")


def _pieces(keys: Collection[UUID]) -> Iterable[list[UUID]]:
    every = list(keys)
    return (every[at : at + _MANY] for at in range(0, len(every), _MANY))
