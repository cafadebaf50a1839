"""Batches, lists, large results and watching over real gRPC, by both clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from app.settings import Settings
from qdispatch.async_client import AsyncClient
from qdispatch.circuits import CustomCircuit
from qdispatch.client import Client
from qdispatch.codec import encode_spec
from qdispatch.errors import (
    BatchNotFoundError,
    InvalidJobError,
    JobNotFoundError,
    RequestConflictError,
)
from qdispatch.model import CancelVerdict, JobEvent, JobStatus, Result, ResultType
from qdispatch.results_codec import encode_result
from qdispatch.updates import Outlook
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc.server import Server
from tests.integration.servers import running
from tests.integration.test_server import refusal
from tests.services.process import free_port, wait_until
from tests.specs import BELL, bell
from tests.world import World, counts, finished, make_settings, make_world

Code = grpc.StatusCode
BELL_CIRCUIT = CustomCircuit(
    program=BELL, program_format="openqasm2", n_qubits=2, depth=3, framework="mine"
)
MESSAGE_BYTES = 300_000
WATCHERS = 500


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    server = {
        "address": f"127.0.0.1:{free_port()}",
        "max_message_bytes": MESSAGE_BYTES,
        "max_program_bytes": 100_000,
        "cancel_wait_s": 0,
        "watch_interval_s": 0.05,
    }
    return make_settings(tmp_path, database_url=database_url, server=server)


def serving(world: World) -> AbstractContextManager[Server]:
    return running(Server(world.service, world.watchers, world.settings.server))


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serving(world) as server:
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


def finish(world: World, job_id: str) -> None:
    assert world.work.finish(world.claim(UUID(job_id)), finished())
    world.watchers.changed([UUID(job_id)])


def large(number: int) -> tuple[list[Result], list[Any]]:
    """Results of so many outcomes each, and as an engine hands them over."""
    results = [
        Result(
            type=ResultType.QUASI,
            n_bits=20,
            point=point,
            quasi={format(each, "020b"): 1 / number for each in range(number)},
        )
        for point in range(3)
    ]
    encoded = [
        replace(
            counts({"0": 1}),
            result_type="quasi",
            point=each.point,
            value=encode_result(each).SerializeToString(),
        )
        for each in results
    ]
    return results, encoded


# -- batches


def test_a_batch_from_submission_to_its_results(client: Client, world: World) -> None:
    batch = client.submit_batch([BELL_CIRCUIT] * 3, target="aer", shots=100, tags=["mine"])
    assert (batch.info.size, batch.info.pending) == (3, 3)
    assert [UUID(each) for each in batch.job_ids] == [each.job_id for each in world.dispatcher.sent]
    for job_id in batch.job_ids:
        finish(world, job_id)
    info = batch.wait(timeout_s=20)
    assert (info.finished, info.is_final) == (3, True)
    assert [each.counts for each in batch.results(timeout_s=20)] == [{"00": 48, "11": 52}] * 3
    # An earlier process' batch.
    again = client.batch(batch.id)
    assert (again.info, again.job_ids) == (info, batch.job_ids)


def test_a_batch_is_canceled(client: Client, world: World) -> None:
    batch = client.submit_batch([BELL_CIRCUIT] * 3, target="aer")
    finish(world, batch.job_ids[0])
    world.claim(UUID(batch.job_ids[1]))
    ends = batch.cancel()
    assert [(each.id, each.verdict) for each in ends] == [
        (batch.job_ids[0], CancelVerdict.TOO_LATE),
        (batch.job_ids[1], CancelVerdict.STOPPING),
        (batch.job_ids[2], CancelVerdict.REMOVED_FROM_QUEUE),
    ]
    assert (batch.status().canceled, batch.status().finished) == (2, 1)


def test_the_same_request_id_is_the_same_batch(client: Client) -> None:
    first = client.create_jobs([bell()] * 2, request_id="mine")
    assert client.create_jobs([bell()] * 2, request_id="mine") == first
    with pytest.raises(RequestConflictError, match=first[0].id):
        client.create_jobs([bell()], request_id="mine")


# -- lists


def test_jobs_are_listed_over_many_pages(client: Client, world: World) -> None:
    kept = client.create_jobs([bell(tags=("a",))] * 150)
    alone = client.create_job(bell(tags=("b",)))
    finish(world, alone.id)
    assert [each.id for each in client.jobs(batch=kept[0].id)] == list(kept[1])[::-1]
    assert [each.id for each in client.jobs(limit=2)] == [alone.id, kept[1][-1]]
    (done,) = client.jobs(status="finished", tag="b", target="aer")
    assert (done.id, done.status, done.results) == (alone.id, JobStatus.FINISHED, ())
    assert [each.number for each in done.events] == [1, 2, 3]
    moment = world.info(UUID(alone.id)).created_at
    assert [*client.jobs(created_before=moment, tag="b")] == []


def test_pages_have_no_more_jobs_than_a_message_carries(client: Client) -> None:
    extra = json.dumps({"note": "x" * 50_000})
    ids = [client.create_job(bell(extra=extra)).id for _ in range(7)]
    listed = list(client.jobs())
    assert [each.id for each in listed] == ids[::-1]
    assert {each.spec.extra for each in listed} == {extra}


# -- results in pieces


def test_results_larger_than_a_message_come_in_pieces(
    client: Client, stub: pb_grpc.QDispatchStub, world: World
) -> None:
    results, encoded = large(100_000)
    claim = world.running()
    assert world.work.finish(claim, finished(results=tuple(encoded)))
    job_id = str(claim.job_id)
    assert client.get_result(job_id) == tuple(results)
    first, *pieces = stub.GetResult(pb.GetResultRequest(id=job_id))
    data = b"".join(each.data for each in pieces)
    assert len(data) == first.size > 5 * MESSAGE_BYTES
    for offset in (1, first.size // 2, first.size - 1, first.size):
        rest = stub.GetResult(pb.GetResultRequest(id=job_id, offset=offset))
        assert b"".join(each.data for each in rest) == data[offset:]


# -- refusals

UNKNOWN = str(uuid4())
INVALID = Code.INVALID_ARGUMENT
REFUSED: list[tuple[str, Any, grpc.StatusCode, str]] = [
    ("WatchJob", pb.WatchJobRequest(id=UNKNOWN), Code.NOT_FOUND, "id"),
    ("WatchJob", pb.WatchJobRequest(id="no uuid"), Code.NOT_FOUND, "id"),
    ("WatchBatch", pb.WatchBatchRequest(id=UNKNOWN), Code.NOT_FOUND, "batch_id"),
    ("WatchBatch", pb.WatchBatchRequest(), Code.NOT_FOUND, "batch_id"),
    ("WatchBatch", pb.WatchBatchRequest(id=UNKNOWN, after=[1] * 10_001), INVALID, "after"),
    ("GetResult", pb.GetResultRequest(id=UNKNOWN), Code.NOT_FOUND, "id"),
    ("GetBatch", pb.GetBatchRequest(id=UNKNOWN), Code.NOT_FOUND, "batch_id"),
    ("CancelBatch", pb.CancelBatchRequest(id=UNKNOWN), Code.NOT_FOUND, "batch_id"),
    ("CreateJobs", pb.CreateJobsRequest(request_id="r"), Code.INVALID_ARGUMENT, "specs"),
    (
        "CreateJobs",
        pb.CreateJobsRequest(specs=[encode_spec(bell())]),
        Code.INVALID_ARGUMENT,
        "request_id",
    ),
    (
        "CreateJobs",
        pb.CreateJobsRequest(
            request_id="r", specs=map(encode_spec, [bell(), bell(), bell(shots=0)])
        ),
        Code.INVALID_ARGUMENT,
        "specs[2].shots",
    ),
    (
        "CreateJobs",
        pb.CreateJobsRequest(request_id="r", specs=[encode_spec(bell()), pb.JobSpec()]),
        Code.INVALID_ARGUMENT,
        "specs[1].program_format",
    ),
    (
        "CreateJobs",
        pb.CreateJobsRequest(request_id="r", specs=[encode_spec(bell(target="ibm"))]),
        Code.NOT_FOUND,
        "specs[0].target",
    ),
    ("ListJobs", pb.ListJobsRequest(page_token="x"), Code.INVALID_ARGUMENT, "page_token"),
    ("ListJobs", pb.ListJobsRequest(batch_id="x"), Code.NOT_FOUND, "batch_id"),
    ("ListJobs", pb.ListJobsRequest(statuses=[2, 77]), Code.INVALID_ARGUMENT, "statuses[1]"),
    ("ListJobs", pb.ListJobsRequest(tag="\0"), Code.INVALID_ARGUMENT, "tag"),
]


@pytest.mark.parametrize(
    ("method", "request_", "code", "field"),
    REFUSED,
    ids=[f"{number}-{each[0]}-{each[3]}" for number, each in enumerate(REFUSED)],
)
def test_what_cannot_be_answered_is_refused(
    stub: pb_grpc.QDispatchStub,
    world: World,
    method: str,
    request_: Any,
    code: grpc.StatusCode,
    field: str,
) -> None:
    def call() -> None:
        answer = getattr(stub, method)(request_)
        if isinstance(answer, grpc.RpcContext):
            list(answer)

    ended = refusal(call)
    assert (ended.code, ended.field) == (code, field)
    assert world.files() == set()


@pytest.mark.parametrize("method", ["WatchJob", "WatchBatch", "GetResult"])
def test_a_stream_of_what_is_no_text_is_explained(channel: grpc.Channel, method: str) -> None:
    call = channel.unary_stream(f"/qdispatch.v1.QDispatch/{method}")
    ended = refusal(lambda: list(call(b"\x0a\x02\xff\xff")))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, "id")
    assert "UTF-8" in ended.text


def test_the_text_at_fault_is_named_within_a_batch(channel: grpc.Channel) -> None:
    specs = [encode_spec(bell()), encode_spec(bell(tags=("tag-here",)))]
    data = pb.CreateJobsRequest(request_id="r", specs=specs).SerializeToString()
    call = channel.unary_unary("/qdispatch.v1.QDispatch/CreateJobs")
    ended = refusal(lambda: call(data.replace(b"tag-here", b"\xc0" * 8)))
    assert (ended.code, ended.field) == (Code.INVALID_ARGUMENT, "specs[1].tags")


def test_refusals_come_as_errors_of_their_own(client: Client) -> None:
    calls: list[Callable[[], object]] = [
        lambda: client.batch(UNKNOWN),
        lambda: client.cancel_batch(UNKNOWN),
        lambda: list(client.watch_batch(UNKNOWN)),
    ]
    for call in calls:
        with pytest.raises(BatchNotFoundError) as caught:
            call()
        assert caught.value.field == "batch_id"
    for call in (lambda: list(client.watch_job(UNKNOWN)), lambda: client.get_result(UNKNOWN)):
        with pytest.raises(JobNotFoundError):
            call()
    with pytest.raises(InvalidJobError) as invalid:
        client.create_jobs([bell(), bell(n_qubits=0)])
    assert invalid.value.field == "specs[1].n_qubits"


# -- watching


def test_a_job_is_watched_from_its_submission_to_its_end(client: Client, world: World) -> None:
    job_id = client.create_job(bell()).id
    updates = client.watch_job(job_id)
    first = next(updates)
    assert first.job.status is JobStatus.PENDING
    # What is expected is told a little later.
    second = next(updates)
    assert (second.events, second.outlook) == ((), Outlook(queue_position=1))
    finish(world, job_id)
    rest = list(updates)
    events = [event for each in [first, *rest] for event in each.events]
    assert tuple(events) == world.info(UUID(job_id)).events
    assert rest[-1].job.status is JobStatus.FINISHED
    # What is known is not told again.
    assert [each.number for each in next(client.watch_job(job_id, after=2)).events] == [3]


def test_a_cancellation_by_another_client_is_heard_of_at_once(
    address: str, client: Client, world: World
) -> None:
    batch = client.submit_batch([BELL_CIRCUIT] * 2, target="aer")
    updates = batch.watch()
    assert next(updates).batch.pending == 2
    with Client(address) as other:
        other.cancel_batch(batch.id)
    last = list(updates)[-1]
    assert (last.batch.canceled, last.batch.is_final) == (2, True)


class Watching:
    """A thread that writes down the events of a job, as a client is told them."""

    def __init__(self, address: str, job_id: str) -> None:
        self.events: list[JobEvent] = []
        self._client = Client(address)
        self._threads = ThreadPoolExecutor(1)
        self._end = self._threads.submit(self._watch, job_id)

    def _watch(self, job_id: str) -> None:
        with self._client:
            for update in self._client.watch_job(job_id):
                self.events += update.events

    def end(self) -> list[JobEvent]:
        self._end.result(30)
        self._threads.shutdown()
        return self.events


def test_watching_outlives_the_server(world: World) -> None:
    """Nothing is lost, and nothing told twice, when it stops and comes again."""
    address = world.settings.server.address
    with serving(world):
        job_id = world.submit()
        watching = Watching(address, str(job_id))
        assert wait_until(lambda: len(watching.events) == 1, 10)
    world.work.hand_over(world.claim(job_id))
    again = make_world(world.settings)
    with serving(again):
        assert wait_until(lambda: len(watching.events) == 3, 20)
        world.work.finish(world.claim(job_id), finished())
        events = watching.end()
    assert tuple(events) == again.info(job_id).events
    assert [each.number for each in events] == [1, 2, 3, 4, 5]
    again.store.close()


def test_a_stop_does_not_wait_for_watchers(stub: pb_grpc.QDispatchStub, server: Server) -> None:
    def endless() -> None:
        job = stub.CreateJob(pb.CreateJobRequest(request_id="r", spec=encode_spec(bell()))).job
        stream = stub.WatchJob(pb.WatchJobRequest(id=job.id))
        next(stream)
        server.stop(60)
        next(stream)

    started = monotonic()
    ended = refusal(endless)
    assert ended.code is Code.UNAVAILABLE
    assert monotonic() - started < 20


def test_hundreds_of_watchers_take_no_thread(address: str, world: World) -> None:
    job_id = world.submit()

    async def numbers(stream: Any) -> list[int]:
        told: list[int] = []
        while (update := await stream.read()) is not grpc.aio.EOF:
            told += [each.number for each in update.events]
        return told

    async def watch() -> int:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = pb_grpc.QDispatchStub(channel)
            request = pb.WatchJobRequest(id=str(job_id))
            streams = [stub.WatchJob(request)]
            await streams[0].read()
            before = threading.active_count()
            streams += [stub.WatchJob(request) for _ in range(WATCHERS - 1)]
            for stream in streams[1:]:
                assert (await stream.read()).events[0].number == 1
            threads = threading.active_count() - before
            # Half of them leave, and are forgotten.
            for stream in streams[::2]:
                stream.cancel()
            watching = world.watchers._of_job
            while len(watching[job_id]) > WATCHERS // 2:
                await asyncio.sleep(0.01)
            finish(world, str(job_id))
            for stream in streams[1::2]:
                assert await numbers(stream) == [2, 3]
            assert not world.watchers._of_job
            return threads

    # One of the pool may have ended meanwhile.
    assert asyncio.run(asyncio.wait_for(watch(), 50)) <= 0


def test_small_results_come_with_the_end(world: World, stub: pb_grpc.QDispatchStub) -> None:
    job_id = world.submit()
    finish(world, str(job_id))
    bare, whole = (
        list(stub.WatchJob(pb.WatchJobRequest(id=str(job_id), with_results=wanted)))[-1]
        for wanted in (False, True)
    )
    assert not bare.HasField("results")
    assert [each.type for each in whole.results.results] == [pb.RESULT_TYPE_COUNTS]
    assert whole.job == bare.job


def test_large_results_are_fetched_by_themselves(
    world: World, stub: pb_grpc.QDispatchStub, client: Client
) -> None:
    job_id = world.submit(result_types=(ResultType.QUASI,), shots=0)
    results, encoded = large(10_000)
    world.work.finish(world.claim(job_id), finished(results=tuple(encoded)))
    told = list(stub.WatchJob(pb.WatchJobRequest(id=str(job_id), with_results=True)))[-1]
    assert not told.HasField("results")
    assert list(client.get_result(str(job_id))) == results


# -- those who await


def test_an_asynchronous_client_does_the_same(address: str, world: World) -> None:
    async def use() -> None:
        async with AsyncClient(address) as client:
            batch = await client.submit_batch([BELL_CIRCUIT] * 2, target="aer")
            updates = client.watch_batch(batch.id)
            first = await anext(updates)
            assert first.batch.pending == 2
            finish(world, batch.job_ids[0])
            assert (await client.cancel_job(batch.job_ids[1])) is CancelVerdict.REMOVED_FROM_QUEUE
            last = [each async for each in updates][-1]
            assert (last.batch.finished, last.batch.canceled) == (1, 1)
            assert [each.id async for each in client.jobs()] == list(batch.job_ids)[::-1]
            assert (await client.batch(batch.id)).info == last.batch
            results = await client.get_result(batch.job_ids[0])
            assert [each.counts for each in results] == [{"00": 48, "11": 52}]
            with pytest.raises(BatchNotFoundError):
                await client.batch(UNKNOWN)
            with pytest.raises(JobNotFoundError):
                _ = [each async for each in client.watch_job(UNKNOWN)]

    asyncio.run(asyncio.wait_for(use(), 50))
