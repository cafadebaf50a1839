"""The audit of the real server, and what no line of a log may have."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import UUID, uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from app import cancellation
from app.audit import AUDIT, MOST_IDS, jobs_canceled, jobs_left_open, jobs_not_found
from app.identity import Caller
from app.logs import make_formatter
from app.settings import PROJECT, Settings
from qdispatch.codec import encode_spec
from qdispatch.errors import AuthenticationError
from qdispatch.model import Cancellation, CancelVerdict, JobStatus
from qdispatch.updates import JobFilter
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc import health
from rpc.deeds import DEEDS
from rpc.edge import Context
from rpc.server import Server
from tests.fakes import Trouble
from tests.integration.servers import running
from tests.services.process import free_port
from tests.specs import bell
from tests.waiting import wait_until
from tests.world import World, make_settings

#: In everything that a caller writes, and in every secret.
CANARY: Final = "C4N4RY"
FORGED: Final = f"{CANARY}\nINFO job.created owner=root\r\x1b[2J"
PATIENCE_S: Final = 10.0
MESSAGE_BYTES: Final = 100_000

ALICE: Final = Caller(owner="alice", token_id="abcdefghij")


class ByHeader:
    """Lets in who says so."""

    async def admit(self, context: Context) -> Caller:
        headers = dict(context.invocation_metadata() or ())
        if "authorization" not in headers:
            raise AuthenticationError("a token is needed")
        return replace(ALICE, peer=context.peer())


@pytest.fixture(params=["json", "text"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """All that this process logs meanwhile."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(request.param, times=False))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


json_only = pytest.mark.parametrize("log", ["json"], indirect=True)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    server = {"address": "127.0.0.1:0", "max_message_bytes": MESSAGE_BYTES}
    return make_settings(tmp_path, database_url=database_url, server=server)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    settings = world.settings.server
    with running(Server(world.service, world.watchers, settings, gate=ByHeader())) as server:
        yield server


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


