"""The server as its clients see it: real gRPC, a real database, and no workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from app.settings import Settings, SettingsError
from qdispatch.circuits import CustomCircuit
from qdispatch.client import Client
from qdispatch.codec import ERROR_DETAIL_KEY, encode_spec
from qdispatch.errors import (
    InvalidJobError,
    JobActiveError,
    JobCanceledError,
    JobFailedError,
    JobNotFoundError,
    RequestConflictError,
    ServerError,
    TargetDrainedError,
    TooLargeError,
    UnavailableError,
    UnknownTargetError,
    WaitTimeoutError,
)
from qdispatch.model import (
    CancelVerdict,
    ErrorKind,
    JobStatus,
    PauliSum,
    PauliTerm,
    Result,
    ResultType,
    TargetState,
)
from qdispatch.results_codec import encode_result
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc.server import Server
from tests.integration.servers import running
from tests.specs import BELL, bell
from tests.world import World, counts, failed, finished, make_settings

Code = grpc.StatusCode
BELL_CIRCUIT = CustomCircuit(
    program=BELL, program_format="openqasm2", n_qubits=2, depth=3, framework="mine"
)
MESSAGE_BYTES = 400_000


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    server = {
        "address": "127.0.0.1:0",
        "max_message_bytes": MESSAGE_BYTES,
        "max_program_bytes": 100_000,
        "max_shots": 1_000_000,
    }
    return make_settings(tmp_path, database_url=database_url, server=server)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with running(Server(world.service, world.watchers, world.settings.server)) as server:
        yield server


@pytest.fixture
def address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    """Without the client's repetitions and limits."""
    with grpc.insecure_channel(address, options=(("grpc.enable_retries", 0),)) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> pb_grpc.QDispatchStub:
    return pb_grpc.QDispatchStub(channel)


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a call ended."""

    code: grpc.StatusCode
    text: str
    field: str | None


def refusal(call: Callable[[], object]) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    metadata = dict(error.trailing_metadata() or ())
    detail = metadata.get(ERROR_DETAIL_KEY)
    return Refusal(
        code=error.code(),
        text=error.details(),
        field=None if detail is None else pb.ErrorDetail.FromString(detail).field,
    )


def create(stub: pb_grpc.QDispatchStub, **changes: Any) -> Callable[[], object]:
    request = pb.CreateJobRequest(request_id="r", spec=encode_spec(bell(**changes)))
    return lambda: stub.CreateJob(request)


def create_raw(
    channel: grpc.Channel, change: Callable[[pb.CreateJobRequest], bytes | None]
) -> Callable[[], object]:
    """Sends what a well-behaved client never would."""
    request = pb.CreateJobRequest(request_id="r", spec=encode_spec(bell()))
    data = change(request) or request.SerializeToString()
    call = channel.unary_unary("/qdispatch.v1.QDispatch/CreateJob")
    return lambda: call(data)


def observable(*terms: PauliTerm) -> dict[str, Any]:
    return {
        "result_types": (ResultType.EXPVAL,),
        "shots": 0,
        "observables": (PauliSum(terms=terms),),
    }


# -- every refusal: code, field, and what is allowed

REFUSED: list[tuple[dict[str, Any], grpc.StatusCode, str, str]] = [
    ({"target": "ibm"}, Code.NOT_FOUND, "spec.target", "there are: aer, cirq, pennylane"),
    ({"n_qubits": 101}, Code.INVALID_ARGUMENT, "spec.n_qubits", "at most 100"),
    ({"n_qubits": 101, "target": ""}, Code.INVALID_ARGUMENT, "spec.n_qubits", "at most 100"),
    ({"n_qubits": 0}, Code.INVALID_ARGUMENT, "spec.n_qubits", "at least 1"),
    (
        {"result_types": (ResultType.EXPVAL,)},
        Code.INVALID_ARGUMENT,
        "spec.observables",
        "at least one observable",
    ),
    (
        observable(PauliTerm(paulis="ZQ")),
        Code.INVALID_ARGUMENT,
        "spec.observables[0].terms[0].paulis",
        "I, X, Y and Z",
    ),
    (observable(), Code.INVALID_ARGUMENT, "spec.observables[0]", "no terms"),
    ({"result_types": ()}, Code.INVALID_ARGUMENT, "spec.result_types", "counts, quasi, expval"),
    ({"shots": 0}, Code.INVALID_ARGUMENT, "spec.shots", "at least 1"),
    ({"shots": 2**64 - 1}, Code.INVALID_ARGUMENT, "spec.shots", "0 to 1000000"),
    ({"seed": 2**63}, Code.INVALID_ARGUMENT, "spec.seed", "0 to 9223372036854775807"),
    ({"program": ""}, Code.INVALID_ARGUMENT, "spec.program", "empty"),
    (
        {"program": "x" * 100_001},
        Code.RESOURCE_EXHAUSTED,
        "spec.program",
        "at most 100000 are allowed (server.max_program_bytes)",
    ),
    ({"extra": "[1]"}, Code.INVALID_ARGUMENT, "spec.extra", "JSON object"),
    ({"time_limit_s": 0.0}, Code.INVALID_ARGUMENT, "spec.time_limit_s", "above 0"),
    ({"tags": ("x" * 201,)}, Code.INVALID_ARGUMENT, "spec.tags[0]", "at most 200"),
]


@pytest.mark.parametrize(
    ("change", "code", "field", "says"),
    REFUSED,
    ids=[f"{number}-{each[2]}" for number, each in enumerate(REFUSED)],
)
def test_what_can_never_run_is_refused(
    stub: pb_grpc.QDispatchStub,
    world: World,
    change: dict[str, Any],
    code: grpc.StatusCode,
    field: str,
    says: str,
) -> None:
    ended = refusal(create(stub, **change))
    assert (ended.code, ended.field) == (code, field)
    assert ended.text.startswith(f"{field}: ")
    assert says in ended.text
    assert world.files() == set()
    assert world.dispatcher.sent == []


def test_a_request_id_is_needed(channel: grpc.Channel) -> None:
    ended = refusal(create_raw(channel, lambda request: request.ClearField("request_id")))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, "request_id")


def test_other_content_under_one_request_id(stub: pb_grpc.QDispatchStub) -> None:
    create(stub)()
    ended = refusal(create(stub, shots=5))
    assert (ended.code, ended.field) == (Code.ALREADY_EXISTS, "request_id")


def test_a_program_that_is_no_text(channel: grpc.Channel) -> None:
    def change(request: pb.CreateJobRequest) -> None:
        request.spec.program = b"OPENQASM \xff;"

    ended = refusal(create_raw(channel, change))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, "spec.program")
    assert "UTF-8; byte 9 is not" in ended.text


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b"target-here", b"\xff" * 11, "spec.target"),
        (b"tag-here", b"\xc0" * 8, "spec.tags"),
        (b"id-here", b"\xed\xa0\x80\xed\xa0\x80a", "request_id"),
    ],
)
def test_text_that_is_no_utf_8_is_named(
    channel: grpc.Channel, old: bytes, new: bytes, field: str
) -> None:
    def change(request: pb.CreateJobRequest) -> bytes:
        request.request_id = "id-here"
        request.spec.target = "target-here"
        request.spec.tags.append("tag-here")
        return request.SerializeToString().replace(old, new)

    ended = refusal(create_raw(channel, change))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, field)
    assert "UTF-8" in ended.text


def test_bytes_that_are_no_message(channel: grpc.Channel) -> None:
    ended = refusal(create_raw(channel, lambda _: b"\xff\xff\xff"))
    assert ended.code is Code.INVALID_ARGUMENT
    assert "qdispatch.v1.CreateJobRequest" in ended.text


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"result_types": [1, 99]}, "spec.result_types[1]", "counts (1), quasi (2), expval (3)"),
        ({"result_types": [0]}, "spec.result_types[0]", "counts (1), quasi (2), expval (3)"),
        ({"program_format": 77}, "spec.program_format", "openqasm2 (1), openqasm3 (2)"),
        ({"program_format": 0}, "spec.program_format", "openqasm2 (1), openqasm3 (2)"),
    ],
)
def test_an_unknown_word_of_an_enum(
    channel: grpc.Channel, fields: dict[str, Any], field: str, allowed: str
) -> None:
    def change(request: pb.CreateJobRequest) -> None:
        for name in fields:
            request.spec.ClearField(name)
        request.spec.MergeFrom(pb.JobSpec(**fields))

    ended = refusal(create_raw(channel, change))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, field)
    assert allowed in ended.text


def test_a_date_that_no_calendar_has(channel: grpc.Channel) -> None:
    def change(request: pb.CreateJobRequest) -> None:
        request.spec.submission_date.seconds = 2**62

    ended = refusal(create_raw(channel, change))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, "spec.submission_date")


def test_a_message_over_the_limit_is_told_the_limit(stub: pb_grpc.QDispatchStub) -> None:
    ended = refusal(create(stub, program="x" * (MESSAGE_BYTES + 1)))
    assert ended.code is Code.RESOURCE_EXHAUSTED
    assert str(MESSAGE_BYTES) in ended.text


@pytest.mark.parametrize("job_id", ["00000000000000000000000000000000", "", "no uuid", "ü" * 100])
@pytest.mark.parametrize("method", ["GetJob", "CancelJob", "DeleteJob"])
def test_a_job_that_does_not_exist(stub: pb_grpc.QDispatchStub, method: str, job_id: str) -> None:
    request: Message = getattr(pb, f"{method}Request")(id=job_id)
    ended = refusal(lambda: getattr(stub, method)(request))
    assert (ended.code, ended.field) == (Code.NOT_FOUND, "id")


def wide(bits: int, number: int) -> Any:
    quasi = {format(key, f"0{bits}b"): 1 / number for key in range(number)}
    result = Result(type=ResultType.QUASI, n_bits=bits, quasi=quasi)
    encoded = counts({"0": 1})
    return type(encoded)(
        result_type="quasi", point=0, value=encode_result(result).SerializeToString()
    )


def test_results_wider_than_a_message_are_told_the_limit(
    stub: pb_grpc.QDispatchStub, world: World
) -> None:
    claim = world.running()
    world.work.finish(claim, finished(results=(wide(200, 20_000),)))
    job_id = str(claim.job_id)
    ended = refusal(lambda: stub.GetJob(pb.GetJobRequest(id=job_id, include_results=True)))
    assert (ended.code, ended.field) == (Code.RESOURCE_EXHAUSTED, "include_results")
    limit = MESSAGE_BYTES * 15 // 16
    assert f"one message may carry {limit} (server.max_message_bytes)" in ended.text
    # The job itself can be read.
    assert stub.GetJob(pb.GetJobRequest(id=job_id)).job.status == pb.JOB_STATUS_FINISHED


def test_outcomes_wider_than_64_bits_come_through(client: Client, world: World) -> None:
    claim = world.running()
    world.work.finish(claim, finished(results=(wide(200, 5_000),)))
    quasi = client.job(str(claim.job_id)).result().quasi
    assert len(quasi) == 5_000
    assert format(4_999, "0200b") in quasi


@pytest.mark.parametrize("target", ["aer", ""])
def test_a_drained_target_refuses(stub: pb_grpc.QDispatchStub, world: World, target: str) -> None:
    for name in world.settings.targets:
        world.targets.set_state(name, TargetState.DRAINED)
    ended = refusal(create(stub, target=target))
    assert (ended.code, ended.field) == (Code.FAILED_PRECONDITION, "spec.target")
    assert "name another target, or submit again later" in ended.text
    assert world.files() == set()
    assert world.dispatcher.sent == []


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.RUNNING])
def test_a_job_that_is_not_final_is_not_deleted(
    stub: pb_grpc.QDispatchStub, world: World, status: JobStatus
) -> None:
    job_id = str(world.job_in(status))
    ended = refusal(lambda: stub.DeleteJob(pb.DeleteJobRequest(id=job_id)))
    assert (ended.code, ended.field) == (Code.FAILED_PRECONDITION, "id")
    assert f"is {status}: cancel it first, or wait" in ended.text


# -- a part is away, or defective


def test_while_the_database_is_away(stub: pb_grpc.QDispatchStub, world: World) -> None:
    job_id = str(world.submit())
    world.store.away = True
    calls: list[Callable[[], object]] = [
        create(stub),
        lambda: stub.GetJob(pb.GetJobRequest(id=job_id)),
        lambda: stub.CancelJob(pb.CancelJobRequest(id=job_id)),
        lambda: stub.DeleteJob(pb.DeleteJobRequest(id=job_id)),
        lambda: stub.ListTargets(pb.ListTargetsRequest()),
    ]
    for call in calls:
        ended = refusal(call)
        assert ended.code is Code.UNAVAILABLE
        assert "database" in ended.text
    world.store.away = False
    assert stub.GetJob(pb.GetJobRequest(id=job_id)).job.status == pb.JOB_STATUS_PENDING


def test_the_client_tries_again_until_the_database_is_back(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    check = world.store._check

    def away_twice() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise UnavailableError("the database does not answer; try again")
        check()

    monkeypatch.setattr(world.store, "_check", away_twice)
    job = client.submit(BELL_CIRCUIT, target="aer")
    assert job.info.status is JobStatus.PENDING
    assert len(tries) == 3
    assert len(world.dispatcher.sent) == 1


def test_a_defect_is_told_to_the_log_only(
    stub: pb_grpc.QDispatchStub,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("the password is 123")

    monkeypatch.setattr(world.service, "get_each", fail)
    job_id = str(uuid4())
    with caplog.at_level(logging.ERROR):
        ended = refusal(lambda: stub.GetJob(pb.GetJobRequest(id=job_id)))
        assert refusal(lambda: stub.GetJob(pb.GetJobRequest(id="any text"))).code is Code.INTERNAL
    assert ended.code is Code.INTERNAL
    for word in ("123", "Traceback", "ZeroDivisionError", ".py"):
        assert word not in ended.text
    assert f"GetJob {job_id}" in caplog.text
    assert "any text" not in caplog.text
    assert "the password is 123" in caplog.text


# -- what grpcurl and health checks use


def test_health(channel: grpc.Channel, client: Client, server: Server) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    for service in ("", "qdispatch.v1.QDispatch"):
        answer = check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert client.is_serving()
    server.announce_stop()
    assert not client.is_serving()


def test_nobody_is_serving_where_nobody_is(address: str, server: Server) -> None:
    server.stop(0)
    with Client(address, timeout_s=1.0) as client:
        assert not client.is_serving()
        with pytest.raises(UnavailableError, match=address):
            client.targets()


def test_reflection(channel: grpc.Channel) -> None:
    reflection = ProtoReflectionDescriptorDatabase(channel)
    assert set(reflection.get_services()) == {
        "qdispatch.v1.QDispatch",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    service = DescriptorPool(reflection).FindServiceByName("qdispatch.v1.QDispatch")
    assert [method.name for method in service.methods] == [
        "CreateJob",
        "GetJob",
        "CancelJob",
        "CancelJobs",
        "DeleteJob",
        "GetResult",
        "ListJobs",
        "WatchJob",
        "CreateJobs",
        "GetBatch",
        "CancelBatch",
        "WatchBatch",
        "ListTargets",
    ]
    assert service.methods_by_name["CreateJob"].input_type.fields_by_name["spec"] is not None


def test_reflection_of_what_is_no_request(channel: grpc.Channel) -> None:
    ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    refused = refusal(lambda: list(ask(iter([b"\x1a\x01\xff"]))))
    assert refused.code is Code.INVALID_ARGUMENT
    assert refused.text == "file_by_filename: must be text in UTF-8"


def test_a_caller_that_is_gone_is_no_error_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("grpc._cython.cygrpc")
    said = "%s raised %s by servicer method [/qdispatch.v1.QDispatch/GetJob]"
    log.error(said, "ExecuteBatchError", "in core")
    log.error(said, "Unexpected [ValueError]", "in Python")
    assert [each.args for each in caplog.records] == [("Unexpected [ValueError]", "in Python")]


def test_an_address_that_is_taken_is_said(world: World, server: Server) -> None:
    taken = world.settings.server.model_copy(update={"address": f"127.0.0.1:{server.port}"})
    with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{server.port}.*another server"):
        Server(world.service, world.watchers, taken)


# -- the client library


def test_a_job_from_submission_to_its_results(client: Client, world: World) -> None:
    job = client.submit(BELL_CIRCUIT, target="aer", shots=100, seed=3, tags=["mine"])
    assert UUID(job.id).version == 7
    assert job.status() is JobStatus.PENDING
    assert (job.info.spec.target, job.info.spec.tags, job.info.spec.seed) == ("aer", ("mine",), 3)
    assert world.programs.read(UUID(job.id)) == BELL
    with pytest.raises(WaitTimeoutError):
        job.wait(timeout_s=0.01)
    claim = world.claim(UUID(job.id))
    assert job.status() is JobStatus.RUNNING
    assert world.work.finish(claim, finished())
    result = job.result(timeout_s=10)
    assert result.counts == {"00": 48, "11": 52}
    assert (result.info.method, result.info.worker) == ("stabilizer", "aer@host")
    assert result.info.peak_memory_bytes == 123_456_789_012
    # An earlier process' job.
    with Client(client.address) as later:
        again = later.job(job.id)
        assert again.status() is JobStatus.FINISHED
        assert again.result().counts == result.counts


def test_a_job_that_failed(client: Client, world: World) -> None:
    job = client.submit(BELL_CIRCUIT, target="cirq")
    world.work.fail(world.claim(UUID(job.id)), failed(ErrorKind.OUT_OF_MEMORY, "needs 16 GiB"))
    with pytest.raises(JobFailedError, match="out_of_memory: needs 16 GiB") as caught:
        job.result(timeout_s=10)
    assert caught.value.info.error is not None
    assert caught.value.info.error.kind == "out_of_memory"


def test_cancel(client: Client, world: World) -> None:
    pending = client.submit(BELL_CIRCUIT, target="aer")
    running = client.submit(BELL_CIRCUIT, target="aer")
    claim = world.claim(UUID(running.id))
    assert pending.cancel() is CancelVerdict.REMOVED_FROM_QUEUE
    assert running.cancel() is CancelVerdict.STOPPING
    world.work.confirm_stop(claim)
    for job in (pending, running):
        assert job.status() is JobStatus.CANCELED
        assert job.cancel() is CancelVerdict.TOO_LATE
        with pytest.raises(JobCanceledError):
            job.result()
    assert world.dispatcher.revoked == [(UUID(pending.id), False), (UUID(running.id), True)]


def test_targets(client: Client, world: World) -> None:
    world.work.report("aer@here", "aer", 2)
    world.submit(target="aer")
    assert client.targets() == world.service.targets()
    assert client.targets()[0].workers_online == client.targets()[0].queue_length == 1


def test_the_state_of_a_target(client: Client, world: World) -> None:
    world.targets.set_state("aer", TargetState.PAUSED)
    world.targets.set_state("cirq", TargetState.DRAINED)
    states = {each.name: each.state for each in client.targets()}
    assert states == {"aer": "paused", "cirq": "drained", "pennylane": "active"}
    assert client.submit(BELL_CIRCUIT, target="aer").info.status is JobStatus.PENDING
    with pytest.raises(TargetDrainedError, match="target cirq is drained") as caught:
        client.submit(BELL_CIRCUIT, target="cirq")
    assert caught.value.field == "spec.target"
    assert client.submit(BELL_CIRCUIT).info.spec.target == "pennylane"
    world.targets.set_state("cirq", TargetState.ACTIVE)
    client.submit(BELL_CIRCUIT, target="cirq")


def test_delete(client: Client, world: World) -> None:
    job = client.submit(BELL_CIRCUIT, target="aer", request_id="mine")
    with pytest.raises(JobActiveError, match="is pending: cancel it first, or wait"):
        job.delete()
    world.work.finish(world.claim(UUID(job.id)), finished())
    assert job.result(timeout_s=10).counts == {"00": 48, "11": 52}
    job.delete()
    for call in (job.delete, lambda: client.job(job.id), lambda: client.delete_job(job.id)):
        with pytest.raises(JobNotFoundError):
            call()
    assert client.submit(BELL_CIRCUIT, target="aer", request_id="mine").id != job.id


def test_the_same_request_id_is_the_same_job(client: Client) -> None:
    first = client.submit(BELL_CIRCUIT, request_id="mine")
    assert client.submit(BELL_CIRCUIT, request_id="mine").id == first.id
    assert client.submit(BELL_CIRCUIT).id != first.id
    with pytest.raises(RequestConflictError):
        client.submit(BELL_CIRCUIT, request_id="mine", shots=1)


def test_refusals_come_as_errors_of_their_own(client: Client) -> None:
    with pytest.raises(UnknownTargetError) as unknown:
        client.submit(BELL_CIRCUIT, target="ibm")
    assert unknown.value.field == "spec.target"
    assert unknown.value.message.startswith("there is no target")
    with pytest.raises(InvalidJobError) as invalid:
        client.submit(BELL_CIRCUIT, shots=0)
    assert invalid.value.field == "spec.shots"
    with pytest.raises(TooLargeError, match=f"{MESSAGE_BYTES}.*smaller batches"):
        client.create_job(bell(program="x" * (MESSAGE_BYTES + 1)))
    with pytest.raises(JobNotFoundError):
        client.job(str(uuid4()))


def test_an_answer_over_the_clients_own_limit_is_too_large(address: str, world: World) -> None:
    claim = world.running()
    world.work.finish(claim, finished(results=(wide(200, 5_000),)))
    with Client(address, max_message_bytes=10_000) as client:
        with pytest.raises(TooLargeError, match="10000"):
            client.job(str(claim.job_id)).result()


def test_a_defect_of_the_service_is_a_server_error(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.service, "targets", lambda: 1 / 0)
    with pytest.raises(ServerError, match="INTERNAL"):
        client.targets()
