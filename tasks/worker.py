"""A worker: one target's queue, on one machine.

`celery -A tasks worker -Q TARGET` starts one; what Celery is not told on its
command line, the settings say. The main process starts the target's fork
server; each child of the pool is a `Slot`.
"""

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
import traceback
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, Timer
from typing import Any, Final
from uuid import UUID

from celery import Task, signals
from celery.exceptions import Ignore, Reject
from celery.worker import control
from celery.worker import state as worker_state
from celery.worker.control import control_command

from app.database import open_store
from app.settings import Settings, SettingsError, TargetSettings
from qdispatch.errors import QDispatchError, UnavailableError
from qdispatch.model import JobStatus
from tasks.celery import app, settings
from tasks.dispatch import RUN_JOB, WAKE_SIGNAL
from tasks.machine import reserve
from tasks.pipe import Limits
from tasks.run import Ending
from tasks.slot import Slot, SlotPlan, open_work

_log = logging.getLogger(__name__)

# All that an engine may know of this process' environment: no URL, no secret.
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")

# A fork server that gives up sooner than this after its start, in seconds, is not
# started again; one that was killed is.
_STABLE_S: Final = 10.0

# While the database is away, in seconds.
_RETRY_S: Final = 1.0

# How its folder for sockets is called, before its process' number.
_FOLDER: Final = "qdispatch-worker-"

# How long the end of a worker waits for its threads, in seconds.
_CLOSE_S: Final = 3.0


class JobFailedError(Exception):
    """What Celery shows of a failed job."""


class _Worker:
    """What the main process of a worker holds."""

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
        threads = str(self._target.threads)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }
        limits = Limits(
            threads=self._target.threads,
            max_qubits=self._target.max_qubits,
            memory_limit_bytes=self._target.memory_limit,
            max_result_bytes=self.plan.settings.server.max_result_bytes,
        )
        self.plan.fork_server.unlink(missing_ok=True)
        self._started_at = time.monotonic()
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tasks.forkserver",
                str(self.plan.fork_server),
                self._target.simulator,
                json.dumps(asdict(limits)),
            ],
            # Its end of this pipe closes when this process dies, however.
            stdin=subprocess.PIPE,
            # Signals to the worker's process group are not for it.
            start_new_session=True,
            env=environment,
            cwd=Path(__file__).resolve().parent.parent,
        )

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
            self._process = self._start_fork_server()

    def revoked(self, task_ids: Iterable[str]) -> None:
        """Cancels jobs, in the background, that an operator has revoked."""
        jobs = tuple(job_id for job_id in map(_job_id, task_ids) if job_id is not None)
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


_worker: _Worker | None = None
_slot: Slot | None = None
_places: list[int] = []


def _job_id(task_id: str) -> UUID | None:
    try:
        return UUID(task_id)
    except ValueError:
        return None


def _only_target(queues: Any, settings: Settings) -> str:
    names = queues.split(",") if isinstance(queues, str) else list(queues or ())
    known = ", ".join(settings.targets)
    if len(names) != 1 or names[0] not in settings.targets:
        raise SettingsError(
            f"a worker serves one target: give one queue with -Q, out of {known}"
            + (f" (not {','.join(names)})" if names else "")
        )
    return str(names[0])


def _or_exit(handler: Callable[..., None]) -> Callable[..., None]:
    """Ends the process when a handler fails; Celery would go on without it."""

    @wraps(handler)
    def guarded(**arguments: Any) -> None:
        try:
            handler(**arguments)
        except QDispatchError as error:
            raise SystemExit(f"qdispatch: {error}") from error
        except Exception as error:
            traceback.print_exc()
            raise SystemExit(1) from error

    return guarded


@signals.celeryd_init.connect
@_or_exit
def _take_settings(instance: Any, conf: Any, options: dict[str, Any], **_: object) -> None:
    """Before Celery sets the worker up: target, concurrency and node name."""
    target = _only_target(options.get("queues"), settings)
    conf.worker_concurrency = settings.targets[target].concurrency
    name, _, host = instance.hostname.partition("@")
    if name == "celery":  # Celery's default; two targets of a host would clash
        instance.hostname = f"{target}@{host}"


@signals.worker_init.connect
@_or_exit
def _start(sender: Any, **_: object) -> None:
    """Before the pool is made: place on the machine, and the fork server."""
    global _worker  # noqa: PLW0603 - one process is one worker
    target = _only_target(sender.app.amqp.queues.consume_from, settings)
    # With --autoscale, the most is what counts.
    concurrency = max(getattr(sender, "max_concurrency", None) or 0, int(sender.concurrency))
    open_store(settings).close()
    _reserve(concurrency, sender.hostname)
    leaving, announce = os.pipe2(os.O_CLOEXEC)
    overdue, end = os.pipe2(os.O_CLOEXEC)
    # A Unix socket's path may not be long, so it is not in the data directory.
    _remove_folders_of_the_dead()
    folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))
    plan = SlotPlan(
        settings=settings,
        worker=sender.hostname,
        target=target,
        concurrency=concurrency,
        fork_server=folder / "fork-server",
        leaving=leaving,
        overdue=overdue,
    )
    worker = _worker = _Worker(plan, settings.targets[target], end)

    def leave(**_: object) -> None:
        os.write(announce, b"!")
        worker.give_up_later()

    signals.worker_shutting_down.connect(leave, weak=False, dispatch_uid="leaving")


