"""What callers may take of a server, and that one who takes too much is told so, or to go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.message import Message

from app import rates
from app.identity import ANONYMOUS, EVERYBODY, Caller
from app.settings import Settings
from qdispatch.channel import options
from qdispatch.client import Client
from qdispatch.codec import encode_spec
from qdispatch.errors import QuotaError
from qdispatch.refusals import translated
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc import limits, load
from rpc.decoding import Form
from rpc.edge import OPEN, Context, Gate
from rpc.server import SERVICE, Server
from tests.integration import http2
from tests.integration.http2 import Connection
from tests.integration.servers import channels_apart, running
from tests.specs import bell
from tests.waiting import wait_until
from tests.world import World, finished, make_settings

Code = grpc.StatusCode
LONG_S = 20.0


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(
        tmp_path,
        database_url=database_url,
        server={
            "address": "127.0.0.1:0",
            "cancel_wait_s": 0,
            "watch_interval_s": 0.05,
            "max_calls": 4,
            "max_streams": 3,
            "max_connections": 3,
            "max_connection_streams": 7,
            "max_jobs_in_flight": 2,
        },
        quotas={"streams": 2, "jobs_in_flight": 1},
    )


class NamingGate:
    """Takes everybody's word for who they are, and counts them."""

    def __init__(self) -> None:
        self.admitted = 0

    async def admit(self, context: Context) -> Caller:
        self.admitted += 1
        given = dict(context.invocation_metadata() or ())
        return replace(EVERYBODY, owner=str(given.get("me", ANONYMOUS)))


@contextmanager
def serving(world: World, gate: Gate = OPEN, **changes: Any) -> Iterator[int]:
    """A server; gives its port."""
    settings = world.settings.server.model_copy(update=changes)
    with running(Server(world.service, world.watchers, settings, gate=gate)) as server:
        yield server.port


@pytest.fixture
def channels() -> Iterator[Callable[[int], grpc.Channel]]:
    """Makes channels that have connections of their own, and repeat nothing."""
    with channels_apart() as channels:
        yield channels


@contextmanager
def holding(channel: grpc.Channel, gate: NamingGate, number: int, me: str = "") -> Iterator[None]:
    """Calls under way that never send their message; each of another unless one is named."""
    before = gate.admitted
    over = Event()

    def nothing() -> Iterator[bytes]:
        over.wait(LONG_S)
        yield from ()

    call = channel.stream_stream(f"/{SERVICE}/ListTargets")
    names = [me or f"owner-{at}" for at in range(number)]
    calls = [call(nothing(), timeout=LONG_S, metadata=(("me", each),)) for each in names]
    try:
        assert wait_until(lambda: gate.admitted == before + number, LONG_S)
        yield
    finally:
        for each in calls:
            each.cancel()
        over.set()


def targets(channel: grpc.Channel, me: str = ANONYMOUS, **metadata: str) -> Any:
    stub = pb_grpc.QDispatchStub(channel)
    given = (("me", me), *metadata.items())
    return stub.ListTargets(pb.ListTargetsRequest(), timeout=LONG_S, metadata=given).targets


def watch(channel: grpc.Channel, job_id: str, me: str = ANONYMOUS) -> Any:
    stub = pb_grpc.QDispatchStub(channel)
    request = pb.WatchJobRequest(id=job_id)
    return stub.WatchJob(request, timeout=LONG_S, metadata=(("me", me),))


