"""How a job's end is awaited: by stream, by polling, for some time or without end."""

from __future__ import annotations

import math
import os
from signal import SIGUSR1, signal
from threading import Event
from time import monotonic
from typing import Any

import grpc
import pytest

from qdispatch import Client
from qdispatch.circuits import CustomCircuit
from qdispatch.errors import (
    JobCanceledError,
    JobEndedError,
    JobFailedError,
    JobNotFoundError,
    QDispatchError,
    UnavailableError,
    WaitTimeoutError,
)
from qdispatch.model import CancelVerdict, JobError
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.answers import (
    CANCELED,
    FAILED,
    FINISHED,
    LIFE,
    PENDING,
    RESULT,
    RUNNING,
    created,
    events,
    job_id,
    packed,
    pieces,
    read,
    told,
)
from tests.client.scripted import ScriptedServer, silence
from tests.specs import BELL
from tests.waiting import wait_until

CIRCUIT = CustomCircuit(
    program=BELL, program_format="openqasm2", n_qubits=2, depth=3, framework="mine"
)
BROKEN = grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def job(client: Any, server: ScriptedServer) -> Any:
    server.say("CreateJob", created(PENDING))
    return client.submit(CIRCUIT)


@pytest.mark.parametrize("timeout_s", [math.inf, 1e300], ids=str)
def test_the_stream_tells_of_the_end(job: Any, server: ScriptedServer, timeout_s: float) -> None:
    server.say("WatchJob", [told(PENDING, since=1), told(*LIFE[:2], since=1), told(*LIFE, since=2)])
    assert job.wait(timeout_s) is FINISHED
    assert job.info.events == events(*LIFE)
    assert [request.after for request in server.asked("WatchJob")] == [1]
    assert server.asked("GetJob") == []


@pytest.mark.parametrize("end", [BROKEN, grpc.StatusCode.CANCELLED, None], ids=str)
def test_a_stream_that_breaks_is_resumed(job: Any, server: ScriptedServer, end: Any) -> None:
    broken = [] if end is None else [end]
    server.say("WatchJob", [told(*LIFE[:2], since=1), *broken], broken, [told(*LIFE, since=1)])
    assert job.wait(20) is FINISHED
    assert job.info.events == events(*LIFE)
    assert [request.after for request in server.asked("WatchJob")] == [1, 2, 2]


@pytest.mark.parametrize(
    "refusal", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED], ids=str
)
def test_a_server_that_does_not_stream_is_polled(
    job: Any, server: ScriptedServer, refusal: grpc.StatusCode
) -> None:
    server.say("WatchJob", refusal)
    server.say("GetJob", read(PENDING), read(*LIFE[:2]), read(*LIFE[:2]), read(*LIFE))
    assert job.wait() is FINISHED
    assert job.info.events == events(*LIFE)
    assert len(server.asked("WatchJob")) == 1
    assert len(server.asked("GetJob")) == 4


@pytest.mark.parametrize("way", ["stream", "polling", "broken"])
def test_waiting_ends_in_time_and_the_job_goes_on(
    job: Any, server: ScriptedServer, way: str
) -> None:
    if way == "stream":
        server.say("WatchJob", [told(*LIFE[:2]), silence])
    elif way == "broken":
        server.say("WatchJob", [told(*LIFE[:2])], BROKEN)
    server.say("GetJob", read(*LIFE[:2]))
    started = monotonic()
    # On a machine that is busy, the time may be over before anything is heard.
    with pytest.raises(WaitTimeoutError, match=r"still \w+ after 0.2 s; it goes on"):
        job.wait(0.2)
    assert 0.2 <= monotonic() - started < 5
    with pytest.raises(TimeoutError):
        job.result(timeout_s=0)


def test_waiting_no_time_looks_once(job: Any, server: ScriptedServer) -> None:
    server.say("GetJob", read(*LIFE))
    assert job.wait(0) is FINISHED
    assert job.wait() is FINISHED
    assert job.status() is FINISHED
    assert len(server.requests) == 2


