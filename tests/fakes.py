"""Stand-ins for what the core is given. Each passes the suite of what it stands for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

from app.ports import Chunk, Dispatch
from app.store import Store, Transaction
from qdispatch.errors import UnavailableError
from qdispatch.model import JobSpec
from tasks.engine import EngineError, Event, Exited, Patience, Signal
from tests.fake_store import FakeStore, FakeTransaction


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class RecordingDispatcher:
    """Remembers what it was told, in order."""

    def __init__(self) -> None:
        self.sent: list[Dispatch] = []
        self.chunks: list[Chunk] = []
        self.revoked: list[tuple[UUID, bool]] = []

    def send(self, dispatch: Dispatch) -> None:
        self.sent.append(dispatch)

    def send_chunk(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        # Whoever asks which jobs were sent does not ask how.
        self.sent += [
            Dispatch(job_id=each, target=chunk.target, label=chunk.label) for each in chunk.job_ids
        ]

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        self.revoked += [(job_id, running) for job_id in job_ids]


class ManualQueues:
    """Queues that are as long as they are said to be."""

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {}
        self.away = False

    def length(self, target: str) -> int:
        if self.away:
            raise UnavailableError("the broker does not answer")
        return self.lengths.get(target, 0)


class Trouble(Enum):
    """What goes wrong with one transaction."""

    AWAY = "away"
    """It cannot begin."""
    ROLLED_BACK = "rolled back"
    """The connection breaks before the commit."""
    ANSWER_LOST = "answer lost"
    """It breaks after the commit, before the caller hears of it."""


class SwitchableStore:
    """A store, real or fake, that can be taken away, and that breaks when it is told to."""

    away = False
    trouble: Trouble | None = None
    """Meets the next transaction, which has no answer but UnavailableError."""

    def __init__(self, inner: Store | FakeStore) -> None:
        self.inner = inner

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[Transaction | FakeTransaction]:
        self._check()
        trouble, self.trouble = self.trouble, None
        try:
            with self.inner.write(long=long) as tx:
                yield tx
                _break(trouble is Trouble.ROLLED_BACK)
        except Exception as error:
            # A connection that breaks hides whatever else went wrong.
            if trouble is None:
                raise
            raise _gone() from error
        _break(trouble is Trouble.ANSWER_LOST)

    @contextmanager
    def once(self) -> Iterator[Transaction | FakeTransaction]:
        # What breaks before its end has changed nothing, like a statement that never came.
        self._check()
        broken = self.trouble is not None
        with self.write() if broken else self.inner.once() as tx:
            yield tx

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[Transaction | FakeTransaction]:
        self._check()
        with self.inner.read(long=long) as tx:
            yield tx

    def close(self) -> None:
        self.inner.close()

    def _check(self) -> None:
        once = self.trouble is Trouble.AWAY
        if once:
            self.trouble = None
        _break(once or self.away)


def _break(gone: bool) -> None:
    if gone:
        raise _gone()


def _gone() -> UnavailableError:
    return UnavailableError("the database does not answer; try again")


@dataclass
class ScriptedEngine:
    """An engine whose waits end as the script says; after its end nothing happens.

    A step may be a function: it is called during the wait, and makes the event.
    """

    script: deque[Event | Callable[[], Event]] = field(default_factory=deque)
    specs: list[JobSpec] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    starts: int = 0
    kills: int = 0
    alive: bool = False
    took_s: float = 0.0

    def start(self) -> None:
        if not self.alive:
            self.alive = True
            self.starts += 1

    def submit(self, spec: JobSpec, patience: Patience = lambda: True) -> None:
        self.start()
        self.specs.append(spec)

    def wait(self, timeout_s: float) -> Event:
        if not self.alive:
            raise EngineError("no engine was started")
        self.waits.append(timeout_s)
        if not self.script:
            return Signal.TIMEOUT
        step = self.script.popleft()
        event = step() if callable(step) else step
        if isinstance(event, Exited):
            self.alive = False
        return event

    def cpu_s(self) -> float:
        return self.took_s if self.alive else 0.0

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            self.kills += 1


@dataclass
class ManualStop:
    """Why a slot was told to stop: nothing, until it is set."""

    terminated: bool = False
    leaving: bool = False