def refused(call: Callable[[], object]) -> QuotaError:
    """The refusal of a call, as the client understands it."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    code: Any = caught.value
    assert code.code() is Code.RESOURCE_EXHAUSTED
    error = translated(caught.value, "")
    assert isinstance(error, QuotaError)
    assert error.quota is not None
    assert error.quota.retry_after_s == 1.0
    return error


def is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return True
    return False


# -- calls


def test_so_many_calls_are_under_way_at_once(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    gate = NamingGate()
    with serving(world, gate) as port:
        channel = channels(port)
        assert targets(channel)
        with holding(channel, gate, 4):
            error = refused(lambda: targets(channel))
            assert error.quota is not None
            assert (error.quota.name, error.quota.limit) == ("server.max_calls", 4)
            assert "the service is busy: come back in a moment" in str(error)
        assert wait_until(lambda: not is_refused(lambda: targets(channel)), LONG_S)


def test_without_authentication_there_is_one_owner_who_has_all_calls(
    world: World, channels: Callable[[int], grpc.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = NamingGate()
    monkeypatch.setattr("rpc.server.OPEN", gate)
    with serving(world, gate) as port:
        channel = channels(port)
        with holding(channel, gate, 4, ANONYMOUS):
            error = refused(lambda: targets(channel))
            assert error.quota is not None
            assert error.quota.limit == 4


# Of that name there may be tokens, too.
@pytest.mark.parametrize("me", ["me", ANONYMOUS])
def test_one_owner_leaves_calls_to_the_others(
    world: World, channels: Callable[[int], grpc.Channel], caplog: pytest.LogCaptureFixture, me: str
) -> None:
    gate = NamingGate()
    with serving(world, gate) as port:
        channel = channels(port)
        with holding(channel, gate, 2, me):
            error = refused(lambda: targets(channel, me))
            assert error.quota is not None
            assert (error.quota.name, error.quota.limit) == ("server.max_calls", 2)
            told = caplog.records[-1].getMessage()
            assert "'quota': 'server.max_calls'" in told
            assert f"'owner': '{me}'" in told
            assert targets(channel, "you")


def test_a_client_comes_back_to_a_server_that_is_busy(
    world: World, channels: Callable[[int], grpc.Channel], caplog: pytest.LogCaptureFixture
) -> None:
    gate = NamingGate()
    with serving(world, gate) as port:
        with Client(f"127.0.0.1:{port}") as client, ExitStack() as calls:
            calls.enter_context(holding(channels(port), gate, 4))

            def end() -> None:
                assert wait_until(lambda: "over quota server.max_calls" in caplog.text, LONG_S)
                calls.close()

            thread = Thread(target=end)
            thread.start()
            assert len(client.targets()) == 3
            thread.join()
        assert "over quota server.max_calls (5 of 4): waiting 1." in caplog.text


def test_a_call_that_takes_too_long_is_given_up(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    with serving(world, call_s=0.2) as port:
        over = Event()

        def nothing() -> Iterator[bytes]:
            over.wait(LONG_S)
            yield from ()

        call = channels(port).stream_stream(f"/{SERVICE}/ListTargets")
        with pytest.raises(grpc.RpcError) as caught:
            list(call(nothing(), timeout=LONG_S))
        over.set()
        error: Any = caught.value
        # The server's own word, not that of the client's deadline.
        assert error.code() is Code.DEADLINE_EXCEEDED
        assert "took too long and was given up" in error.details()


# -- messages


def create(channel: grpc.Channel, spec: pb.JobSpec, **given: Any) -> Any:
    request = pb.CreateJobRequest(request_id=uuid4().hex, spec=spec)
    return pb_grpc.QDispatchStub(channel).CreateJob(request, timeout=LONG_S, **given)


def ended(call: Callable[[], object]) -> tuple[Code, str]:
    """How a call is refused: the code and the message."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details()


