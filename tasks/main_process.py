"""What the main process of a worker holds: its fork server, and what operators revoked."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, Timer
from typing import IO, Final
from uuid import UUID

from app.ids import known_id
from app.settings import TargetSettings
from qdispatch.errors import QDispatchError, UnavailableError
from tasks.pipe import Limits
from tasks.slot import SlotPlan, open_work

_log = logging.getLogger(__name__)

# All that an engine may know of this process' environment: no URL, no secret.
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")

#: How OpenMP's threads wait in engines. One that spins on a busy core keeps others from
#: it; but to be woken takes longer than most gates. So they spin for some 10 µs, and
#: sleep then.
WAITING: Final = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}

# A fork server that gives up sooner than this after its start, in seconds, is not
# started again; one that was killed is.
_STABLE_S: Final = 10.0

# While the database is away, in seconds.
_RETRY_S: Final = 1.0

# How its folder for sockets is called, before its process' number.
_FOLDER: Final = "qdispatch-worker-"

# What is passed on of its log at a time, in bytes.
_LOG_BYTES: Final = 2**16

# How long the end of a worker waits for its threads, in seconds.
_CLOSE_S: Final = 3.0


class MainProcess:
    """What the main process of a worker holds.

    Args:
        plan: What it has decided for its slots.
        target: The settings of its target.
        overdue: The writing end of ``plan.overdue``.
    """

    def __init__(self, plan: SlotPlan, target: TargetSettings, overdue: int) -> None:
        self.plan = plan
        self._overdue = overdue
        self._target = target
        self._stopping = False
        self._process = self._start_fork_server()
        self._revoked: SimpleQueue[tuple[UUID, ...]] = SimpleQueue()
        self._threads = [
            Thread(target=self._cancel_revoked, name="revoked", daemon=True),
            Thread(target=self._watch, name="fork server", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _start_fork_server(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {
            **WAITING,
            "OMP_NUM_THREADS": str(self._target.threads),
            # What NumPy is used for is too little for threads.
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        settings = self.plan.settings
        limits = Limits(
            threads=self._target.threads,
            max_qubits=self._target.max_qubits,
            memory_limit_bytes=self._target.memory_limit,
            max_result_bytes=settings.jobs.max_result_bytes,
            paths=tuple(map(str, self._target.paths)),
            calls=self._target.calls,
        )
        self.plan.fork_server.unlink(missing_ok=True)
        self._started_at = time.monotonic()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tasks.forkserver",
                str(self.plan.fork_server),
                self._target.simulator,
                json.dumps(asdict(limits)),
                json.dumps({"form": settings.log_format, "times": settings.log_times}),
            ],
            # Its end of this pipe closes when this process dies, however.
            stdin=subprocess.PIPE,
            # An engine is to hold no file and no terminal of this process.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Signals to the worker's process group are not for it.
            start_new_session=True,
            env=environment,
            cwd=Path(__file__).resolve().parent.parent,
        )
        Thread(target=_pass_on, args=(process.stdout,), name="engines' log", daemon=True).start()
        return process

    def _watch(self) -> None:
        while True:
            code = self._process.wait()
            if self._stopping:
                return
            early = time.monotonic() - self._started_at < _STABLE_S
            if early and code >= 0:
                _log.critical("the fork server ended with code %d: this worker stops", code)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            _log.error("the fork server ended with code %d: starting it again", code)
            if early:
                time.sleep(_RETRY_S)
            if self._stopping:
                return
            self._start_again()

    def _start_again(self) -> None:
        while not self._stopping:
            try:
                self._process = self._start_fork_server()
            except OSError as error:
                _log.error("cannot start the fork server: %s", error)
                time.sleep(_RETRY_S)
            else:
                return

    def revoked(self, task_ids: Iterable[str]) -> None:
        """Cancels jobs, in the background, that an operator has revoked."""
        jobs = tuple(job_id for job_id in map(known_id, task_ids) if job_id is not None)
        if jobs:
            self._revoked.put(jobs)

    def _cancel_revoked(self) -> None:
        while True:
            job_ids = self._revoked.get()
            if self._stopping and not job_ids:
                return
            try:
                with closing(open_work(self.plan.settings)) as work:
                    work.cancel_all(job_ids)
            except UnavailableError as error:
                # Celery has thrown the message away: this is all that knows of it.
                _log.warning("%d revoked jobs wait: %s", len(job_ids), error)
                self._revoked.put(job_ids)
                time.sleep(_RETRY_S)
            except Exception:  # noqa: BLE001 - the next one still counts
                _log.exception("cannot cancel revoked jobs: %s", job_ids)

    def give_up_later(self) -> None:
        """Has the slots hand their jobs over when the time to end them is over."""

        def give_up() -> None:
            _log.info("the jobs that still run are handed over")
            os.write(self._overdue, b"!")

        timer = Timer(self.plan.settings.jobs.stop_grace_s, give_up)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Ends the fork server, and reports that this worker has left."""
        self._stopping = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # What still runs when the interpreter ends is cut off anywhere.
        self._revoked.put(())
        for thread in self._threads:
            thread.join(_CLOSE_S)
        shutil.rmtree(self.plan.fork_server.parent, ignore_errors=True)
        try:
            with closing(open_work(self.plan.settings)) as work:
                work.leave(self.plan.worker)
        except QDispatchError as error:
            _log.warning("cannot report the end: %s", error)


def _pass_on(log: IO[bytes]) -> None:
    """Writes what a fork server and its engines log into this process' log."""
    with log:
        while text := os.read(log.fileno(), _LOG_BYTES):
            # Not by a file of Python's: a fork in mid-write would keep its lock for ever.
            with suppress(OSError):
                while text:
                    text = text[os.write(2, text) :]


def make_folder() -> Path:
    """A folder for a worker's sockets; those that dead workers left are removed.

    A Unix socket's path may not be long, so it is not in the data directory.
    """
    _remove_folders_of_the_dead()
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))


def _remove_folders_of_the_dead() -> None:
    """Where worker and fork server were killed at once, nobody else does it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
