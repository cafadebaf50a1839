"""Promise 4: limits end a job cleanly, and only that job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from qdispatch import Job
from qdispatch.model import ErrorKind, JobStatus
from tests.e2e.circuits import custom
from tests.hostile.programs import GROWTH, million_gate_body
from tests.reliability.ward import STUB, WAIT_S, Ward, gone
from tests.services.process import wait_until

# Which broker and database there are makes no difference to an engine's limits.
pytestmark = pytest.mark.parametrize("stack", ["embedded"], indirect=True, scope="package")


# Some of it takes seconds of a processor, one after the other.
LONG_S = 300.0


@pytest.fixture
def neighbour(ward: Ward) -> Iterator[None]:
    """A job on the same worker that nothing of this may touch."""
    job = ward.running()
    slots, worker = ward.stack.slots(STUB), ward.stack.process(STUB).pid
    yield
    assert job.status() is JobStatus.RUNNING
    assert job.info.attempt == 1
    assert not gone(ward.engine(job))
    assert (ward.stack.slots(STUB), ward.stack.process(STUB).pid) == (slots, worker)
    job.cancel()


@pytest.mark.usefixtures("neighbour")
def test_over_the_time_limit(ward: Ward) -> None:
    job = ward.submit("sleep", time_limit_s=2.0)
    assert ward.end(job) == "failed: time_limit"
    # A busy machine may have let it begin nothing.
    assert all(map(gone, ward.engines(job)))
    assert job.info.attempt == 1


@pytest.mark.usefixtures("neighbour")
def test_over_the_memory_limit(ward: Ward) -> None:
    job = ward.submit("grow", 800)
    assert ward.end(job) == "failed: out_of_memory"
    assert gone(ward.engine(job))
    assert job.info.error is not None
    assert "GiB" in job.info.error.message
    assert job.info.peak_memory_bytes > 300 * 2**20
    assert job.info.attempt == 1


@pytest.mark.usefixtures("neighbour")
def test_a_simulator_that_crashes_is_tried_again_and_then_not(ward: Ward) -> None:
    job = ward.submit("crash")
    assert ward.end(job) == "failed: crashed"
    assert (job.info.attempt, job.info.faults) == (2, 2)
    assert job.info.error is not None
    assert "SIGSEGV" in job.info.error.message
    assert ward.end(ward.submit()) == "finished"


@pytest.mark.usefixtures("neighbour")
@pytest.mark.parametrize("action", ["refuse", "fail", "no_memory"])
def test_what_can_never_succeed_is_not_tried_again(ward: Ward, action: str) -> None:
    job = ward.submit(action)
    assert ward.end(job).startswith("failed: ")
    assert (job.info.attempt, job.info.faults) == (1, 0)


def program(ward: Ward, text: str, program_format: str) -> Job:
    """A job whose simulator does nothing; all there is to do is to read the program."""
    circuit = custom(text, program_format=program_format, n_qubits=1)
    return ward.client.submit(circuit, target=STUB, shots=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("neighbour")
def test_hostile_programs_beside_what_ends_engines(ward: Ward) -> None:
    """What is refused, what takes too much, and what ends its engine, all at once."""
    hostile = [
        each for each in GROWTH if each.kind is ErrorKind.UNSUPPORTED and "never" not in each.name
    ]
    refused = [program(ward, each.text, each.format) for each in hostile]
    crash = ward.submit("crash")
    real = program(ward, million_gate_body(), "openqasm2")
    grown = ward.submit("grow", 800)

    for job, case in zip(refused, hostile, strict=True):
        assert (case.name, ward.end(job, LONG_S)) == (case.name, "failed: unsupported")
        assert job.info.error is not None
        assert re.search(case.says, job.info.error.message)
        # One that shared a message with what ends engines may have been handed back.
        assert job.info.faults == 0
    assert ward.end(crash, LONG_S) == "failed: crashed"
    assert crash.info.error is not None
    assert "SIGSEGV" in crash.info.error.message
    for job in (real, grown):
        assert ward.end(job, LONG_S) == "failed: out_of_memory"
        assert job.info.error is not None
        assert re.search(r"\d GiB", job.info.error.message)
        assert job.info.faults == 0
    assert ward.end(ward.submit()) == "finished"


@pytest.fixture
def little_memory(ward: Ward) -> Iterator[None]:
    """A control group of 200 MiB around the engines, where one may be made."""
    root = Path("/sys/fs/cgroup/memory")
    group = root / f"qdispatch-test-{uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(200 * 2**20))
    except OSError as error:
        pytest.skip(f"no control group of its own: {error}")
    (fork_server,) = ward.stack.fork_servers(STUB)
    home = _group_of(fork_server.pid)
    (group / "cgroup.procs").write_text(str(fork_server.pid))
    # Those that are warm were forked outside.
    for engine in ward.stack.engines(STUB):
        engine.kill()
        assert wait_until(lambda: gone(engine), WAIT_S)  # noqa: B023
    yield
    (root / home / "cgroup.procs").write_text(str(fork_server.pid))
    for engine in ward.stack.engines(STUB):
        engine.kill()
        assert wait_until(lambda: gone(engine), WAIT_S)  # noqa: B023
    assert wait_until(lambda: not (group / "cgroup.procs").read_text(), WAIT_S)
    group.rmdir()


def _group_of(pid: int) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return path.lstrip("/")
    raise AssertionError("no memory controller")


@pytest.mark.usefixtures("little_memory")
def test_a_kill_by_the_kernel_for_want_of_memory(ward: Ward) -> None:
    job = ward.submit("grow", 280)
    assert ward.end(job) == "failed: out_of_memory"
    assert job.info.error is not None
    assert "SIGKILL" in job.info.error.message
    assert job.info.attempt == 1
    assert ward.end(ward.submit()) == "finished"
