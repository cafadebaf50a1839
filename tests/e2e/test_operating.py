"""What operators use: celery's command line, Flower, health checks, grpcurl's protocols."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from qdispatch import Client, Job
from qdispatch.model import JobStatus, ResultType
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.e2e import circuits
from tests.e2e.listening import Listener, check_fork_servers, listeners
from tests.e2e.marks import slow_embedded
from tests.e2e.stack import TARGETS, Stack, wait_for_status
from tests.services.process import free_port, wait_until


@pytest.fixture
def running(client: Client, stack: Stack) -> Job:
    job = client.submit(circuits.slow(), target="aer", shots=10)
    wait_for_status(client, [job.id], JobStatus.RUNNING)
    stack.freeze("aer", 1)
    job.status()
    return job


def test_celery_inspects_and_controls_workers(client: Client, stack: Stack, running: Job) -> None:
    node = running.info.worker
    active = json.loads(stack.ask("aer", "inspect", "active", "--json"))
    assert [task["id"] for task in active[node]] == [running.id]
    found = json.loads(stack.ask("aer", "inspect", "query_task", running.id, "--json"))
    assert found[node][running.id][0] == "active"
    running.cancel()
    # Named, they are waited for; others than these have nothing to say.
    nodes = ",".join(map(stack.node, TARGETS))
    stats = json.loads(stack.celery("inspect", "stats", "--json", "-d", nodes, "-t", "30"))
    assert {name.partition("@")[0] for name in stats} == {"aer", "cirq", "pennylane"}
    pool = stats[node]["pool"]
    assert pool["max-concurrency"] == 2
    assert set(pool["processes"]) == stack.slots("aer")
    wait_for_status(client, [running.id], JobStatus.CANCELED)


def test_celery_tells_a_workers_settings_and_turns_its_events_on(stack: Stack) -> None:
    if stack.services is not None:
        pytest.skip("what carries the question makes no difference to the answer")
    assert "task_acks_late" in stack.ask("aer", "inspect", "conf")
    assert "OK" in stack.ask("aer", "control", "disable_events")
    assert "OK" in stack.ask("aer", "control", "enable_events")


@pytest.mark.parametrize("terminate", [False, True])
def test_an_operators_revoke_cancels(client: Client, stack: Stack, terminate: bool) -> None:
    slow = [client.submit(circuits.slow(), target="aer", shots=10) for _ in range(2)]
    wait_for_status(client, [job.id for job in slow], JobStatus.RUNNING)
    stack.freeze("aer", len(slow))
    slots = stack.slots("aer")
    if terminate:
        stack.ask("aer", "control", "terminate", "SIGTERM", slow[0].id)
        wait_for_status(client, [slow[0].id], JobStatus.CANCELED)
        assert slow[1].status() is JobStatus.RUNNING
    else:
        waiting = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
        stack.ask("aer", "control", "revoke", waiting.id)
        slow[0].cancel()
        wait_for_status(client, [waiting.id], JobStatus.CANCELED)
    slow[1].cancel()
    quick = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
    assert quick.wait(60) is JobStatus.FINISHED
    wait_for_status(client, [job.id for job in slow], JobStatus.CANCELED)
    assert stack.slots("aer") == slots
    for job in slow:
        assert f"{job.id}.qasm" not in stack.programs


@slow_embedded
def test_a_worker_without_a_target_is_refused(stack: Stack) -> None:
    for options in ([], ["-Q", "aer,cirq"]):
        text = stack.celery("worker", *options, check=False)
        assert "give one queue with -Q, out of aer, cirq, pennylane" in text
        assert "Traceback" not in text


@slow_embedded
def test_one_worker_too_many_for_the_machine_is_refused(stack: Stack) -> None:
    text = stack.celery("worker", "-Q", "aer", "-n", "second@%h", check=False)
    assert "machine.max_simulations" in text
    assert "only 0 are free" in text
    assert "Traceback" not in text


def test_a_pool_grows_as_far_as_the_machine_allows(stack: Stack) -> None:
    text = stack.ask("aer", "control", "pool_grow", "1", check=False)
    assert "machine.max_simulations" in text
    assert len(stack.slots("aer")) == 2


def test_a_slot_is_small_and_holds_no_sdk(stack: Stack) -> None:
    for target in TARGETS:
        for pid in stack.slots(target):
            mapped = Path(f"/proc/{pid}/maps").read_text()
            for sdk in ("qiskit", "qsimcirq", "pennylane", "numpy"):
                assert sdk not in mapped, (target, sdk)
        for engine in stack.engines(target):
            assert "qiskit" in Path(f"/proc/{engine.pid}/maps").read_text()
            environment = engine.environ()
            assert environment["OMP_NUM_THREADS"] == "1"
            assert not any(name.startswith("QDISPATCH_") for name in environment)


def test_health_and_reflection(stack: Stack) -> None:
    with grpc.insecure_channel(stack.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "qdispatch.v1.QDispatch"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "qdispatch.v1.QDispatch" in database.get_services()
        service = DescriptorPool(database).FindServiceByName("qdispatch.v1.QDispatch")
        assert {method.name for method in service.methods} == {
            method.name for method in pb.DESCRIPTOR.services_by_name["QDispatch"].methods
        }
    assert "serving" in stack.run("app", "health")


def test_targets_are_listed_with_their_load(client: Client) -> None:
    targets = {each.name: each for each in client.targets()}
    assert list(targets) == ["aer", "cirq", "pennylane"]
    aer = targets["aer"]
    assert (aer.simulator, aer.max_qubits, aer.workers_online) == ("aer", 200, 1)
    assert (aer.default_time_limit_s, aer.max_time_limit_s) == (120.0, 1500.0)
    assert set(aer.program_formats) == {"openqasm2", "openqasm3"}
    assert set(aer.result_types) == set(ResultType)


def test_nothing_listens_but_what_is_documented(stack: Stack) -> None:
    stack.check()

    def found(name: str) -> set[Listener]:
        process = stack.process(name)
        return listeners([process, *process.children(recursive=True)])

    assert found("server") == {Listener(kind="tcp", place=stack.address)}
    # Whatever broker and database there are.
    assert found("sweep") == set()
    for name in stack.targets:
        check_fork_servers(found(name), 1)


#: Puts messages that a worker must not read: in the form with headers, in the one
#: without, and as commands.
FORGE = """
import json, pickle, sys
from pathlib import Path
from tasks.celery import app