@pytest.mark.parametrize("number", [3_000, 500_000], ids=["some", "very many"])
def test_a_message_with_too_many_of_something_is_not_decoded(
    number: int,
    world: World,
    channels: Callable[[int], grpc.Channel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[object] = []
    decode = Form.decode

    def noted(form: Form, data: bytes) -> Message:
        decoded.append(data)
        return decode(form, data)

    monkeypatch.setattr(Form, "decode", noted)
    with serving(world) as port:
        channel = channels(port)
        told = ended(lambda: create(channel, pb.JobSpec(tags=[""] * number)))
        assert told == (Code.INVALID_ARGUMENT, "spec.tags: at most 64 are allowed")
        assert decoded == []
        assert targets(channel)
        assert decoded == [b""]


def test_only_jobs_may_be_large(world: World, channels: Callable[[int], grpc.Channel]) -> None:
    large = "x" * limits.REQUEST_BYTES
    ids = [str(uuid4())] * 10_000
    with serving(world) as port:
        channel = channels(port)
        stub = pb_grpc.QDispatchStub(channel)
        for call in (
            lambda: stub.GetJob(pb.GetJobRequest(id=large), timeout=LONG_S),
            lambda: next(stub.WatchJob(pb.WatchJobRequest(id=large), timeout=LONG_S)),
            lambda: stub.CancelJobs(pb.CancelJobsRequest(ids=[large] * 20), timeout=LONG_S),
        ):
            code, text = ended(call)
            assert code is Code.RESOURCE_EXHAUSTED
            assert "this call takes at most" in text
        answer = stub.CancelJobs(pb.CancelJobsRequest(ids=ids), timeout=LONG_S)
        assert len(answer.cancellations) == 10_000
        for code, text in (
            ended(lambda: stub.CancelJobs(pb.CancelJobsRequest(ids=[*ids, ids[0]]))),
            ended(lambda: stub.CancelJobs(pb.CancelJobsRequest(ids=[""] * 10_001))),
        ):
            assert code is Code.RESOURCE_EXHAUSTED
            assert "one call cancels at most 10000" in text


def test_what_is_compressed_is_not_unpacked(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    spec = pb.JobSpec(program=b" " * 10_000)
    with serving(world) as port:
        channel = channels(port)
        for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            code, text = ended(lambda kind=algorithm: create(channel, spec, compression=kind))  # type: ignore[misc]
            assert code is Code.UNIMPLEMENTED
            assert "is disabled" in text


def test_messages_under_way_have_a_limit_together(
    world: World, channels: Callable[[int], grpc.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "SLOW_S", 0.05)
    most = 100_000
    taken = []
    take = load.Share.take

    def telling(share: load.Share, owner: str, number: int = 1) -> None:
        take(share, owner, number)
        taken.append(number)

    monkeypatch.setattr(load.Share, "take", telling)
    gate = NamingGate()
    with serving(world, gate, max_bytes_under_way=most, max_message_bytes=most) as port:
        channel = channels(port)
        # Nobody knows what is still to come of them; one has no place any more.
        with holding(channel, gate, 1, "me"):
            spec = encode_spec(bell())
            spec.tags.append("x" * 5_000)
            mine = (("me", "me"),)
            # Asked in vain until then, it would find no room itself.
            assert wait_until(lambda: most in taken, LONG_S)
            error = refused(lambda: create(channel, spec, metadata=mine))
            assert error.quota is not None
            assert error.quota.name == "server.max_bytes_under_way"
            # Small ones are nobody's trouble.
            assert targets(channel, "me")
        assert wait_until(
            lambda: ended(lambda: create(channel, spec, metadata=mine))[0] is Code.INVALID_ARGUMENT,
            LONG_S,
        )


# -- streams


def test_so_many_streams_are_open_at_once(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    job_id = str(world.submit())
    with serving(world, NamingGate()) as port:
        channel = channels(port)
        mine = [watch(channel, job_id, "me") for _ in range(2)]
        assert all(next(each).job.id == job_id for each in mine)
        error = refused(lambda: next(watch(channel, job_id, "me")))
        assert error.quota is not None
        assert (error.quota.name, error.quota.limit) == ("streams", 2)
        yours = watch(channel, job_id, "you")
        assert next(yours).job.id == job_id
        error = refused(lambda: next(watch(channel, job_id, "him")))
        assert error.quota is not None
        assert (error.quota.name, error.quota.limit) == ("server.max_streams", 3)
        mine[0].cancel()
        assert wait_until(
            lambda: not is_refused(lambda: next(watch(channel, job_id, "me"))), LONG_S
        )


def test_one_connection_has_so_many_streams(world: World) -> None:
    # There is room for all of them as calls; one that ended would make room for another.
    with serving(world, max_calls=100) as port, Connection.to(port) as connection:
        greeting = connection.first(http2.SETTINGS)
        assert greeting is not None
        assert http2.settings_of(greeting)[http2.MAX_CONCURRENT_STREAMS] == 7
        connection.send(http2.SETTINGS, flags=http2.ACK)
        # Whoever does not care is refused what is more.
        for number in range(8):
            connection.call(2 * number + 1, f"/{SERVICE}/ListTargets")
        reset = connection.first(http2.RST_STREAM)
        assert reset is not None
        assert (reset.stream, int.from_bytes(reset.payload, "big")) == (15, http2.REFUSED_STREAM)


@pytest.mark.parametrize("answers", [0, 1], ids=["never", "at-first"])
def test_a_stream_ends_when_its_client_is_gone_in_silence(
    answers: int, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEEPALIVE_MS", "KEEPALIVE_TIMEOUT_MS", "PING_TIMEOUT_MS"):
        monkeypatch.setattr(limits, name, 2000)
    job_id = str(world.submit())
    counted: list[str] = []
    stream = world.quotas.stream

    @contextmanager
    def noted(owner: str) -> Iterator[None]:
        try:
            with stream(owner):
                counted.append("from here")
                yield
        finally:
            counted.append("to here")

    monkeypatch.setattr(world.quotas, "stream", noted)
    request = pb.WatchJobRequest(id=job_id).SerializeToString()
    with serving(world) as port, Connection.to(port) as connection:
        connection.call(1, f"/{SERVICE}/WatchJob", request)
        for _ in range(answers):
            ping = connection.first(http2.PING)
            assert ping is not None
            connection.send(http2.PING, ping.payload, flags=http2.ACK)
        assert connection.first(http2.DATA) is not None
        # It reads, but does not answer when it is asked whether it is there.
        assert connection.ends()
        assert wait_until(lambda: counted == ["from here", "to here"], LONG_S)


# -- connections


def test_there_are_so_many_connections(world: World) -> None:
    with serving(world) as port, ExitStack() as ends:
        kept = [ends.enter_context(Connection.to(port)) for _ in range(2)]
        with Connection.to(port) as third:
            for each in (*kept, third):
                assert each.first(http2.SETTINGS) is not None
            with Connection.to(port) as fourth:
                assert fourth.first(http2.SETTINGS) is None

        def has_room() -> bool:
            with Connection.to(port) as another:
                return another.first(http2.SETTINGS) is not None

        assert wait_until(has_room, LONG_S)


def test_who_connects_and_says_nothing_is_not_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_MS", 200)
    with serving(world) as port, Connection.to(port, greets=False) as connection:
        assert connection.ends()


def test_a_connection_without_a_call_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDLE_MS", 200)
    with serving(world) as port, Connection.to(port) as connection:
        farewell = connection.first(http2.GOAWAY)
        assert farewell is not None
        assert farewell.payload[8:] == b"connection idle"
        assert connection.ends()


def test_a_client_does_not_notice_that_its_connection_was_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDLE_MS", 20)
    job_id = str(world.submit())
    ends: list[object] = []

    def ask(client: Client, number: int) -> None:
        # Some of them ask just as it is closed.
        for place in range(20):
            sleep(0.001 * ((number + place) % 30))
            ends.append(client.job(job_id).status())

    with serving(world) as port, Client(f"127.0.0.1:{port}") as client:
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(ask, client, 7 * number) for number in range(4)]
        for each in asked:
            each.result()
    assert ends == ["pending"] * 80


def test_a_client_closes_a_connection_before_the_server_does() -> None:
    # Else grpc writes a line about it where the client's user sees it. It may take twice
    # as long as that.
    given = dict(options("127.0.0.1:1", 1))
    assert 2 * given["grpc.client_idle_timeout_ms"] < limits.IDLE_MS


def test_who_asks_for_signs_of_life_too_often_is_told_to_go(world: World) -> None:
    with serving(world) as port, Connection.to(port) as connection:
        # One is free, and after so many more it is enough.
        for number in range(1 + limits.PING_STRIKES + 1):
            connection.send(http2.PING, bytes([number] * 8))
        farewell = connection.first(http2.GOAWAY)
        assert farewell is not None
        assert int.from_bytes(farewell.payload[4:8], "big") == http2.ENHANCE_YOUR_CALM
        assert farewell.payload[8:] == b"too_many_pings"
        assert connection.ends()


def test_metadata_has_a_limit(world: World, channels: Callable[[int], grpc.Channel]) -> None:
    with serving(world) as port:
        channel = channels(port)
        assert targets(channel, much="x" * (limits.METADATA_BYTES - 1000))
        with pytest.raises(grpc.RpcError) as caught:
            targets(channel, much="x" * limits.MOST_METADATA_BYTES)
        error: Any = caught.value
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert "metadata size" in error.details()
        # The connection is as good as before.
        assert targets(channel)


# -- quotas, from the client's submission to its waiting and on


def test_a_client_waits_until_a_job_of_its_own_has_ended(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    claim = world.running()
    with serving(world) as port, Client(f"127.0.0.1:{port}") as client:
        with pytest.raises(QuotaError, match=r"quota jobs_in_flight.*0 s at the most") as caught:
            client.create_job(bell(), quota_wait_s=0)
        assert caught.value.quota is not None
        assert (caught.value.quota.use, caught.value.quota.limit) == (2, 1)
        caplog.clear()

        def end() -> None:
            assert wait_until(lambda: "over quota jobs_in_flight" in caplog.text, LONG_S)
            assert world.work.finish(claim, finished())

        thread = Thread(target=end)
        thread.start()
        job = client.create_job(bell(), quota_wait_s=LONG_S)
        thread.join()
        assert job.status == "pending"
        assert "over quota jobs_in_flight (2 of 1): waiting 1." in caplog.text


def test_there_are_so_many_jobs_in_flight_of_all_owners(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"jobs_in_flight": 0}
    for _ in range(2):
        world.submit()
    with serving(world) as port, Client(f"127.0.0.1:{port}", quota_wait_s=0) as client:
        for call in (lambda: client.create_job(bell()), lambda: client.create_jobs([bell()])):
            with pytest.raises(QuotaError, match="of all owners") as caught:
                call()
            assert caught.value.quota is not None
            assert caught.value.quota.name == "server.max_jobs_in_flight"
            assert caught.value.quota.retry_after_s == 1.0


def test_a_client_waits_until_there_may_be_another_submission(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rates, "_MINUTE_S", 0.5)
    world.own_quotas[ANONYMOUS] = {"submissions_per_minute": 1, "jobs_in_flight": 0}
    with serving(world) as port, Client(f"127.0.0.1:{port}") as client:
        client.create_job(bell())
        # The world's time stands still until somebody moves it.
        over = Event()

        def move() -> None:
            assert wait_until(lambda: "over quota" in caplog.text, LONG_S)
            world.clock.advance(1)
            over.set()

        thread = Thread(target=move)
        thread.start()
        assert client.create_job(bell()).status == "pending"
        assert over.is_set()
        thread.join()
        assert "over quota submissions_per_minute (2 of 1): waiting 0." in caplog.text


def test_a_job_that_is_too_large_is_not_tried_again(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"shots": 99}
    with (
        serving(world) as port,
        Client(f"127.0.0.1:{port}") as client,
        pytest.raises(QuotaError, match="administrators can raise it") as caught,
    ):
        client.create_job(bell(shots=100))
    assert caught.value.field == "spec.shots"
    assert caught.value.quota is not None
    assert caught.value.quota.retry_after_s is None


def test_who_may_not_watch_any_more_asks_instead(
    world: World, channels: Callable[[int], grpc.Channel]
) -> None:
    world.own_quotas[ANONYMOUS] = {"streams": 1, "jobs_in_flight": 0}
    waits, ends = str(world.submit()), str(world.submit())
    with serving(world) as port, Client(f"127.0.0.1:{port}") as client:
        channel = channels(port)
        assert next(open_one := watch(channel, waits)).job.id == waits
        assert is_refused(lambda: next(watch(channel, waits)))
        world.jobs.cancel(ends)
        assert client.job(ends).wait(LONG_S) == "canceled"
        assert open_one.is_active()