class Calling:
    """Calls the server with a token."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.stub = pb_grpc.QDispatchStub(channel)

    def __call__(self, method: str, request: Any, *, token: bool = True) -> Any:
        metadata = (("authorization", f"Bearer qd_abcdefghij_{CANARY}{CANARY}"),) if token else ()
        answer = getattr(self.stub, method)(request, metadata=metadata, timeout=PATIENCE_S)
        return list(answer) if method.startswith("Watch") else answer

    def refused(self, method: str, request: Any, *, token: bool = True) -> None:
        with pytest.raises(grpc.RpcError):
            self(method, request, token=token)


@pytest.fixture
def call(channel: grpc.Channel) -> Calling:
    return Calling(channel)


def creation(request_id: str = "r", **changes: Any) -> pb.CreateJobRequest:
    return pb.CreateJobRequest(request_id=request_id, spec=encode_spec(bell(**changes)))


def records(log: io.StringIO) -> list[dict[str, Any]]:
    """What the audit has, without what differs from run to run."""
    lines = [json.loads(each) for each in log.getvalue().splitlines()]
    found = [each for each in lines if each["logger"] == AUDIT]
    for each in found:
        assert each.pop("time")
        assert each.pop("peer").startswith("ipv4:127.0.0.1:")
        del each["logger"]
    return found


WHO: Final = {"owner": "alice", "token_id": "abcdefghij"}
REFUSED: Final = {"level": "warning", "event": "call.refused"}


def method(name: str) -> dict[str, str]:
    """What the record of a refused call begins with."""
    return REFUSED | {"method": f"/qdispatch.v1.QDispatch/{name}"}


@json_only
def test_each_change_is_one_record(world: World, call: Calling, log: io.StringIO) -> None:
    job = call("CreateJob", creation()).job
    call("GetJob", pb.GetJobRequest(id=job.id))
    many = [encode_spec(bell(seed=each)) for each in range(3)]
    batch = call("CreateJobs", pb.CreateJobsRequest(request_id="b", specs=many))
    call("CancelJob", pb.CancelJobRequest(id=job.id))
    nobodys = str(uuid4())
    ids = [batch.job_ids[0], FORGED, nobodys]
    call("CancelJobs", pb.CancelJobsRequest(ids=ids))
    call("CancelJobs", pb.CancelJobsRequest(ids=[nobodys.upper()]))
    call("CancelBatch", pb.CancelBatchRequest(id=batch.batch.id))
    call("DeleteJob", pb.DeleteJobRequest(id=f"{{{job.id}}}"))
    call("ListJobs", pb.ListJobsRequest())
    call("ListTargets", pb.ListTargetsRequest())
    done = {"level": "info", **WHO}
    missed = method("CancelJobs") | WHO | {"code": "NOT_FOUND"}
    assert records(log) == [
        done | {"event": "job.created", "job_id": job.id, "target": "aer"},
        done | {"event": "batch.created", "batch_id": batch.batch.id, "number": 3},
        done | {"event": "job.canceled", "job_id": job.id, "verdict": "removed_from_queue"},
        done | {"event": "jobs.canceled", "removed_from_queue": 1, "job_ids": [batch.job_ids[0]]},
        missed | {"not_found": 2, "ids": [nobodys]},
        missed | {"not_found": 1, "ids": [nobodys]},
        done
        | {
            "event": "batch.canceled",
            "batch_id": batch.batch.id,
            "too_late": 1,
            "removed_from_queue": 2,
        },
        done | {"event": "job.deleted", "job_id": job.id},
    ]


@json_only
def test_each_refusal_is_one_record(call: Calling, channel: grpc.Channel, log: io.StringIO) -> None:
    nobodys = str(uuid4())
    call.refused("CreateJob", creation(), token=False)
    call.refused("WatchJob", pb.WatchJobRequest(id=nobodys), token=False)
    call.refused("CreateJob", creation(target=FORGED))
    call.refused("GetJob", pb.GetJobRequest(id=FORGED))
    call.refused("WatchJob", pb.WatchJobRequest(id=nobodys))
    call.refused("CancelJob", pb.CancelJobRequest(id=nobodys))
    raw = channel.unary_unary("/qdispatch.v1.QDispatch/DeleteJob")
    with pytest.raises(grpc.RpcError):
        raw(CANARY.encode(), metadata=(("authorization", "x"),), timeout=PATIENCE_S)
    call.refused("CreateJob", creation(program="x" * MESSAGE_BYTES))
    assert wait_until(lambda: log.getvalue().count("INVALID_ARGUMENT") == 2, PATIENCE_S)
    assert records(log) == [
        method("CreateJob") | {"code": "UNAUTHENTICATED"},
        method("WatchJob") | {"code": "UNAUTHENTICATED"},
        method("CreateJob") | WHO | {"code": "NOT_FOUND", "field": "spec.target"},
        method("GetJob") | WHO | {"code": "NOT_FOUND", "field": "id"},
        method("WatchJob") | WHO | {"code": "NOT_FOUND", "field": "id", "id": nobodys},
        method("CancelJob") | WHO | {"code": "NOT_FOUND", "field": "id", "id": nobodys},
        method("DeleteJob") | WHO | {"code": "INVALID_ARGUMENT"},
        # gRPC has told the client by itself; all that is left is a call without a request.
        method("CreateJob") | WHO | {"code": "INVALID_ARGUMENT"},
    ]
    assert CANARY not in log.getvalue()


def test_no_line_has_what_a_caller_wrote(world: World, call: Calling, log: io.StringIO) -> None:
    texts: dict[str, Any] = {
        "program": f"OPENQASM 2.0; {FORGED}",
        "tags": (FORGED,),
        "framework": FORGED,
        "extra": json.dumps({CANARY: FORGED}),
    }
    call("CreateJob", creation(FORGED, **texts))
    call.refused("CreateJob", creation(FORGED, **texts | {"seed": 1}))
    call.refused("CreateJob", creation("r", **texts | {"extra": f'{{"{CANARY}'}))
    # A part is away, and one has a defect: the log has more to say.
    world.store.away = True
    call.refused("CreateJob", creation("away", **texts))
    world.store.away = False
    world.service.submit_each = _broken  # type: ignore[method-assign]
    call.refused("CreateJob", creation(FORGED, **texts))
    named = uuid4().hex
    call.refused("CreateJob", creation(named, **texts))
    lines = log.getvalue().splitlines()
    assert len([each for each in lines if "call.refused" in each]) == 5
    assert any("ZeroDivisionError" in each for each in lines)
    assert not any(each.startswith("INFO job.created owner=root") for each in lines)
    assert CANARY not in log.getvalue()
    # A request_id that is an id, as those that the client makes are, names a call that broke.
    assert any(f"CreateJob {named} failed" in each for each in lines)


def _broken(_: object) -> Any:
    raise ZeroDivisionError(f"first\n{CANARY}")


class Held:
    """What waits until it is let go."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self.begun, self.let = Event(), Event()
        self._inner = inner

    def __call__(self, *arguments: Any, **names: Any) -> Any:
        self.begun.set()
        assert self.let.wait(PATIENCE_S)
        return self._inner(*arguments, **names)


