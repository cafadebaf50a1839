"""Small jobs of a batch, which share messages, on real workers."""

from __future__ import annotations

import json
from typing import Any

from qdispatch import Batch, Client
from qdispatch.circuits import CustomCircuit
from qdispatch.model import CancelVerdict, JobStatus
from tests.e2e import circuits
from tests.e2e.stack import Stack
from tests.services.process import wait_until

# Each shot takes a way of its own through so many measurements, so that few qubits
# take minutes.
_LONG = (
    'OPENQASM 2.0; include "qelib1.inc"; qreg q[14]; creg c[1];'
    + "".join(f"h q[{n}];" for n in range(14))
    + 400 * "h q[0]; measure q[0] -> c[0]; if (c == 1) ry(0.3) q[1]; cx q[1], q[0]; ry(0.2) q[0];"
)


def long_circuit() -> CustomCircuit:
    return circuits.custom(_LONG, n_qubits=14)


def tasks(stack: Stack) -> list[dict[str, Any]]:
    """What the slots of aer are at, as Celery tells it."""
    active: list[dict[str, Any]] = json.loads(stack.ask("aer", "inspect", "active", "--json"))[
        stack.node("aer")
    ]
    return active


def wait_until_two_run(batch: Batch, stack: Stack) -> list[str]:
    running: list[str] = []

    def two_run() -> bool:
        running[:] = [job.id for job in batch.jobs() if job.status() is JobStatus.RUNNING]
        return len(running) == 2

    assert wait_until(two_run, 60), stack.logs()
    stack.freeze("aer", 2)
    return running


def test_a_batch_of_small_jobs(client: Client, stack: Stack) -> None:
    batch = client.submit_batch([circuits.qiskit_circuit()] * 40, target="aer", shots=10)
    info = batch.wait(timeout_s=120)
    assert (info.finished, info.size) == (40, 40)
    jobs = batch.jobs()
    assert {job.info.attempt for job in jobs} == {1}
    assert {sum(result.counts.values()) for result in batch.results(timeout_s=30)} == {10}
    assert [event.status for event in jobs[17].info.events] == [
        JobStatus.PENDING,
        JobStatus.RUNNING,
        JobStatus.FINISHED,
    ]
    files = {f"{job_id}.qasm" for job_id in batch.job_ids}
    assert wait_until(lambda: not files & set(stack.programs), 30)


def test_canceling_one_leaves_the_others_of_its_chunk(client: Client, stack: Stack) -> None:
    batch = client.submit_batch([long_circuit()] * 24, target="aer", shots=100_000)
    one, other = wait_until_two_run(batch, stack)
    carried = [set(task["args"][0]) for task in tasks(stack)]
    assert all(len(each) == 4 for each in carried)
    assert client.cancel_job(one) is CancelVerdict.STOPPED_RUNNING
    (kept,) = (client.get_job(each) for each in (other,))
    assert (kept.status, kept.attempt) == (JobStatus.RUNNING, 1)
    numbers = batch.status()
    assert (numbers.canceled, numbers.failed) == (1, 0)
    batch.cancel()
    assert wait_until(lambda: batch.status().canceled == 24, 60), stack.logs()
    quick = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
    assert quick.wait(60) is JobStatus.FINISHED


def test_an_operator_terminates_a_chunk(client: Client, stack: Stack) -> None:
    batch = client.submit_batch([long_circuit()] * 24, target="aer", shots=100_000)
    wait_until_two_run(batch, stack)
    task, other = tasks(stack)
    stack.ask("aer", "control", "terminate", "SIGTERM", task["id"])
    # What has not begun after a moment is no part of the chunk any more.
    first, untouched = (each["args"][0][0] for each in (task, other))
    assert wait_until(lambda: client.get_job(first).status is JobStatus.CANCELED, 60)
    assert client.get_job(untouched).status is JobStatus.RUNNING
    batch.cancel()
    assert wait_until(lambda: batch.status().canceled == 24, 60), stack.logs()
