"""Celery's pool, but a slot that is killed takes no lock along.

With a broker that Celery cannot poll, such as the embedded one, all slots of a
worker take their jobs from one pipe. Whoever waits there for the next job
holds a semaphore; killed meanwhile, it never frees it, and no slot of this
worker gets a job again. The kernel does free a record lock (fcntl) then.
"""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import Any

from billiard.pool import Pool
from celery.concurrency.prefork import TaskPool


class RecordLock:
    """A lock between a process and its forks; threads of one process share it."""

    def __init__(self) -> None:
        self._file = os.memfd_create("lock", os.MFD_CLOEXEC)

    def acquire(self) -> None:
        """Waits until it is free, and takes it."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        """Frees it."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class SharedPipePool(Pool):
    """The pool that Celery takes where it has no event loop."""

    def _setup_queues(self) -> Any:
        super()._setup_queues()
        for pipe in (self._inqueue, self._outqueue):
            pipe._rlock, pipe._wlock = RecordLock(), RecordLock()


def install() -> None:
    """Has Celery use it."""
    TaskPool.BlockingPool = SharedPipePool