def test_waiting_ends_with_a_server_that_is_away_for_too_long(
    job: Any, server: ScriptedServer, client: Any
) -> None:
    calls = getattr(client, "target", client)._calls
    calls.timeout_s = 0.2
    server.say("WatchJob", [told(PENDING), BROKEN], BROKEN)
    with pytest.raises(UnavailableError, match="as the script says"):
        job.wait()


def test_an_interrupt_ends_the_waiting_at_once(server: ScriptedServer) -> None:
    class InterruptedByTestError(Exception):
        pass

    def interrupt(*_args: object) -> None:
        if updates.gi_running:
            came.set()
            raise InterruptedByTestError

    def send_signals(*_args: object) -> None:
        while not came.wait(0.01):
            os.kill(os.getpid(), SIGUSR1)

    came = Event()
    server.say("WatchJob", [told(PENDING), send_signals, silence])
    with Client(server.address) as client:
        updates: Any = client.watch_job(job_id())
        before = signal(SIGUSR1, lambda *_: None)
        try:
            next(updates)
            signal(SIGUSR1, interrupt)
            started = monotonic()
            with pytest.raises(InterruptedByTestError):
                next(updates)
            assert monotonic() - started < 5
            assert wait_until(lambda: server.ended == ["WatchJob"], 5)
        finally:
            came.set()
            signal(SIGUSR1, before)


def test_who_waits_while_the_client_is_closed_is_told(server: ScriptedServer) -> None:
    client = Client(server.address)
    server.say("CreateJob", created(PENDING))
    server.say("WatchJob", [told(PENDING), lambda *_: client.close(), silence])
    with pytest.raises(QDispatchError, match="has been closed"):
        client.submit(CIRCUIT).wait()


def test_a_job_that_is_deleted_meanwhile_is_awaited_no_longer(
    job: Any, server: ScriptedServer
) -> None:
    server.say("WatchJob", [told(PENDING)], JobNotFoundError("there is no job", field="id"))
    with pytest.raises(JobNotFoundError, match="there is no job"):
        job.wait()


def test_results_are_fetched_once(job: Any, server: ScriptedServer) -> None:
    server.say("WatchJob", [told(*LIFE)])
    server.say("GetResult", pieces(packed(RESULT)))
    result = job.result()
    assert job.result() is result
    assert result.counts == {"00": 1, "11": 2}
    assert result.info.events == events(*LIFE)
    assert len(server.asked("GetResult")) == 1


def test_results_that_come_with_the_end_are_not_fetched(job: Any, server: ScriptedServer) -> None:
    end = told(*LIFE)
    end.results.CopyFrom(pb.ResultSet.FromString(packed(RESULT)))
    server.say("WatchJob", [end])
    assert job.result().counts == {"00": 1, "11": 2}
    assert [request.with_results for request in server.asked("WatchJob")] == [True]
    assert server.asked("GetResult") == []


def test_a_failed_job_says_why(job: Any, server: ScriptedServer) -> None:
    error = JobError(kind="out_of_memory", message="needs 16 GiB")
    server.say("WatchJob", [told(PENDING, RUNNING, FAILED, error=error)])
    with pytest.raises(JobFailedError, match="out_of_memory: needs 16 GiB") as caught:
        job.result()
    assert caught.value.info is job.info
    assert isinstance(caught.value, JobEndedError)


def test_a_canceled_job_has_no_results(job: Any, server: ScriptedServer) -> None:
    server.say("CancelJob", pb.CancelJobResponse(verdict=pb.CANCEL_VERDICT_REMOVED_FROM_QUEUE))
    server.say("WatchJob", [told(PENDING, CANCELED)])
    assert job.cancel() is CancelVerdict.REMOVED_FROM_QUEUE
    with pytest.raises(JobCanceledError, match=job_id()):
        job.result()


def test_a_job_shows_itself(job: Any) -> None:
    text = repr(getattr(job, "target", job))
    assert text.endswith(f"Job {job_id()} on aer: pending>")