def _remove_folders_of_the_dead() -> None:
    """Where worker and fork server were killed at once, nobody else does it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        pid = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _reserve(wanted: int, worker: str) -> None:
    _places.extend(
        reserve(
            settings.data_dir / "machine",
            wanted=wanted,
            most=settings.machine.max_simulations,
            worker=worker,
        )
    )


@control_command(args=[("n", int)], signature="[N=1]")
def pool_grow(state: Any, n: int = 1, **_: object) -> dict[str, str]:
    """Adds slots, if the machine has places for them; Celery's own asks nobody."""
    try:
        _reserve(n, state.hostname)
    except SettingsError as error:
        return {"error": str(error)}
    state.consumer.pool.grow(n)
    state.consumer._update_prefetch_count(n)
    return {"ok": f"{n} more slots"}


@control_command(
    variadic="task_id",
    signature="[id1 [id2 [... [idN]]]]",
)
def revoke(
    state: Any,
    task_id: Any,
    terminate: bool = False,
    signal: str | None = None,
    noted: bool = False,
    **_: object,
) -> Any:
    """Cancels jobs, waiting or running; Celery's own forgets them when the worker ends.

    Args:
        state: The worker's.
        task_id: One id, or a list.
        terminate: Whether to signal the slots that run them.
        signal: The signal's name.
        noted: Whether they are canceled in the database already. Then it is
            enough to wake their slots: Celery would first ask the result
            backend about each, and this process serves all slots.
    """
    ids = [task_id] if isinstance(task_id, str) else list(task_id or ())
    if noted:
        worker_state.revoked.update(ids)
        return {"ok": f"woken: {_wake_slots(ids)}"}
    if _worker is not None:
        _worker.revoked(ids)
    return control.revoke(state, ids, terminate=terminate, signal=signal)


def _wake_slots(task_ids: Iterable[str]) -> int:
    woken = 0
    for task_id in task_ids:
        request = worker_state.requests.get(task_id)
        if request is not None and request.worker_pid:
            with suppress(ProcessLookupError):
                os.kill(request.worker_pid, WAKE_SIGNAL)
                woken += 1
    return woken


@control_command(
    variadic="task_id",
    args=[("signal", str)],
    signature="<signal> [id1 [id2 [... [idN]]]]",
)
def terminate(state: Any, signal: str, task_id: Any, **_: object) -> Any:
    """Cancels jobs, and signals the slots that run them."""
    return revoke(state, task_id, terminate=True, signal=signal)


@signals.worker_process_init.connect
@_or_exit
def _start_slot(**_: object) -> None:
    global _slot  # noqa: PLW0603 - one child is one slot
    if _worker is not None:
        _slot = Slot(_worker.plan)
        _slot.start()


@signals.worker_process_shutdown.connect
def _close_slot(**_: object) -> None:
    if _slot is not None:
        _slot.close()


@signals.worker_shutdown.connect
def _close(**_: object) -> None:
    if _worker is not None:
        _worker.close()


@app.task(name=RUN_JOB, bind=True, throws=(JobFailedError,))
def run_job(self: Task, job_id: str) -> dict[str, Any]:
    """Runs a job. Celery's record of it is for people; the database has the truth.

    Returns:
        {"status": "finished", "attempt": N}.

    Raises:
        JobFailedError: The job has failed; Celery notes FAILURE.
        Ignore: It was canceled, which is noted as REVOKED, or the message
            changed nothing.
        Reject: The worker stops before it could begin; the message goes back.
    """
    if _slot is None:
        raise JobFailedError("this process is no slot of a qdispatch worker")
    key = _job_id(job_id)
    if key is None:
        raise JobFailedError(f"{job_id!r} is not the id of a job")
    try:
        ending: Ending = _slot.run(key)
    except UnavailableError as error:
        raise Reject(str(error), requeue=True) from error
    if ending.status is JobStatus.FINISHED:
        return {"status": ending.status.value, "attempt": ending.attempt}
    if ending.error is not None:
        raise JobFailedError(f"{ending.error.kind}: {ending.error.message}")
    if ending.status is JobStatus.CANCELED:
        self.backend.mark_as_revoked(self.request.id, "canceled", request=self.request)
        self.send_event("task-revoked", terminated=True, signum=None, expired=False)
    raise Ignore
