"""The life of jobs: cancel, concurrency, files, history, crash."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from qdispatch import Client, Job
from qdispatch.errors import JobCanceledError, RequestConflictError
from qdispatch.model import CancelVerdict, ErrorKind, JobStatus
from tests.e2e import circuits
from tests.e2e.marks import slow_embedded
from tests.e2e.stack import Stack, wait_for_status
from tests.services.process import wait_until


@pytest.fixture
def busy(client: Client) -> Iterator[list[Job]]:
    """Both slots of a target at work on jobs that take minutes."""
    jobs = [client.submit(circuits.slow(), target="aer", shots=10) for _ in range(2)]
    wait_for_status(client, [job.id for job in jobs], JobStatus.RUNNING)
    yield jobs
    for job in jobs:
        job.cancel()


def cancel_all(client: Client, jobs: list[Job]) -> None:
    for job in jobs:
        job.cancel()
    wait_for_status(client, [job.id for job in jobs], JobStatus.CANCELED)


def run_quick(client: Client, target: str = "aer") -> None:
    job = client.submit(circuits.qiskit_circuit(), target=target, shots=10)
    assert sum(job.result(timeout_s=60).counts.values()) == 10


def test_cancel_of_a_pending_job(client: Client, stack: Stack, busy: list[Job]) -> None:
    stack.freeze("aer", len(busy))
    waiting = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
    assert waiting.status() is JobStatus.PENDING
    assert f"{waiting.id}.qasm" in stack.programs
    assert waiting.cancel() is CancelVerdict.REMOVED_FROM_QUEUE
    assert waiting.status() is JobStatus.CANCELED
    assert f"{waiting.id}.qasm" not in stack.programs
    with pytest.raises(JobCanceledError):
        waiting.result(timeout_s=10)
    # Celery knows it as revoked, and says so once a slot has come to it.
    assert wait_until(lambda: waiting.id in stack.ask("aer", "inspect", "revoked"), 30)
    cancel_all(client, busy)
    run_quick(client)
    assert wait_until(lambda: "REVOKED" in record(stack, waiting), 30), record(stack, waiting)
    info = client.get_job(waiting.id)
    assert (info.status, info.attempt, info.started_at) == (JobStatus.CANCELED, 0, None)
    assert waiting.cancel() is CancelVerdict.TOO_LATE


def record(stack: Stack, job: Job) -> str:
    """Celery's own record of a job, as `celery result` finds it."""
    code = (
        "import sys; from tasks.celery import app;"
        "print(app.AsyncResult(sys.argv[1]).state, app.AsyncResult(sys.argv[1]).result)"
    )
    return stack.python(code, job.id)


def test_cancel_of_a_running_job_kills_its_engine_and_not_its_slot(
    client: Client, stack: Stack, busy: list[Job]
) -> None:
    neighbour, victim = busy
    slots = stack.slots("aer")
    engines = {engine.pid for engine in stack.engines("aer")}
    assert len(slots) == len(engines) == 2
    assert victim.cancel() is CancelVerdict.STOPPED_RUNNING

    def one_engine_is_new() -> bool:
        now = {engine.pid for engine in stack.engines("aer")}
        return len(now) == 2 and len(now & engines) == 1

    assert wait_until(one_engine_is_new, 20)
    assert victim.status() is JobStatus.CANCELED
    run_quick(client)
    assert neighbour.status() is JobStatus.RUNNING
    assert stack.slots("aer") == slots
    assert wait_until(lambda: "REVOKED" in record(stack, victim), 30)
    assert f"{victim.id}.qasm" not in stack.programs
    cancel_all(client, [neighbour])


def test_never_more_than_the_configured_jobs_run_at_once(
    client: Client, stack: Stack, busy: list[Job]
) -> None:
    stack.freeze("aer", len(busy))
    third = client.submit(circuits.slow(), target="aer", shots=10)
    load = next(each for each in client.targets() if each.name == "aer")
    assert (load.running, load.queue_length) == (2, 1)
    assert third.status() is JobStatus.PENDING
    # A place that gets free is taken at once, and no other.
    busy[0].cancel()
    wait_for_status(client, [third.id], JobStatus.RUNNING)
    load = next(each for each in client.targets() if each.name == "aer")
    assert (load.running, load.queue_length) == (2, 0)
    assert len(stack.slots("aer")) == 2
    cancel_all(client, [busy[1], third])


def test_a_free_worker_takes_the_next_job(client: Client) -> None:
    slow = client.submit(circuits.slow(), target="aer", shots=10)
    wait_for_status(client, [slow.id], JobStatus.RUNNING)
    for _ in range(4):
        run_quick(client)
    assert slow.status() is JobStatus.RUNNING
    cancel_all(client, [slow])


def test_a_job_over_its_time_limit_fails(client: Client, stack: Stack) -> None:
    job = client.submit(circuits.slow(), target="pennylane", shots=10, time_limit_s=0.5)
    assert job.wait(60) is JobStatus.FAILED
    assert job.info.error is not None
    assert job.info.error.kind == ErrorKind.TIME_LIMIT
    assert "0.5 s" in job.info.error.message
    run_quick(client, "pennylane")
    assert "time_limit" in record(stack, job)
    assert "FAILURE" in record(stack, job)


def test_a_request_id_names_one_job(client: Client) -> None:
    first = client.submit(circuits.qiskit_circuit(), target="aer", shots=10, request_id="again")
    again = client.submit(circuits.qiskit_circuit(), target="aer", shots=10, request_id="again")
    assert again.id == first.id
    with pytest.raises(RequestConflictError, match=first.id):
        client.submit(circuits.qiskit_circuit(), target="aer", shots=11, request_id="again")
    first.wait(60)


def test_celery_has_a_small_record_of_a_finished_job(client: Client, stack: Stack) -> None:
    job = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
    job.wait(60)
    assert wait_until(lambda: "SUCCESS" in record(stack, job), 30)
    assert "{'status': 'finished', 'attempt': 1}" in record(stack, job)
    assert "finished" in stack.celery("result", job.id)


@slow_embedded
def test_history_is_intact_after_a_restart_of_everything(client: Client, stack: Stack) -> None:
    jobs = [
        client.submit(circuits.qiskit_circuit(), target=target, shots=100, seed=1, tags=["kept"])
        for target in ("aer", "cirq", "pennylane")
    ]
    before = [job.result(timeout_s=60).info for job in jobs]
    stack.restart()
    with stack.client() as fresh:
        after = [fresh.get_job(job.id, include_results=True) for job in jobs]
        run_quick(fresh)
    assert after == before


def test_no_program_file_is_left(client: Client, stack: Stack) -> None:
    run_quick(client)
    assert wait_until(lambda: not stack.programs, 30), stack.programs


def test_the_extra_of_a_job_is_kept_as_given(client: Client) -> None:
    extra = '{ "method":"statevector",  "mine": [1, 2.50] }'
    job = client.submit(circuits.qiskit_circuit(), target="aer", shots=10, extra=extra)
    assert job.result(timeout_s=60).info.spec.extra == extra
    assert json.loads(extra)["method"] == job.info.method