@json_only
@pytest.mark.parametrize("method", ["CreateJob", "CreateJobs"])
def test_what_was_begun_is_noted_though_its_caller_has_left(
    world: World, channel: grpc.Channel, log: io.StringIO, method: str
) -> None:
    submission: Any = world.service._submission
    name = "submit_each" if method == "CreateJob" else "submit_many"
    held = Held(getattr(submission, name))
    setattr(submission, name, held)
    one = creation()
    many = pb.CreateJobsRequest(request_id="b", specs=[one.spec])
    call = getattr(pb_grpc.QDispatchStub(channel), method)
    header = (("authorization", "x"),)
    answer = call.future(one if method == "CreateJob" else many, metadata=header)
    assert held.begun.wait(PATIENCE_S)
    assert answer.cancel()
    # The server has heard of that when it answers another call.
    pb_grpc.QDispatchStub(channel).ListTargets(pb.ListTargetsRequest(), metadata=header)
    held.let.set()
    assert wait_until(lambda: ".created" in log.getvalue(), PATIENCE_S)
    (record,) = records(log)
    assert record["owner"] == "alice"
    assert record["event"] == ("job.created" if method == "CreateJob" else "batch.created")


@json_only
def test_calls_of_what_there_is_not_are_refused_as_all_others(
    channel: grpc.Channel, log: io.StringIO
) -> None:
    ends = []
    for path in (f"/{CANARY}.Service/{CANARY}", "/grpc.health.v1.Health/List", "/", CANARY):
        for metadata in ((), (("authorization", "x"),)):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(b"\xff", metadata=metadata, timeout=PATIENCE_S)
            error: Any = caught.value
            ends.append(error.code().name)
    assert ends == ["UNAUTHENTICATED", "UNIMPLEMENTED"] * 4
    unknown = REFUSED | {"method": "unknown"}
    refused = [unknown | {"code": "UNAUTHENTICATED"}, unknown | WHO | {"code": "UNIMPLEMENTED"}]
    assert records(log) == refused * 4
    assert CANARY not in log.getvalue()


@json_only
def test_a_watcher_of_health_too_many_is_noted(
    channel: grpc.Channel, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MOST_WATCHERS", 0)
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError):
        next(stub.Watch(health_pb2.HealthCheckRequest(service=CANARY), timeout=PATIENCE_S))
    path = "/grpc.health.v1.Health/Watch"
    assert records(log) == [REFUSED | {"method": path, "code": "RESOURCE_EXHAUSTED"}]


# -- a database that goes away in the middle


def breaking_after(world: World, n_pieces: int, trouble: Trouble) -> None:
    """Has the next transaction fail once so many pieces of a cancellation are committed."""
    tell = world.dispatcher.revoke

    def revoke(job_ids: Sequence[UUID], *, running: bool) -> None:
        tell(job_ids, running=running)
        if len(world.dispatcher.revoked) == 2 * n_pieces:
            world.store.away = trouble is Trouble.AWAY
            world.store.trouble = None if world.store.away else trouble

    world.dispatcher.revoke = revoke  # type: ignore[method-assign]


@json_only
@pytest.mark.parametrize("trouble", Trouble)
@pytest.mark.parametrize("name", ["CancelBatch", "CancelJobs"])
def test_what_was_canceled_before_the_database_went_away_is_noted(
    world: World,
    call: Calling,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trouble: Trouble,
) -> None:
    monkeypatch.setattr(cancellation, "_BATCH", 2)
    many = [encode_spec(bell(seed=each)) for each in range(7)]
    batch = call("CreateJobs", pb.CreateJobsRequest(request_id="b", specs=many))
    batch_id, ids = batch.batch.id, list(batch.job_ids)
    requests = {
        "CancelBatch": pb.CancelBatchRequest(id=batch_id),
        "CancelJobs": pb.CancelJobsRequest(ids=ids),
    }
    breaking_after(world, 2, trouble)
    call.refused(name, requests[name])
    world.store.away = False
    call(name, requests[name])
    done = {"level": "info", **WHO}
    # Nothing was begun, or nobody knows.
    n_open = 0 if trouble is Trouble.AWAY else 2
    gone = method(name) | WHO | {"code": "UNAVAILABLE"}
    late = 6 if trouble is Trouble.ANSWER_LOST else 4
    again = {"too_late": late, "removed_from_queue": 7 - late}
    if name == "CancelBatch":
        deed = done | {"event": "batch.canceled", "batch_id": batch_id}
        first = [
            deed | {"removed_from_queue": 4} | ({"open": n_open} if n_open else {}),
            gone | {"id": batch_id},
        ]
        then = [deed | again]
    else:
        deed = done | {"event": "jobs.canceled"}
        first = [deed | {"removed_from_queue": 4, "job_ids": ids[:4]}]
        first += [deed | {"open": 2, "job_ids": ids[4:6]}] if n_open else []
        first += [gone]
        then = [deed | again | {"job_ids": ids}]
    assert records(log)[1:] == first + then


