"""Streams whose clients say nothing, take nothing or never leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID

import grpc
import pytest
from grpc_reflection.v1alpha import reflection

from app.identity import ANONYMOUS
from app.jobs import EncodedResult
from app.settings import Settings
from qdispatch import channel as channel_options
from qdispatch import operations, watching
from qdispatch.client import Client
from qdispatch.model import ResultType
from qdispatch.steps import Flow, Next, Open
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc import limits, streams
from rpc.server import SERVICE
from tests.integration import http2
from tests.integration.http2 import Connection
from tests.integration.servers import channels_apart
from tests.integration.test_server_limits import (
    LONG_S,
    NamingGate,
    is_refused,
    refused,
    serving,
    watch,
)
from tests.specs import bell
from tests.waiting import wait_until
from tests.world import World, finished, make_settings

Code = grpc.StatusCode
MIB = 2**20
#: Nothing is sent in advance of what a client takes, however fast the connection seems.
UNHURRIED = ("grpc.http2.bdp_probe", 0)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AGAIN_S", 0.05)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(
        tmp_path,
        database_url=database_url,
        server={
            "address": "127.0.0.1:0",
            "cancel_wait_s": 0,
            "watch_interval_s": 0.05,
            "max_bytes_to_send": 20 * MIB,
        },
    )


@pytest.fixture
def channels() -> Iterator[Callable[[int], grpc.Channel]]:
    """Makes channels that take no more in advance than they have to."""
    with channels_apart(UNHURRIED) as channels:
        yield channels


def with_result(world: World, size: int = 8 * MIB) -> str:
    """A finished job whose result takes about so many bytes, more than a connection holds."""
    claim = world.running()
    value = pb.Result(type=pb.RESULT_TYPE_COUNTS).SerializeToString()
    # A field that this version does not know.
    value += b"\x8a\x7d" + _varint(size) + bytes(size)
    large = EncodedResult(result_type="counts", point=0, value=value)
    assert world.work.finish(claim, finished(results=(large,)))
    return str(claim.job_id)


def _varint(number: int) -> bytes:
    head = b""
    while number > 127:
        head, number = head + bytes([number & 127 | 128]), number >> 7
    return head + bytes([number])


def read(channel: grpc.Channel, job_id: str, me: str = "me") -> Any:
    stub = pb_grpc.QDispatchStub(channel)
    request = pb.GetResultRequest(id=job_id)
    return stub.GetResult(request, timeout=LONG_S, metadata=(("me", me),))


def size_of(pieces: Any) -> int:
    return sum(len(each.data) for each in pieces)


def noted(flow: Flow[Any], note: Callable[[Any], object]) -> Flow[Any]:
    """A flow whose steps somebody notes before they are carried out, and how they fail."""
    answer: Any = None
    failure: grpc.RpcError | None = None
    while True:
        try:
            step = flow.send(answer) if failure is None else flow.throw(failure)
        except StopIteration as end:
            return end.value
        answer = failure = None
        note(step)
        try:
            answer = yield step
        except grpc.RpcError as error:
            failure = error
            note(error)


# -- who says nothing


@pytest.mark.parametrize(
    "method",
    [f"/{SERVICE}/WatchJob", f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"],
    ids=["watch", "reflection"],
)
def test_a_stream_whose_request_never_comes_is_given_up(
    method: str, world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    job_id = str(world.submit())
    world.own_quotas[ANONYMOUS] = {"streams": 1}
    with serving(world, call_s=0.2) as port:
        over = Event()

        def nothing() -> Iterator[bytes]:
            over.wait(LONG_S)
            yield from ()

        channel = channels(port)
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.stream_stream(method)(nothing(), timeout=LONG_S))
        error: Any = caught.value
        # The server's own word, not that of the client's deadline.
        assert error.code() is Code.DEADLINE_EXCEEDED
        assert "took too long and was given up" in error.details()
        assert wait_until(lambda: not is_refused(lambda: next(watch(channel, job_id))), LONG_S)
        over.set()


# -- who takes nothing


def test_results_in_memory_are_so_many(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    first, second, third = (with_result(world) for _ in range(3))
    with serving(world, NamingGate()) as port:
        channel = channels(port)
        # However many read it, a result is there once.
        mine = [read(channel, first) for _ in range(4)]
        assert all(next(each).size > 8 * MIB for each in mine)
        error = refused(lambda: next(read(channel, second)))
        assert error.quota is not None
        assert (error.quota.name, error.quota.limit) == ("server.max_bytes_to_send", 10 * MIB)
        yours = read(channel, second, "you")
        assert next(yours).size > 8 * MIB
        error = refused(lambda: next(read(channel, third, "him")))
        assert error.quota is not None
        assert (error.quota.name, error.quota.limit) == ("server.max_bytes_to_send", 20 * MIB)
        for each in mine:
            each.cancel()
        assert wait_until(lambda: not is_refused(lambda: next(read(channel, third, "him"))), LONG_S)
        assert size_of(yours) > 8 * MIB


def test_answers_that_nobody_takes_are_so_many(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    job_id = with_result(world, 3 * MIB)
    request = pb.GetJobRequest(id=job_id, include_results=True)
    with serving(world) as port:
        stub = pb_grpc.QDispatchStub(channels(port))
        with Connection.to(port) as stalled:
            for number in (1, 3, 5):
                stalled.call(number, f"/{SERVICE}/GetJob", request.SerializeToString())
                assert stalled.first(http2.HEADERS) is not None
            error = refused(lambda: stub.GetJob(request, timeout=LONG_S))
            assert error.quota is not None
            assert (error.quota.name, error.quota.limit) == ("server.max_bytes_to_send", 20 * MIB)
            # What is small is answered all the same.
            assert stub.GetJob(pb.GetJobRequest(id=job_id), timeout=LONG_S).job.id == job_id
        assert wait_until(lambda: not is_refused(lambda: stub.GetJob(request)), LONG_S)


def test_who_takes_nothing_is_ended_and_counts_until_it_leaves(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    jobs = [with_result(world) for _ in range(3)]
    waiting = str(world.submit())
    world.own_quotas[ANONYMOUS] = {"streams": 4}
    with serving(world, call_s=2) as port:
        channel = channels(port)
        with Connection.to(port) as stalled:
            # It never says that there is room for more.
            for number, job_id in enumerate(jobs[:2]):
                request = pb.GetResultRequest(id=job_id).SerializeToString()
                stalled.call(2 * number + 1, f"/{SERVICE}/GetResult", request)
                assert stalled.first(http2.HEADERS) is not None
            with Client(f"127.0.0.1:{port}", timeout_s=LONG_S) as client:
                # It waits for room, which there is only once they have ended.
                (result,) = client.get_result(jobs[2])
                assert result.type is ResultType.COUNTS
            watches = [watch(channel, waiting) for _ in range(2)]
            assert all(next(each).job.id == waiting for each in watches)
            assert is_refused(lambda: next(watch(channel, waiting)))
        assert wait_until(lambda: not is_refused(lambda: next(watch(channel, waiting))), LONG_S)


def test_a_client_that_pauses_reads_on(
    world: World, channels: Callable[[int], grpc.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else gRPC itself may take all of it in advance.
    monkeypatch.setattr(channel_options, "_OPTIONS", (*channel_options._OPTIONS, UNHURRIED))
    mine, another = with_result(world), with_result(world)
    steps: list[Any] = []
    with (
        # Room for one of them.
        serving(world, call_s=0.5, max_bytes_to_send=10 * MIB) as port,
        Client(f"127.0.0.1:{port}") as client,
    ):
        channel = channels(port)

        def pause(step: Any) -> None:
            steps.append(step)
            if sum(isinstance(each, Next) for each in steps) == 3:
                # There is room once it is not waited for any more.
                assert wait_until(
                    lambda: not is_refused(lambda: next(read(channel, another))), LONG_S
                )

        flow = noted(operations.get_result(client._calls, mine), pause)
        (result,) = client._driver.run(flow)
    assert result.type is ResultType.COUNTS
    offsets = [each.request.offset for each in steps if isinstance(each, Open)]
    # It may find no room yet when it comes again.
    assert offsets == sorted(offsets)
    assert offsets[0] < offsets[-1]
    told = [each for each in steps if isinstance(each, grpc.RpcError)]
    (late,) = (each for each in told if each.code() is Code.DEADLINE_EXCEEDED)
    assert "nothing of this stream was taken for 0.5 s" in late.details()


def test_a_connection_does_not_outlive_its_streams_by_much(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RENEWED_MS", 100)
    request = pb.GetResultRequest(id=with_result(world)).SerializeToString()
    with serving(world, call_s=2, stream_s=2) as port, Connection.to(port) as stalled:
        stalled.call(1, f"/{SERVICE}/GetResult", request)
        assert stalled.first(http2.DATA) is not None
        # It neither takes anything nor leaves.
        assert stalled.ends()


# -- who never leaves


@pytest.mark.parametrize("kind", ["job", "batch"])
def test_a_stream_has_an_age_and_nothing_is_lost_or_told_again(kind: str, world: World) -> None:
    batch = world.jobs.submit_many([bell()], request_id="r")
    (job_id,) = batch.job_ids
    steps: list[Any] = []
    events: list[int] = []

    def opened() -> int:
        return sum(isinstance(each, Open) for each in steps)

    def follow(client: Client) -> None:
        if kind == "job":
            flow = watching.watch_job(client._calls, job_id)
        else:
            flow = watching.watch_batch(client._calls, batch.batch.id)
        for update in client._driver.iterate(noted(flow, steps.append)):
            events.extend(getattr(each, "event", each).number for each in update.events)

    with serving(world, stream_s=0.1) as port, Client(f"127.0.0.1:{port}") as client:
        thread = Thread(target=follow, args=(client,))
        thread.start()
        assert wait_until(lambda: opened() > 2, LONG_S)
        claim = world.claim(UUID(job_id))
        before = opened()
        assert wait_until(lambda: opened() > before + 2, LONG_S)
        assert world.work.finish(claim, finished())
        thread.join(LONG_S)
        assert not thread.is_alive()
    assert events == [1, 2, 3]