class Bomb:
    def __reduce__(self):
        return Path.touch, (Path(sys.argv[1]),)

JSON = "application/json"
job_id = "01a1fb9b-5f28-7645-9f6d-13295b6039a2"
other_forms = [
    ("application/x-python-serialize", pickle.dumps(Bomb())),
    ("application/x-yaml", f"!!python/object/apply:os.mknod [{sys.argv[1]}]".encode()),
    ("application/x-msgpack", bytes([0x93, 0x90, 0x80, 0x80])),
    ("application/x-none", b"x"),
    # Kombu lets these pass whatever is accepted.
    ("application/data", b"args"),
    ("application/text", b"args"),
    # Broken; and not what a task has.
    (JSON, b"{"),
    (JSON, bytes([0xFF])),
    *((JSON, json.dumps(each).encode()) for each in (None, 5, "args", ["args"])),
]
task = {"task": "qdispatch.run_job", "id": job_id}
well = json.dumps([[job_id], {}, {}]).encode()
headers = [
    {"id": job_id, "task": {"a": 1}},
    {"task": "qdispatch.run_job"},
    {"task": "no.such.task", "id": job_id},
    task | {"eta": 5},
    task | {"eta": "x"},
    task | {"expires": [1]},
]
with app.connection_for_write() as connection:
    producer = connection.Producer(auto_declare=False)

    def send(exchange, form, body, headers):
        producer.publish(
            body, exchange=exchange, routing_key="aer", content_type=form,
            content_encoding="binary", serializer=None, headers=headers,
        )

    for form, body in other_forms:
        send("qdispatch", form, body, task)
        send("qdispatch", form, body, {})
        send("celery.pidbox", form, body, {})
    for each in headers:
        send("qdispatch", JSON, well, each)
"""


def test_a_worker_reads_json_only_and_no_message_ends_it(client: Client, stack: Stack) -> None:
    trap = stack.folder / "trap"
    pid = stack.process("aer").pid
    stack.python(FORGE, str(trap))
    # It gets to what comes behind them all.
    job = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
    job.wait(60)
    assert job.status() is JobStatus.FINISHED
    assert "pong" in stack.ask("aer", "inspect", "ping")
    assert stack.process("aer").pid == pid
    stack.check()
    log = (stack.folder / "aer.log").read_text()
    for name in ("pickle", "yaml", "msgpack", "application/x-none"):
        assert f"untrusted content of type {name}" in log, name
    assert "a message makes no sense" in log
    assert "Unrecoverable error" not in log
    assert not trap.exists()


def test_flower_shows_jobs_with_target_qubits_and_shots(client: Client, stack: Stack) -> None:
    port = free_port()
    password = uuid4().hex
    flower = stack.launch(
        "flower", "celery", "-A", "tasks", "flower", f"--port={port}", f"--basic-auth=me:{password}"
    )
    token = base64.b64encode(f"me:{password}".encode()).decode()

    def tasks() -> dict[str, dict[str, str]]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/tasks", headers={"Authorization": f"Basic {token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                found: dict[str, dict[str, str]] = json.load(answer)
        except OSError:
            return {}
        return found

    job_ids: list[str] = []
    complete: list[dict[str, str]] = []

    def shown() -> bool:
        # Flower learns of what happens while it listens, from when it is up.
        job_ids.append(client.submit(circuits.qiskit_circuit(), target="aer", shots=77).id)
        client.job(job_ids[-1]).wait(60)
        known = [tasks().get(job_id, {}) for job_id in job_ids]
        # One that it heard of from its beginning to its end.
        complete[:] = [
            each for each in known if each.get("state") == "SUCCESS" and each.get("kwargs")
        ]
        return bool(complete)

    assert wait_until(shown, 60, poll_s=0.5), stack.log("flower")
    task = complete[0]
    assert task["kwargs"] == "target=aer qubits=3 shots=77"
    assert task["worker"].startswith("aer@")
    flower.terminate()
    flower.wait(30)
    stack.forget("flower")
