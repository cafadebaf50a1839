"""Everything in the corpus of hostile input, against the service as it is.

Each is answered with a refusal or a typed failure; the service, its memory and its
files are as they were before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Final
from uuid import uuid4

import grpc
import psutil
import pytest

from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from tests.e2e.stack import PROJECT, TARGETS, Stack
from tests.hostile.programs import CANARY, PROGRAMS, HostileProgram
from tests.hostile.submissions import SUBMISSIONS, HostileSubmission
from tests.services.process import wait_until

#: What a process may hold beyond what it held before, in bytes. What the corpus is
#: after is counted in GiB; a server keeps buffers for some messages of 40 MB.
TOLERANCE: Final = 128 * 2**20
WAIT_S: Final = 300.0
#: With RabbitMQ, one of so many inputs is sent beside: what comes of an input is the
#: same whatever carries messages.
PART: Final = 5


def wire(case: HostileProgram) -> HostileSubmission:
    """A hostile program as a submission."""
    changes = {
        "program": case.encoded,
        "program_format": getattr(pb, f"PROGRAM_FORMAT_{case.format.upper()}"),
        "time_limit_s": case.time_limit_s,
    }
    return HostileSubmission(
        name=case.name, attacks=case.attacks, changes=changes, kind=case.kind, says=case.says
    )


CORPUS: Final = (*map(wire, PROGRAMS), *SUBMISSIONS)


@pytest.fixture
def stub(stack: Stack) -> Iterator[pb_grpc.QDispatchStub]:
    with grpc.insecure_channel(stack.address) as channel:
        yield pb_grpc.QDispatchStub(channel)


def memory(stack: Stack) -> dict[str, int]:
    """What each process holds that lives on: resident bytes by its role."""
    found = {"server": stack.process("server").memory_info().rss}
    for target in stack.targets:
        family = [stack.process(target), *stack.fork_servers(target)]
        family += [psutil.Process(pid) for pid in stack.slots(target)]
        found[target] = sum(each.memory_info().rss for each in family)
        found[f"{target}'s engines"] = sum(each.memory_info().rss for each in stack.engines(target))
    return found


def all_engines(stack: Stack) -> Iterator[psutil.Process]:
    """The engines of all workers."""
    for target in stack.targets:
        yield from stack.engines(target)


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, str]:
    """The code, the field at fault and the message."""
    metadata = dict(error.trailing_metadata())
    detail = pb.ErrorDetail.FromString(metadata.get("qdispatch-error-bin", b""))
    return error.code(), detail.field, error.details()


def submit(stub: pb_grpc.QDispatchStub, case: HostileSubmission, target: str) -> str | None:
    """Submits a case; returns the id of its job, if it becomes one."""
    spec = case.spec
    spec.target = spec.target or target
    request_id = case.request_id or uuid4().hex
    try:
        job = stub.CreateJob(pb.CreateJobRequest(request_id=request_id, spec=spec), timeout=60).job
    except grpc.RpcError as error:
        code, field, message = refusal(error)
        assert (case.name, code, field) == (case.name, case.code, case.at), message[:500]
        assert message.startswith(f"{case.at}: " if case.at else ""), (case.name, message[:500])
        assert re.search(case.says, message) is not None, (case.name, message[:500])
        assert len(message) < 2000, case.name
        return None
    assert case.code is None, case.name
    return str(job.id)


def is_as_told(job: pb.Job, case: HostileSubmission) -> bool:
    """Whether its job has ended as the corpus says, and cost no engine its life."""
    message = job.error.message
    kind = None if job.status == pb.JOB_STATUS_FINISHED else job.error.kind
    wanted = None if case.kind is None else case.kind.value
    clear = len(message) < 1000 and "Traceback" not in message
    said = re.search(case.says, message) is not None
    return kind == wanted and clear and said and not job.faults


def ended(stub: pb_grpc.QDispatchStub, job_id: str) -> pb.Job:
    """A job, once it is final."""
    seen: list[pb.Job] = []

    def final() -> bool:
        seen[:] = [stub.GetJob(pb.GetJobRequest(id=job_id), timeout=30).job]
        return seen[0].status not in (pb.JOB_STATUS_PENDING, pb.JOB_STATUS_RUNNING)

    assert wait_until(final, WAIT_S), seen
    return seen[0]


def run_harmless(stub: pb_grpc.QDispatchStub) -> None:
    """A harmless job on each target."""
    harmless = HostileSubmission(name="harmless", attacks="nothing")
    for target in TARGETS:
        job_id = submit(stub, harmless, target)
        assert job_id is not None
        assert is_as_told(ended(stub, job_id), harmless)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "part", [pytest.param(1, marks=pytest.mark.slow), 4], ids=["all", "a part"]
)
def test_the_service_bears_hostile_input(
    stack: Stack, stub: pb_grpc.QDispatchStub, part: int
) -> None:
    run_harmless(stub)
    processes = {name: stack.process(name).pid for name in ("server", "sweep", *TARGETS)}
    slots = {target: stack.slots(target) for target in TARGETS}
    n_engines = sum(map(len, slots.values()))
    before = memory(stack)
    corpus = CORPUS[:: part if stack.services is None else part * PART]
    jobs = [
        (job_id, case)
        for case, target in zip(corpus, cycle(("aer", "cirq", "aer", "pennylane")), strict=False)
        if (job_id := submit(stub, case, target)) is not None
    ]
    ends = [(case, ended(stub, job_id)) for job_id, case in jobs]
    assert [
        (case.name, case.kind, job.attempt, job.error.kind, job.error.message[:500])
        for case, job in ends
        if not is_as_told(job, case)
    ] == []
    run_harmless(stub)

    stack.check()
    assert {name: stack.process(name).pid for name in processes} == processes
    assert {target: stack.slots(target) for target in TARGETS} == slots
    assert wait_until(lambda: stack.programs == [], WAIT_S), stack.programs
    assert wait_until(lambda: len([*all_engines(stack)]) == n_engines, WAIT_S)

    def is_back() -> bool:
        now = memory(stack)
        return all(now[role] <= before[role] + TOLERANCE for role in before)

    assert wait_until(is_back, WAIT_S / 4), (before, memory(stack))
    for path in stack.folder.glob("*.log"):
        assert CANARY not in path.read_text(errors="replace"), path


def test_the_corpus_is_as_large_as_is_told() -> None:
    names = [each.name for each in CORPUS]
    told = (PROJECT / "docs/security.md").read_text()
    assert f"`tests/hostile` has {len(names)} inputs" in told
    assert len(set(names)) == len(names)
