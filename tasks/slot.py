"""A slot: one child of a worker, with its runner, its engine and its signals."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from types import FrameType
from typing import Any, Final, TypeVar
from uuid import UUID

from app.engines import make_engine
from app.ports import utc_now
from app.programs import Programs
from app.settings import Settings
from app.store import Store
from app.work import WorkService
from qdispatch.errors import QDispatchError
from qdispatch.model import JobStatus
from tasks.dispatch import WAKE_SIGNAL
from tasks.engine import Engine, EngineError, ImpatientError
from tasks.run import JobRunner
from tasks.run_chunk import ChunkRunner
from tasks.settle import Ending

T = TypeVar("T")

_log = logging.getLogger(__name__)

# How often a worker reports that it is there, in seconds.
REPORT_S: Final = 10.0
# A simulation that needs all of its target's limit needs a little beside it.
_SLACK_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class SlotPlan:
    """What a worker's main process decides for all its slots."""

    settings: Settings
    worker: str
    target: str
    concurrency: int
    fork_server: Path
    leaving: int
    """A file descriptor that is readable once the worker is being stopped."""
    overdue: int
    """One that is readable once its jobs have had the time to end."""


def open_work(settings: Settings, name: str = "") -> WorkService:
    """The database's side of a worker's work; see `WorkService`."""
    return WorkService(
        # The main process has seen to its schema; it may be away just now.
        store=Store(make_engine(settings.database)),
        programs=Programs(settings.programs),
        clock=utc_now,
        settings=settings.jobs,
        name=name,
    )


class Slot:
    """What a child of the pool holds; made in the child.

    Args:
        plan: What it is to do.
        changed: Told of jobs whose status has changed.
        place: Its place among the slots of its worker.

    Attributes:
        terminated: An operator terminated the task.
    """

    def __init__(
        self, plan: SlotPlan, changed: Callable[[Sequence[UUID]], None], *, place: int = 0
    ) -> None:
        self.terminated = False
        self._plan = plan
        self._closed = Event()
        self._ended_job = Event()
        # The engine is warmed up beside, and a job may come meanwhile.
        self._engine_lock = Lock()
        self._wanted = False
        wake_read, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._work = open_work(plan.settings, f"{plan.worker} {place}")
        limit = plan.settings.targets[plan.target].memory_limit
        self._engine = Engine(
            plan.fork_server, wake_read, memory_limit_bytes=limit + max(_SLACK_BYTES, limit // 16)
        )
        parts: dict[str, Any] = {
            "work": self._work,
            "engine": self._engine,
            "worker": plan.worker,
            "stop": self,
            "changed": changed,
        }
        self._runner = JobRunner(**parts)
        self._chunk_runner = ChunkRunner(**parts)
        # Who stops the worker's process group means its main process, which
        # then lets the slots end their jobs.
        os.setpgid(0, 0)

    @property
    def leaving(self) -> bool:
        """Whether the worker is being stopped and does not wait (any longer)."""
        plan = self._plan
        readable, _, _ = select.select([plan.leaving, plan.overdue], [], [], 0)
        return plan.overdue in readable or (self.terminated and plan.leaving in readable)

    def start(self) -> None:
        """Listens to wakes; keeps an engine warm, and reports, in the background."""
        signal.signal(WAKE_SIGNAL, self._look)
        Thread(target=self._attend, name="attend", daemon=True).start()

    def run(self, job_id: UUID) -> Ending:
        """Runs a job; see `JobRunner.run`."""
        return self._run(lambda: self._runner.run(job_id))

    def run_chunk(self, job_ids: Sequence[UUID]) -> Counter[JobStatus]:
        """Runs the jobs of a chunk; see `ChunkRunner.run`."""
        return self._run(lambda: self._chunk_runner.run(job_ids))

    def _run(self, run: Callable[[], T]) -> T:
        self.terminated = False
        # Not before: the pool sets this signal itself after the slot is made.
        when_idle = signal.signal(signal.SIGTERM, self._terminate)
        self._wanted = True
        try:
            with self._engine_lock:
                ended = run()
        finally:
            self._wanted = False
            signal.signal(signal.SIGTERM, when_idle)
            self._ended_job.set()
        if self.terminated and self.leaving:
            raise SystemExit(0)
        return ended

    def close(self) -> None:
        """Ends the engine."""
        self._closed.set()
        self._ended_job.set()
        self._engine.close()

    def _look(self, _signum: int, _frame: FrameType | None) -> None:
        # A full pipe wakes as well as one more byte.
        with suppress(BlockingIOError):
            os.write(self._wake, b"!")

    def _terminate(self, signum: int, frame: FrameType | None) -> None:
        self.terminated = True
        self._look(signum, frame)

    def _attend(self) -> None:
        reported_at, reported = -REPORT_S, ""
        while not self._closed.is_set():
            self._warm_up()
            known = self._engine.fingerprint
            if known != reported or time.monotonic() - reported_at >= REPORT_S:
                reported_at, reported = time.monotonic(), known
                self._report(known)
            self._ended_job.wait(REPORT_S)
            self._ended_job.clear()

    def _warm_up(self) -> None:
        # The job before may have cost the engine, and the next is to find one.
        try:
            with self._engine_lock:
                self._engine.start(lambda: not (self._wanted or self._closed.is_set()))
        except ImpatientError:
            # A job waits for the lock, and looks for an engine itself.
            return
        except EngineError as error:
            _log.warning("no engine yet: %s", error)

    def _report(self, fingerprint: str) -> None:
        plan = self._plan
        try:
            self._work.report(plan.worker, plan.target, plan.concurrency, fingerprint)
        except QDispatchError as error:
            _log.warning("cannot report: %s", error)
        except Exception:  # noqa: BLE001 - a defect; engines are still to be kept warm
            _log.exception("cannot report")
