"""An installation whose only simulator does what its jobs say, to itself if need be."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil

from qdispatch import Client, Job
from qdispatch.model import JobStatus
from tests.chaos.installation import install_stub
from tests.e2e.circuits import custom
from tests.e2e.stack import Stack
from tests.services.process import wait_until
from tests.services.together import Services
from tests.specs import BELL

# Leases and sweeps are quick, so that what they mend is mended within a test.
SETTINGS: Final = """
data_dir = "{data_dir}"

[server]
address = "127.0.0.1:{port}"
# A worker's word may take long on a busy machine.
cancel_wait_s = 5.0
grace_s = 20.0

[jobs]
max_attempts = 2
lease_s = 5.0
sweep_interval_s = 0.2
resend_after_s = 0.5
lost_after_s = 1.0
retry_delay_s = 0.2
stop_grace_s = 4.0

[machine]
max_simulations = 3

[targets.stub]
simulator = "stub"
concurrency = 2
memory_limit = "300MiB"
time_limit_s = 300.0
"""

STUB: Final = "stub"
WAIT_S: Final = 30.0


def make_stack(folder: Path, services: Services | None) -> Stack:
    """The installation, not started."""
    stack = Stack(folder, services, settings=SETTINGS, targets=(STUB,))
    site = install_stub(folder / "site")
    # What is answered from the cache puts nothing to the test.
    stack.environment["QDISPATCH_CACHE__MAX_BYTES"] = "0"
    # Who runs a job is told in a file of the test's.
    stack.environment["QDISPATCH_TARGETS__STUB__PATHS"] = json.dumps([str(folder.parent)])
    stack.environment["PYTHONPATH"] = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))
    return stack


@dataclass(frozen=True, kw_only=True)
class Ward:
    """An installation, a client of it, and the jobs of a test."""

    stack: Stack
    client: Client
    folder: Path

    def submit(
        self, action: str = "count", size: int = 0, *, until: Path | None = None, **options: Any
    ) -> Job:
        """A job that does this to its engine, and notes who that is; not before a file is there."""
        tell = self._file("engines")
        tell.touch()
        extra: dict[str, object] = {"do": action, "size": size, "tell": str(tell)}
        if until is not None:
            extra["until"] = str(until)
        circuit = custom(BELL, n_qubits=2)
        return self.client.submit(circuit, target=STUB, shots=10, extra=extra, **options)

    def running(self, action: str = "sleep", size: int = 0) -> Job:
        """A job that works inside native code, and will not end by itself."""
        return self._begun(self.submit(action, size))

    def held(self) -> tuple[Job, Callable[[], None]]:
        """A job that runs until it is let go, in whichever attempt; and what lets it go."""
        until = self._file("until")
        return self._begun(self.submit(until=until)), until.touch

    def _begun(self, job: Job) -> Job:
        assert wait_until(lambda: len(self.engines(job)) == 1, WAIT_S), job.info
        assert job.status() is JobStatus.RUNNING
        return job

    def _file(self, name: str) -> Path:
        """One that is not there yet."""
        return self.folder / f"{name}-{uuid4().hex}"

    def engines(self, job: Job) -> list[psutil.Process | None]:
        """The engines that have run a job, in their order; those that are gone are None."""
        told = json.loads(job.info.spec.extra)["tell"]
        return [_process(int(line)) for line in Path(told).read_text().split()]

    def engine(self, job: Job) -> psutil.Process | None:
        """The one engine that has run a job."""
        (engine,) = self.engines(job)
        return engine

    def end(self, job: Job, wait_s: float = WAIT_S) -> str:
        """How a job ended: its status, and the kind of its error."""
        status = job.wait(wait_s)
        return f"{status}" if job.info.error is None else f"{status}: {job.info.error.kind}"


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def gone(process: psutil.Process | None) -> bool:
    """Whether a process computes no more, and holds no memory."""
    if process is None:
        return True
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def frozen(stack: Stack, *processes: psutil.Process | int) -> Iterator[None]:
    """Stops processes, not in mid-transaction, and lets them go on at the end."""
    pids = [each if isinstance(each, int) else each.pid for each in processes]

    def stopped_between_transactions() -> bool:
        _signal(pids, signal.SIGSTOP)
        if _writable(stack):
            return True
        _signal(pids, signal.SIGCONT)
        return False

    try:
        assert wait_until(stopped_between_transactions, WAIT_S)
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def _writable(stack: Stack) -> bool:
    """Whether nobody who is stopped holds the lock that SQLite has for writers."""
    if not stack.database_url.startswith("sqlite"):
        return True
    with closing(sqlite3.connect(stack.data_dir / "qdispatch.db", timeout=1.0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
        return True
