"""The result cache: a job that was run before is answered with what came out then.

There is no second store: a finished job that has a key is an entry, its results
are in the history anyway, and whoever deletes it deletes the entry. A job that
is answered gets a copy of them, so that each has results of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from app.events import line
from app.jobs import check_transition
from app.placement import WORKER_SEEN_S
from app.ports import Clock
from app.rows import MAX_ENTRY_BYTES, JobRow, job_row
from app.settings import Settings
from app.store import Store, Transaction
from app.store_cache import Entry
from qdispatch.codec import encode_spec
from qdispatch.model import JobSpec, JobStatus

#: Entries given up in one transaction.
BATCH: Final = 500

# What the client keeps in a job's extra for itself: no option of any simulator.
_NOTES: Final = ("qiskit",)

# What is left of the limit once it was exceeded, so that it is not at every look.
_LEFT: Final = 0.9


class ResultCache:
    """Finds earlier results for jobs that are being submitted.

    Args:
        settings: Whether, and for which targets.
        clock: Tells the time.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def key(self, spec: JobSpec, target: str, owner: str) -> bytes | None:
        """What an equal job has in common with this one; None if no other may be answered with it.

        That is all that its results depend on, but for what runs it: see
        `tasks.fingerprint`. Without shots results are exact, and with a seed
        they are the same each time; else a second run would have others.
        """
        wanted = spec.cache and self._settings.cache.max_bytes > 0
        repeatable = not spec.shots or spec.seed is not None
        if wanted and repeatable and self._settings.targets[target].cache:
            return content_key(spec, target, owner)
        return None

    def answer(
        self, tx: Transaction, rows: Sequence[JobRow], held_back: Collection[str]
    ) -> list[JobRow]:
        """The same jobs, of which those are finished that can be answered.

        Args:
            tx: The transaction that then inserts them.
            rows: The jobs, all pending; they stay as they are.
            held_back: Targets that are not active; nothing is given out there.
        """
        keys = {row.cache_key for row in rows if row.cache_key and row.target not in held_back}
        if not keys:
            return list(rows)
        now = self._clock()
        entries = tx.cache.entries(keys, seen_after=now - timedelta(seconds=WORKER_SEEN_S))
        left = MAX_ENTRY_BYTES
        answered = []
        for row in rows:
            entry = entries.get(row.cache_key or b"")
            # What is too much to be copied in one transaction is simulated.
            if entry is not None and entry.result_bytes <= left:
                left -= entry.result_bytes
                answered.append(_answered(row, entry, now))
            else:
                answered.append(row)
        return answered

    @staticmethod
    def copy(tx: Transaction, rows: Sequence[JobRow]) -> None:
        """Gives jobs that were answered, and inserted, their results."""
        answered = [row.id for row in rows if row.cached_from is not None]
        if answered:
            tx.cache.copy_results(answered)


def _answered(row: JobRow, entry: Entry, now: datetime) -> JobRow:
    check_transition(row.status, JobStatus.FINISHED)
    changes = {
        "status": JobStatus.FINISHED,
        "finish_time": now,
        "life": row.life + line(JobStatus.FINISHED, now),
        "points_done": row.n_points,
        # It is no entry itself: one that answers is enough.
        "cache_key": None,
        "cached_from": entry.job_id,
        "method": entry.method,
        "method_reason": entry.method_reason,
        "simulator_version": entry.simulator_version,
        "result_bytes": entry.result_bytes,
    }
    return job_row(row.model_dump() | changes)


def content_key(spec: JobSpec, target: str, owner: str) -> bytes:
    """SHA-256 over all of a job that its results depend on, and whose it is."""
    content = replace(
        spec,
        target=target,
        extra=_canonical(spec.extra),
        # What only says where the job came from, or when it is to be given up.
        framework="",
        depth=0,
        submission_date=None,
        time_limit_s=None,
        tags=(),
        priority=0,
    )
    name = owner.encode()
    packed = encode_spec(content).SerializeToString(deterministic=True)
    return hashlib.sha256(len(name).to_bytes(8, "big") + name + packed).digest()


def _canonical(extra: str) -> str:
    if not extra:
        return ""
    options = json.loads(extra)
    for name in _NOTES:
        options.pop(name, None)
    return json.dumps(options, sort_keys=True) if options else ""


class CacheUpkeep:
    """Keeps the cache within its limit.

    Args:
        max_bytes: What the results of all entries may take, as they are encoded.
        store: The database.
    """

    def __init__(self, max_bytes: int, store: Store) -> None:
        self._max_bytes = max_bytes
        self._store = store

    def evict(self) -> int:
        """Gives up the oldest entries if there is too much; returns how many.

        Their jobs stay as they are, and answer no others any more.
        """
        with self._store.read() as tx:
            size = tx.cache.size()
        if size <= self._max_bytes:
            return 0
        excess = size - int(_LEFT * self._max_bytes)
        evicted = 0
        while excess > 0:
            with self._store.write() as tx:
                some = _first(tx.cache.oldest(BATCH), excess)
                tx.cache.forget([entry.job_id for entry in some])
            if not some:
                break
            evicted += len(some)
            excess -= sum(entry.result_bytes for entry in some)
        return evicted


def _first(entries: Sequence[Entry], excess: int) -> list[Entry]:
    """As many as have so many bytes between them."""
    some = []
    for entry in entries:
        if excess <= 0:
            break
        some.append(entry)
        excess -= entry.result_bytes
    return some
