"""Every error that a user can cause: the code, the field, what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import grpc
import pytest

from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from tests.e2e.circuits import OPENQASM2
from tests.e2e.stack import Stack

COUNTS, EXPVAL = pb.RESULT_TYPE_COUNTS, pb.RESULT_TYPE_EXPVAL


@pytest.fixture
def stub(stack: Stack) -> Iterator[pb_grpc.QDispatchStub]:
    with grpc.insecure_channel(stack.address) as channel:
        yield pb_grpc.QDispatchStub(channel)


def observable(paulis: str, coefficient: float = 1.0, qubits: tuple[int, ...] = ()) -> pb.PauliSum:
    term = pb.PauliTerm(paulis=paulis, qubits=qubits, coefficient=coefficient)
    return pb.PauliSum(terms=[term])


def spec(**changes: Any) -> pb.JobSpec:
    fields: dict[str, Any] = {
        "program": OPENQASM2.encode(),
        "program_format": pb.PROGRAM_FORMAT_OPENQASM2,
        "target": "aer",
        "framework": "handwritten",
        "n_qubits": 3,
        "depth": 2,
        "result_types": [COUNTS],
        "shots": 10,
    }
    return pb.JobSpec(**(fields | changes))


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
TOO_LARGE = grpc.StatusCode.RESOURCE_EXHAUSTED

REFUSALS: dict[str, tuple[pb.JobSpec, grpc.StatusCode, str, str]] = {
    "unknown target": (spec(target="ibm"), NOT_FOUND, "spec.target", "aer, cirq, pennylane"),
    "too many qubits": (spec(n_qubits=201), INVALID, "spec.n_qubits", "at most 200"),
    "too many for any": (spec(target="", n_qubits=201), INVALID, "spec.n_qubits", "at most 200"),
    "no qubits": (spec(n_qubits=0), INVALID, "spec.n_qubits", "at least 1"),
    "missing observable": (
        spec(result_types=[EXPVAL]),
        INVALID,
        "spec.observables",
        "at least one observable",
    ),
    "non-Pauli observable": (
        spec(result_types=[EXPVAL], observables=[observable("XYQ")]),
        INVALID,
        "spec.observables[0].terms[0].paulis",
        "I, X, Y and Z",
    ),
    "observable of another width": (
        spec(result_types=[EXPVAL], observables=[observable("XX")]),
        INVALID,
        "spec.observables[0].terms[0].paulis",
        "3 qubits",
    ),
    "observable on no such qubit": (
        spec(result_types=[EXPVAL], observables=[observable("X", qubits=(3,))]),
        INVALID,
        "spec.observables[0].terms[0].qubits",
        "from 0 to 2",
    ),
    "infinite coefficient": (
        spec(result_types=[EXPVAL], observables=[observable("XXX", float("inf"))]),
        INVALID,
        "spec.observables[0].terms[0].coefficient",
        "finite",
    ),
    "unused observable": (
        spec(observables=[observable("XXX")]),
        INVALID,
        "spec.observables",
        "only used by expval",
    ),
    "bad UTF-8": (spec(program=b"OPENQASM 2.0;\xff"), INVALID, "spec.program", "UTF-8; byte 13"),
    "unknown result type": (spec(result_types=[99]), INVALID, "spec.result_types[0]", "counts (1)"),
    "no result type": (spec(result_types=[]), INVALID, "spec.result_types", "counts, quasi"),
    "result type twice": (
        spec(result_types=[COUNTS, COUNTS]),
        INVALID,
        "spec.result_types[1]",
        "twice",
    ),
    "unknown format": (spec(program_format=77), INVALID, "spec.program_format", "openqasm2 (1)"),
    "counts without shots": (spec(shots=0), INVALID, "spec.shots", "at least 1"),
    "too many shots": (spec(shots=2_000_000), INVALID, "spec.shots", "0 to 1000000"),
    "seed too large": (spec(seed=2**63), INVALID, "spec.seed", str(2**63 - 1)),
    "oversized program": (
        spec(program=b"//" + b"x" * 8_000_000),
        TOO_LARGE,
        "spec.program",
        "at most 8000000",
    ),
    "empty program": (spec(program=b"  "), INVALID, "spec.program", "empty"),
    "extra is no JSON": (spec(extra="{method"), INVALID, "spec.extra", "JSON object"),
    "extra is no object": (spec(extra="[1]"), INVALID, "spec.extra", "JSON object"),
    "no time": (spec(time_limit_s=0), INVALID, "spec.time_limit_s", "above 0"),
    "NUL in a tag": (spec(tags=["a\0b"]), INVALID, "spec.tags[0]", "NUL"),
}


def refused(call: Any, request: Any) -> tuple[grpc.StatusCode, str, str]:
    """The code, the message and the field at fault of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=10)
    error = caught.value
    metadata = dict(error.trailing_metadata())
    detail = pb.ErrorDetail.FromString(metadata.get("qdispatch-error-bin", b""))
    assert "Traceback" not in error.details()
    return error.code(), error.details(), detail.field


@pytest.mark.parametrize("case", REFUSALS)
def test_a_job_that_can_never_run_is_refused(
    stub: pb_grpc.QDispatchStub, stack: Stack, case: str
) -> None:
    content, code, field, allowed = REFUSALS[case]
    before = stack.programs
    request = pb.CreateJobRequest(request_id=uuid4().hex, spec=content)
    given_code, message, given_field = refused(stub.CreateJob, request)
    assert (given_code, given_field) == (code, field)
    assert message.startswith(f"{field}: ")
    assert allowed in message
    assert stack.programs == before


def test_a_request_id_is_needed(stub: pb_grpc.QDispatchStub) -> None:
    code, _, field = refused(stub.CreateJob, pb.CreateJobRequest(spec=spec()))
    assert (code, field) == (INVALID, "request_id")


def test_a_request_id_with_other_content_already_exists(stub: pb_grpc.QDispatchStub) -> None:
    request = pb.CreateJobRequest(request_id=uuid4().hex, spec=spec())
    job_id = stub.CreateJob(request).job.id
    request.spec.shots = 11
    code, message, field = refused(stub.CreateJob, request)
    assert (code, field) == (grpc.StatusCode.ALREADY_EXISTS, "request_id")
    assert job_id in message


@pytest.mark.parametrize("job_id", ["", "no uuid", "01a1f8ca-fd84-74f1-b3b5-c31386c79bb6"])
@pytest.mark.parametrize("method", ["GetJob", "CancelJob"])
def test_an_unknown_job_is_not_found(stub: pb_grpc.QDispatchStub, method: str, job_id: str) -> None:
    request = {"GetJob": pb.GetJobRequest, "CancelJob": pb.CancelJobRequest}[method](id=job_id)
    code, _, field = refused(getattr(stub, method), request)
    assert (code, field) == (NOT_FOUND, "id")


def test_a_request_that_is_no_message_is_explained(stack: Stack) -> None:
    with grpc.insecure_channel(stack.address) as channel:
        call = channel.unary_unary("/qdispatch.v1.QDispatch/GetJob")
        code, message, field = refused(call, b"\x0a\x02\xff\xfe")
    assert (code, field) == (INVALID, "id")
    assert "UTF-8" in message
