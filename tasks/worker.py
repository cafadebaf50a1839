"""A worker: one target's queue, on one machine.

`celery -A tasks worker -Q TARGET` starts one; what Celery is not told on its
command line, the settings say. The main process starts the target's fork
server; each child of the pool is a `Slot`.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any

from billiard.process import current_process
from celery import Task, signals
from celery.exceptions import Ignore, Reject
from celery.worker import control
from celery.worker import state as worker_state
from celery.worker.control import control_command

from app.database import START_PATIENCE_S, open_store
from app.ids import known_id
from app.logs import is_json, set_up_logging
from app.settings import Settings, SettingsError
from qdispatch.errors import QDispatchError, UnavailableError
from qdispatch.model import JobStatus
from tasks.celery import app, settings
from tasks.dispatch import WAKE_SIGNAL
from tasks.logs import hush_banner
from tasks.machine import reserve
from tasks.main_process import MainProcess, make_folder
from tasks.notices import Notices
from tasks.send import RUN_CHUNK, RUN_JOB
from tasks.settle import Ending
from tasks.slot import Slot, SlotPlan

_log = logging.getLogger(__name__)


class JobFailedError(Exception):
    """What Celery shows of a failed job."""


_worker: MainProcess | None = None
_slot: Slot | None = None
_places: list[int] = []


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
            if is_json():
                _log.critical("%s", error)
                raise SystemExit(1) from error
            raise SystemExit(f"qdispatch: {error}") from error
        except Exception as error:
            _log.critical("a worker cannot start", exc_info=error)
            raise SystemExit(1) from error

    return guarded


@signals.celeryd_init.connect
@_or_exit
def _take_settings(instance: Any, conf: Any, options: dict[str, Any], **_: object) -> None:
    """Before Celery sets the worker up: target, concurrency and node name."""
    # Celery has something to say before it sets its own up.
    set_up_logging(settings.log_format, times=settings.log_times)
    target = _only_target(options.get("queues"), settings)
    conf.worker_concurrency = settings.targets[target].concurrency
    if settings.log_format == "json":
        hush_banner(instance)
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
    open_store(settings, patience_s=START_PATIENCE_S).close()
    _reserve(concurrency, sender.hostname)
    leaving, announce = os.pipe2(os.O_CLOEXEC)
    overdue, end = os.pipe2(os.O_CLOEXEC)
    folder = make_folder()
    plan = SlotPlan(
        settings=settings,
        worker=sender.hostname,
        target=target,
        concurrency=concurrency,
        fork_server=folder / "fork-server",
        leaving=leaving,
        overdue=overdue,
    )
    worker = _worker = MainProcess(plan, settings.targets[target], end)

    def leave(**_: object) -> None:
        os.write(announce, b"!")
        worker.give_up_later()

    signals.worker_shutting_down.connect(leave, weak=False, dispatch_uid="leaving")
    # Slots are forks of this process: a collection in one of them must not copy
    # what is here already.
    gc.collect()
    gc.freeze()


def _reserve(wanted: int, worker: str) -> None:
    _places.extend(
        reserve(
            settings.data_dir / "machine",
            wanted=wanted,
            most=settings.max_simulations,
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
    for request in _requests_of(set(task_ids)):
        if request.worker_pid:
            with suppress(ProcessLookupError):
                os.kill(request.worker_pid, WAKE_SIGNAL)
                woken += 1
    return woken


def _requests_of(job_ids: set[str]) -> Iterator[Any]:
    """The tasks of this worker that carry any of these jobs."""
    for request in tuple(worker_state.active_requests):
        carried = request.args[0] if request.name == RUN_CHUNK else [request.id]
        if not job_ids.isdisjoint(carried):
            yield request


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
        _slot = Slot(_worker.plan, Notices(app), place=getattr(current_process(), "index", 0))
        _slot.start()


@signals.worker_process_shutdown.connect
def _close_slot(**_: object) -> None:
    if _slot is not None:
        _slot.close()


@signals.worker_shutdown.connect
def _close(**_: object) -> None:
    if _worker is not None:
        _worker.close()


def _this_slot() -> Slot:
    if _slot is None:
        raise JobFailedError("this process is no slot of a qdispatch worker")
    return _slot


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
    slot = _this_slot()
    key = known_id(job_id)
    if key is None:
        raise JobFailedError(f"{job_id!r} is not the id of a job")
    try:
        ending: Ending = slot.run(key)
    except UnavailableError as error:
        raise Reject(str(error), requeue=True) from error
    if ending.status is JobStatus.FINISHED:
        return {"status": ending.status.value, "attempt": ending.attempt}
    if ending.error is not None:
        raise JobFailedError(f"{ending.error.kind}: {ending.error.message}")
    if ending.status is JobStatus.CANCELED:
        self.backend.mark_as_revoked(self.request.id, "canceled", request=self.request)
        with suppress(Exception):  # a word to monitors, as long as the broker listens
            self.send_event("task-revoked", terminated=True, signum=None, expired=False)
    raise Ignore


@app.task(name=RUN_CHUNK)
def run_chunk(job_ids: Sequence[str]) -> dict[str, int]:
    """Runs the jobs of a chunk. Celery's record speaks of them together.

    Returns:
        How many jobs have ended here, by their status, such as {"finished": 98,
        "failed": 2}; what became of each is in the database only.

    Raises:
        JobFailedError: This is no chunk.
        Reject: The worker stops before it could begin; the message goes back.
    """
    slot = _this_slot()
    keys = [known_id(str(each)) for each in job_ids]
    known = [key for key in keys if key is not None]
    if not known or len(known) < len(keys):
        raise JobFailedError("not all of these are ids of jobs")
    try:
        ends = slot.run_chunk(known)
    except UnavailableError as error:
        raise Reject(str(error), requeue=True) from error
    return {status.value: number for status, number in ends.items()}
