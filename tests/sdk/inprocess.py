"""An installation in one process: a real server, a real database, real simulators.

In place of the broker, the workers and their engines there is a thread for
each target, so that a job takes some milliseconds. What runs in the threads is
the project's own: the runner of a slot, and what an engine does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.engines import make_engine
from app.outlooks import OutlookSource
from app.ports import Chunk, Dispatch, Sent, utc_now
from app.programs import Programs
from app.service import JobService
from app.settings import Settings, TargetSettings
from app.store import Store
from app.watching import Watchers
from app.work import WorkService
from qdispatch.client import Client
from rpc.server import Server
from tasks.engine import Engine, Patience
from tasks.fingerprint import fingerprint
from tasks.parse import warm_up
from tasks.pipe import Limits
from tasks.run import JobRunner
from tasks.run_chunk import ChunkRunner
from tasks.simulate import serve
from tasks.simulators import load


class ThreadEngine(Engine):
    """An engine that is a thread of this process. It cannot be killed, only left alone."""

    def __init__(self, target: TargetSettings, limits: Limits) -> None:
        self._target = target
        self._limits = limits
        self._looked_at, self._poke = os.pipe()
        self._threads: list[Thread] = []
        super().__init__(Path(), self._looked_at)

    def start(self, patience: Patience = lambda: True) -> None:
        if self._data is not None:
            return
        self._data, theirs = Pipe()
        self._pid = os.getpid()
        self._process = os.pidfd_open(self._pid)
        simulator = load(self._target.simulator)
        self.fingerprint = fingerprint(simulator, self._limits)

        def run() -> None:
            # Whoever does not wait for an answer has closed the other end.
            with theirs, suppress(OSError):
                serve(theirs, simulator, self._limits)

        thread = Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def kill(self) -> None:
        self._forget()

    def wake(self) -> None:
        """Has the runner look at its job."""
        os.write(self._poke, b"!")

    def close(self) -> None:
        super().close()
        # A thread inside an SDK must not see the end of the interpreter.
        for thread in self._threads:
            thread.join()
        os.close(self._looked_at)
        os.close(self._poke)


class Worker:
    """A worker of one target: one slot, started by its first job.

    Args:
        name: Of the target.
        settings: Limits.
        work: The database's side of it.
        changed: Told of the jobs that have ended.
    """

    terminated = False
    leaving = False

    def __init__(
        self,
        name: str,
        settings: Settings,
        work: WorkService,
        changed: Callable[[Sequence[UUID]], None],
    ) -> None:
        self._name = name
        self._work = work
        self._changed = changed
        self._queue: SimpleQueue[UUID | tuple[UUID, ...] | None] = SimpleQueue()
        self._thread: Thread | None = None
        target = settings.targets[name]
        limits = Limits(
            threads=target.threads,
            max_qubits=target.max_qubits,
            memory_limit_bytes=target.memory_limit,
            max_result_bytes=settings.jobs.max_result_bytes,
        )
        self._engine = ThreadEngine(target, limits)

    def put(self, carried: UUID | tuple[UUID, ...]) -> None:
        """Takes a message: with a job, or with those of a chunk."""
        self._queue.put(carried)
        if self._thread is None:
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Has a job that runs looked at."""
        self._engine.wake()

    def stop(self) -> None:
        """Ends after the job at hand."""
        self.leaving = True
        self._queue.put(None)
        if self._thread is not None:
            self._engine.wake()
            self._thread.join()
        self._engine.close()

    def _run(self) -> None:
        warm_up()
        worker = f"{self._name}@here"
        parts: dict[str, Any] = {
            "work": self._work,
            "engine": self._engine,
            "worker": worker,
            "stop": self,
        }
        runner = JobRunner(**parts, changed=self._changed)
        chunk_runner = ChunkRunner(**parts, changed=self._changed)
        # As a slot does.
        self._engine.start()
        self._work.report(worker, self._name, 1, self._engine.fingerprint)
        while (carried := self._queue.get()) is not None:
            if isinstance(carried, UUID):
                runner.run(carried)
            else:
                chunk_runner.run(carried)


class ThreadDispatcher:
    """Brings jobs to the workers without a broker.

    Attributes:
        held: Keeps jobs pending as long as it is set.
    """

    def __init__(self, workers: dict[str, Worker]) -> None:
        self._workers = workers
        self._waiting: list[Sent] = []
        self._lock = Lock()
        self.held = Event()

    def send(self, dispatch: Dispatch) -> None:
        self._send(dispatch)

    def send_chunk(self, chunk: Chunk) -> None:
        self._send(chunk)

    def _send(self, sent: Sent) -> None:
        with self._lock:
            if self.held.is_set():
                self._waiting.append(sent)
                return
        carried = sent.job_ids if isinstance(sent, Chunk) else sent.job_id
        self._workers[sent.target].put(carried)

    def release(self) -> None:
        """Lets all go that were held."""
        with self._lock:
            self.held.clear()
            waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._send(each)

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        if running:
            for worker in self._workers.values():
                worker.wake()


class Installation:
    """All of it.

    Args:
        settings: Where its database is at the current schema.

    Attributes:
        address: Of the server.
        dispatcher: Can hold jobs back.
    """

    def __init__(self, settings: Settings) -> None:
        engine = make_engine(settings.database)
        # What a test has written need not outlive the machine.
        sa.event.listen(engine, "connect", lambda each, _: each.execute("PRAGMA synchronous=OFF"))
        self._store = Store(engine)
        programs = Programs(settings.programs)
        work = WorkService(
            store=self._store, programs=programs, clock=utc_now, settings=settings.jobs
        )
        watchers = Watchers(
            store=self._store,
            clock=utc_now,
            outlooks=OutlookSource(self._store),
            interval_s=settings.server.watch_interval_s,
        )
        self._workers = {
            name: Worker(name, settings, work, watchers.changed) for name in settings.targets
        }
        self.dispatcher = ThreadDispatcher(self._workers)
        service = JobService(
            settings=settings,
            store=self._store,
            programs=programs,
            dispatcher=self.dispatcher,
            clock=utc_now,
            changed=watchers.changed,
        )
        self._server = Server(service, watchers, settings.server)
        self._server.start()
        self.address = f"127.0.0.1:{self._server.port}"

    def client(self) -> Client:
        """A client of it."""
        return Client(self.address)

    def stop(self) -> None:
        """Ends the server, the workers after the jobs at hand, and the connections."""
        self.dispatcher.release()
        self._server.stop(0)
        for worker in self._workers.values():
            worker.stop()
        self._store.close()
