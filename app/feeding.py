"""Sends what waits for its owner's turn, as far as the owners' windows have room."""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final
from uuid import UUID

from app.chunks import MOST_JOBS, cut_waiting
from app.day_use import UsedUp, nobody
from app.fairness import PER_SLOT, Key, Windows, urgency
from app.placement import WORKER_SEEN_S
from app.ports import Chunk, Clock, Dispatch, Dispatcher, Sent
from app.store import Store
from qdispatch.errors import UnavailableError

_log = logging.getLogger(__name__)

# For how long nobody else sends what somebody is about to send, in seconds.
_RESERVED_S: Final = 5.0
# Jobs that were sent at once, and may not be noted as sent yet; the most.
_UNNOTED: Final = 2_000
# Jobs that were fed in chunks, and are to be alone if they come back.
_CHUNKED: Final = 20_000
# How often the feeder looks whether what is out still waits, and for the backlogs of
# others, in seconds.
_CHECK_S: Final = 1.0
_ADOPT_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What an owner's turn came to."""

    messages: Sequence[Sent]
    """What to send now."""
    more: bool
    """Whether more may wait."""


class Backlogs:
    """What waits in the database for its owners' turns.

    Args:
        store: The database.
        clock: Tells the time.
        targets: Those that there are, and how many slots each has at least.
        resend_after_s: When a job is old enough for anybody to send it, in seconds.
        used_up: Tells who has used up the processor time of the day.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        targets: Mapping[str, int],
        resend_after_s: float,
        used_up: UsedUp = nobody,
    ) -> None:
        self._store = store
        self._clock = clock
        self._targets = targets
        self._resend_after_s = resend_after_s
        self._used_up = used_up
        self._slots: Mapping[str, int] = {}
        self._chunked: OrderedDict[UUID, None] = OrderedDict()

    def slots(self, target: str) -> int:
        """How many simulations run at once, as far as is known."""
        return max(1, self._slots.get(target, 0) or self._targets.get(target, 0))

    def size(self, target: str) -> int:
        """How many messages of an owner may be out."""
        return PER_SLOT * self.slots(target)

    def keys(self) -> list[Key]:
        """Who has jobs that are old enough for anybody to send."""
        now = self._clock()
        with self._store.read() as tx:
            return tx.feeding.backlogs(now, now - self._old, tuple(self._targets))

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of these who have no turn: their owners have used up the day."""
        owners = self._used_up({owner for _, owner in keys}) if keys else ()
        return {key for key in keys if key[1] in owners}

    def messages(self, keys: Collection[Key]) -> Mapping[Key, int]:
        """How many messages of these owners are out, by what the database knows."""
        with self._store.read() as tx:
            return tx.feeding.messages(keys)

    def pending(self, job_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these jobs that are pending."""
        with self._store.read() as tx:
            return tx.feeding.pending_among(job_ids)

    def turn(self, key: Key, room: int, *, skip: Collection[UUID] = (), old: bool = False) -> Turn:
        """Reserves what an owner has next.

        Args:
            key: The target and the owner.
            room: Messages that may go out.
            skip: Jobs that were sent, and may not be noted yet.
            old: Whether only those are meant that anybody may send.
        """
        now = self._clock()
        before = now - self._old if old else now + self._old
        limit = room * MOST_JOBS + min(_UNNOTED, len(skip))
        with self._store.read() as tx:
            self._slots = self._workers(tx.workers(now - timedelta(seconds=WORKER_SEEN_S)))
            found = tx.feeding.next(key, now, before, limit)
        waiting = [each for each in found if each.id not in skip]
        messages = cut_waiting(waiting, self.slots(key[0]), most=room, alone=self._chunked)
        carried = [_jobs_of(each) for each in messages]
        more = len(found) == limit or sum(map(len, carried)) < len(waiting)
        if not messages:
            return Turn(messages=(), more=more)
        parts: dict[UUID | None, list[UUID]] = defaultdict(list)
        for each, job_ids in zip(messages, carried, strict=True):
            parts[each.chunk_id if isinstance(each, Chunk) else None] += job_ids
        with self._store.write() as tx:
            reserved = tx.feeding.reserve(parts, now, now + timedelta(seconds=_RESERVED_S))
        self._remember(parts)
        return Turn(messages=list(_of(messages, reserved)), more=more)

    @property
    def _old(self) -> timedelta:
        return timedelta(seconds=self._resend_after_s)

    def _workers(self, workers: Mapping[str, tuple[int, int]]) -> Mapping[str, int]:
        return {target: slots for target, (_, slots) in workers.items()}

    def _remember(self, parts: Mapping[UUID | None, Sequence[UUID]]) -> None:
        for chunk_id, job_ids in parts.items():
            if chunk_id is not None:
                self._chunked |= dict.fromkeys(job_ids)
        while len(self._chunked) > _CHUNKED:
            self._chunked.popitem(last=False)


class Feeder:
    """Stands before a dispatcher, and lets each owner have so many messages out.

    What goes beyond is left in the database, and fed as the messages are taken.

    Args:
        backlogs: What waits.
        dispatcher: Sends.
    """

    def __init__(self, backlogs: Backlogs, dispatcher: Dispatcher) -> None:
        self._backlogs = backlogs
        self._dispatcher = dispatcher
        self._lock = Lock()
        self._windows = Windows(backlogs.size)
        # Whose jobs came while their turn was taken.
        self._came: set[Key] = set()
        # Whose backlog others have left.
        self._adopted: set[Key] = set()
        # Who waits for the next day.
        self._held: set[Key] = set()
        self._direct: deque[tuple[float, Key, Sequence[UUID]]] = deque()
        self._looked_at: dict[Key, float] = {}
        self._adopt_at = 0.0
        self._wake = Event()
        self._closed = False
        self._thread = Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Starts the thread that feeds."""
        self._thread.start()

    def close(self) -> None:
        """Ends it; what waits is for others, or for the next start."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    # -- what a dispatcher does

    def send(self, dispatch: Dispatch) -> None:
        """Sends a committed job if its owner's window has room; else it waits."""
        self._send_or_leave(dispatch)

    def send_chunk(self, chunk: Chunk) -> None:
        """Sends committed jobs, all in one message, if the window has room; else they wait."""
        self._send_or_leave(chunk)

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        """Tells workers that jobs are canceled."""
        self._dispatcher.revoke(job_ids, running=running)

    # -- feeding

    def heard(self, job_ids: Sequence[UUID]) -> None:
        """Is told that jobs have changed."""
        with self._lock:
            hungry = self._windows.heard(job_ids, monotonic())
        if hungry:
            self._wake.set()

    def feed(self) -> int:
        """Sends what there is room for; returns how many messages."""
        if monotonic() >= self._adopt_at:
            self._adopt()
        self._check()
        return sum(self._take_turn(key) for key in self._hungry())

    def _hungry(self) -> list[Key]:
        """Whose turn it is."""
        with self._lock:
            hungry = self._windows.hungry()
        held = self._backlogs.held(self._held.union(hungry))
        with self._lock:
            # Nobody's service is measured by theirs meanwhile.
            for key in held:
                self._windows.wait_no_more(key)
            for key in self._held - held:
                self._windows.wait(key)
                self._wake.set()
            self._held = held
        return [key for key in hungry if key not in held]

    def _send_or_leave(self, message: Sent) -> None:
        key = (message.target, message.owner)
        with self._lock:
            if self._windows.is_free(key) and key not in self._held:
                self._direct.append((monotonic(), key, _jobs_of(message)))
                self._forget_noted()
                message = self._out(key, message)
            else:
                self._windows.wait(key)
                self._came.add(key)
                self._adopted.discard(key)
                self._wake.set()
                return
        self._hand_on(message)

    def _out(self, key: Key, message: Sent) -> Sent:
        level = self._windows.out(key, message_id(message), _jobs_of(message))
        return replace(message, urgency=level)

    def _hand_on(self, message: Sent) -> None:
        if isinstance(message, Chunk):
            self._dispatcher.send_chunk(message)
        else:
            self._dispatcher.send(message)

    def _take_turn(self, key: Key) -> int:
        with self._lock:
            self._came.discard(key)
            room = self._windows.room(key)
            skip = self._unnoted(key)
            old = key in self._adopted
        turn = self._backlogs.turn(key, room, skip=skip, old=old)
        with self._lock:
            messages = [self._out(key, each) for each in turn.messages]
            if not turn.more and key not in self._came:
                self._windows.wait_no_more(key)
                self._adopted.discard(key)
        for each in messages:
            self._hand_on(each)
        return len(messages)

    def _unnoted(self, key: Key) -> set[UUID]:
        """What was sent at once a moment ago: it is not noted yet."""
        self._forget_noted()
        return {each for _, other, some in self._direct if other == key for each in some}

    def _forget_noted(self) -> None:
        while self._direct and self._direct[0][0] < monotonic() - _RESERVED_S:
            self._direct.popleft()

    def _check(self) -> None:
        """Looks whether what is out still waits: words of it may have been lost."""
        now = monotonic()
        with self._lock:
            waiting = [
                key
                for key in self._windows.waiting()
                if now - self._looked_at.get(key, 0.0) >= _CHECK_S
            ]
            self._looked_at |= dict.fromkeys(waiting, now)
            out = {key: self._windows.jobs_out(key) for key in waiting}
        for job_ids in out.values():
            gone = set(job_ids) - self._backlogs.pending(job_ids)
            if gone:
                with self._lock:
                    self._windows.heard(gone, now)
        for key in self._looked_at.keys() - set(out):
            if now - self._looked_at[key] >= _ADOPT_S:
                del self._looked_at[key]

    def _adopt(self) -> None:
        """Takes on what others have left: a server before this one, or chunks that took long."""
        keys = self._backlogs.keys()
        self._adopt_at = monotonic() + _ADOPT_S
        with self._lock:
            known = self._held.union(self._windows.waiting())
            for key in keys:
                if key not in known:
                    self._adopted.add(key)
                    self._windows.wait(key)

    def _run(self) -> None:
        pause_s = 0.0
        while not self._closed:
            self._wake.wait(pause_s)
            self._wake.clear()
            try:
                self.feed()
                with self._lock:
                    some_wait = self._held or self._windows.waiting()
                pause_s = _CHECK_S if some_wait else _ADOPT_S
            except UnavailableError as error:
                _log.warning("nothing is fed for now: %s", error)
                self._pause()
            except Exception:  # noqa: BLE001 - a defect; the sweep feeds meanwhile
                _log.exception("nothing is fed for now")
                self._pause()

    def _pause(self) -> None:
        # Whoever wakes it does not hurry it.
        until = monotonic() + _CHECK_S
        while not self._closed and monotonic() < until:
            self._wake.wait(_CHECK_S)
            self._wake.clear()


def sent_late(backlogs: Backlogs, dispatcher: Dispatcher) -> int:
    """Sends what nobody has sent, within the windows by what the database knows.

    Returns:
        How many jobs.
    """
    keys = backlogs.keys()
    held = backlogs.held(keys)
    keys = [key for key in keys if key not in held]
    out = backlogs.messages(keys) if keys else {}
    jobs = 0
    for key in keys:
        size, had = backlogs.size(key[0]), out.get(key, 0)
        if had < size:
            turn = backlogs.turn(key, size - had, old=True)
            for number, message in enumerate(turn.messages, start=had):
                level = urgency(number, size)
                if isinstance(message, Chunk):
                    dispatcher.send_chunk(replace(message, urgency=level))
                else:
                    dispatcher.send(replace(message, urgency=level))
                jobs += len(_jobs_of(message))
    return jobs


def message_id(message: Sent) -> UUID:
    """Names a message."""
    return message.chunk_id if isinstance(message, Chunk) else message.job_id


def _jobs_of(message: Sent) -> tuple[UUID, ...]:
    return message.job_ids if isinstance(message, Chunk) else (message.job_id,)


def _of(messages: Sequence[Sent], job_ids: Collection[UUID]) -> Sequence[Sent]:
    """The messages, with those of their jobs that are among these."""
    kept: list[Sent] = []
    for each in messages:
        if isinstance(each, Chunk):
            left = tuple(job_id for job_id in each.job_ids if job_id in job_ids)
            kept += [replace(each, job_ids=left)] if left else []
        elif each.job_id in job_ids:
            kept.append(each)
    return kept