@json_only
def test_whether_one_job_was_canceled_may_be_open(
    world: World, call: Calling, log: io.StringIO
) -> None:
    job_id = call("CreateJob", creation()).job.id
    request = pb.CancelJobRequest(id=job_id)
    world.store.trouble = Trouble.ANSWER_LOST
    call.refused("CancelJob", request)
    call("CancelJob", request)
    canceled = {"level": "info", **WHO, "event": "job.canceled", "job_id": job_id}
    assert records(log)[1:] == [
        canceled | {"verdict": "open"},
        method("CancelJob") | WHO | {"code": "UNAVAILABLE", "id": job_id},
        canceled | {"verdict": "too_late"},
    ]


@json_only
@pytest.mark.parametrize("name", ["CreateJob", "CreateJobs"])
def test_a_job_whose_acceptance_was_open_is_noted_when_it_is_submitted_again(
    world: World, call: Calling, log: io.StringIO, name: str
) -> None:
    one = creation()
    request = one
    if name == "CreateJobs":
        request = pb.CreateJobsRequest(request_id="b", specs=[one.spec])
    world.store.trouble = Trouble.ANSWER_LOST
    call.refused(name, request)
    (kept,) = world.jobs.page(JobFilter()).jobs
    answer = call(name, request)
    created: dict[str, object] = {"event": "job.created", "job_id": kept.id, "target": "aer"}
    if name == "CreateJobs":
        assert list(answer.job_ids) == [kept.id]
        created = {"event": "batch.created", "batch_id": kept.batch_id, "number": 1}
    assert records(log) == [
        method(name) | WHO | {"code": "UNAVAILABLE"},
        {"level": "info", **WHO, **created},
    ]


# -- how much


def test_many_cancellations_are_told_in_pieces() -> None:
    ids = [str(UUID(int=each)) for each in range(2 * MOST_IDS + 1)]
    ends = [
        Cancellation(id=each, verdict=CancelVerdict.STOPPING, status=JobStatus.CANCELED)
        for each in ids
    ]
    deeds = list(jobs_canceled(ends))
    assert [each.fields["stopping"] for each in deeds] == [MOST_IDS, MOST_IDS, 1]
    assert [each for deed in deeds for each in deed.fields["job_ids"]] == ids  # type: ignore[attr-defined]
    left = list(jobs_left_open(ids))
    assert [each.fields["open"] for each in left] == [MOST_IDS, MOST_IDS, 1]


def test_many_that_there_are_not_are_told_in_pieces() -> None:
    ids = [str(UUID(int=each)) for each in range(2 * MOST_IDS + 1)]
    ends = [Cancellation(id=each, verdict=CancelVerdict.NOT_FOUND) for each in ids]
    calls = list(jobs_not_found("CancelJobs", ends))
    assert [len(each.missing) for each in calls] == [MOST_IDS, MOST_IDS, 1]
    assert [each for call in calls for each in call.missing] == ids
    assert list(jobs_canceled(ends)) == []


def test_every_method_that_changes_something_is_known() -> None:
    service = pb.DESCRIPTOR.services_by_name["QDispatch"]
    reads = ("Get", "List", "Watch")
    changes = {f"/{service.full_name}/{each.name}" for each in service.methods
               if not each.name.startswith(reads)}  # fmt: skip
    assert set(DEEDS) == changes


# -- processes whose parts cannot be reached

SERVER: Final = (["rpc"], "DATABASE_URL", "postgresql+psycopg://me:{}@127.0.0.1:{}/q", "database: ")
WORKER: Final = (["tasks", "-Q", "aer"], "BROKER_URL", "amqp://me:{}@127.0.0.1:{}/q", "cannot con")


@pytest.mark.parametrize(
    ("part", "form"),
    [(SERVER, "json"), (WORKER, "json"), (WORKER, "text")],
    ids=["server-json", "worker-json", "worker-text"],
)
def test_no_line_has_the_password_of_a_url(
    tmp_path: Path, database_url: str, part: tuple[list[str], str, str, str], form: str
) -> None:
    command, name, url, says = part
    path = tmp_path / "log"
    environment = {
        each: value for each, value in os.environ.items() if not each.startswith("QDISPATCH_")
    } | {
        "QDISPATCH_DATA_DIR": str(tmp_path),
        "QDISPATCH_DATABASE_URL": database_url,
        "QDISPATCH_LOG_FORMAT": form,
        "QDISPATCH_RESULT_BACKEND": f"redis://:{CANARY}@127.0.0.1:{free_port()}/0",
        f"QDISPATCH_{name}": url.format(CANARY, free_port()),
    }
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        told = wait_until(lambda: says in path.read_text().lower(), 60)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        process.wait()
    text = path.read_text()
    assert told, text
    assert CANARY not in text
    if form == "json":
        assert all(json.loads(each)["event"] for each in text.splitlines())
