"""Batches: submitted as one, awaited, read as they end, found again."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from qdispatch.circuits import CustomCircuit
from qdispatch.errors import (
    CircuitError,
    InvalidJobError,
    JobFailedError,
    WaitTimeoutError,
)
from qdispatch.model import Cancellation, CancelVerdict, JobError
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.answers import (
    BATCH_ID,
    CANCELED,
    FAILED,
    FINISHED,
    LIFE,
    PENDING,
    RESULT,
    RUNNING,
    batch,
    batch_read,
    batch_told,
    info,
    job_id,
    packed,
    page,
    pieces,
    read,
    submitted,
)
from tests.client.scripted import ScriptedServer, silence
from tests.specs import BELL, bell

CIRCUIT = CustomCircuit(
    program=BELL, program_format="openqasm2", n_qubits=2, depth=3, framework="mine"
)


@pytest.fixture
def jobs(client: Any, server: ScriptedServer) -> Any:
    """A batch of three."""
    server.say("CreateJobs", submitted(PENDING, PENDING, PENDING))
    return client.submit_batch([CIRCUIT, bell(shots=7), CIRCUIT], shots=5, request_id="mine")


def ids(jobs: Any) -> list[str]:
    return [job.id for job in jobs]


def test_a_batch_is_one_call(jobs: Any, server: ScriptedServer) -> None:
    (request,) = server.asked("CreateJobs")
    assert request.request_id == "mine"
    assert [spec.shots for spec in request.specs] == [5, 7, 5]
    assert (jobs.id, len(jobs), jobs.job_ids) == (BATCH_ID, 3, tuple(map(job_id, range(3))))


@pytest.mark.parametrize(
    ("circuits", "kind", "text"),
    [
        ([CIRCUIT, object()], CircuitError, "circuit 1: "),
        ([CIRCUIT, bell(shots=-1)], InvalidJobError, r"specs\[1\]: the job cannot be sent"),
    ],
    ids=["circuit", "spec"],
)
def test_what_cannot_be_sent_is_named_by_its_place(
    client: Any, server: ScriptedServer, circuits: list[Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        client.submit_batch(circuits)
    assert server.requests == []


def test_waiting_for_a_batch(jobs: Any, server: ScriptedServer) -> None:
    server.say(
        "WatchBatch",
        [batch_told(FINISHED, RUNNING, PENDING, news={0: LIFE}), grpc.StatusCode.UNAVAILABLE],
        [batch_told(FINISHED, FAILED, CANCELED, news={})],
    )
    assert jobs.wait() == batch(FINISHED, FAILED, CANCELED)
    assert jobs.info.done == 3
    asked = len(server.requests)
    assert jobs.wait(0) == jobs.status() == jobs.info
    assert len(server.requests) == asked


@pytest.mark.parametrize("timeout_s", [0, 0.1])
def test_waiting_for_a_batch_ends_in_time(
    jobs: Any, server: ScriptedServer, timeout_s: float
) -> None:
    server.say("WatchBatch", [batch_told(FINISHED, RUNNING, PENDING, news={}), silence])
    server.say("GetBatch", batch_read(FINISHED, RUNNING, PENDING))
    with pytest.raises(WaitTimeoutError, match=r"1 of 3 jobs done .*; it goes on"):
        jobs.wait(timeout_s)
    with pytest.raises(WaitTimeoutError, match="1 of 3"):
        list(jobs.as_completed(0.1))


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "polling"])
def test_jobs_come_as_they_end(jobs: Any, server: ScriptedServer, streams: bool) -> None:
    ended = {
        job_id(0): read(PENDING, CANCELED),
        job_id(1): read(*LIFE, index=1),
        job_id(2): read(*LIFE, index=2),
    }
    server.say("GetJob", lambda request, _: ended[request.id])
    if streams:
        server.say(
            "WatchBatch",
            [batch_told(PENDING, RUNNING, FINISHED, news={1: LIFE[:2], 2: LIFE})],
            [batch_told(CANCELED, FINISHED, FINISHED, news={1: LIFE, 0: (PENDING, CANCELED)})],
        )
    else:
        server.say(
            "GetBatch",
            batch_read(PENDING, RUNNING, FINISHED),
            batch_read(PENDING, FINISHED, FINISHED),
            batch_read(CANCELED, FINISHED, FINISHED),
        )
        server.say(
            "ListJobs",
            page(info(*LIFE, index=2), info(*LIFE[:2], index=1), info(PENDING)),
            page(info(*LIFE, index=2), info(*LIFE, index=1), info(PENDING)),
            page(info(*LIFE, index=2), info(*LIFE, index=1), info(PENDING, CANCELED)),
        )
    came = list(jobs.as_completed())
    assert ids(came) == [job_id(2), job_id(1), job_id(0)]
    assert [job.info.status for job in came] == [FINISHED, FINISHED, CANCELED]


def test_many_jobs_that_end_at_once_are_read_in_pages(client: Any, server: ScriptedServer) -> None:
    count = 6
    server.say("GetBatch", batch_read(*[FINISHED] * count))
    server.say(
        "WatchBatch", [batch_told(*[FINISHED] * count, news=dict.fromkeys(range(count), LIFE))]
    )
    server.say("ListJobs", page(*(info(*LIFE, index=index) for index in reversed(range(count)))))
    found = client.batch(BATCH_ID)
    assert ids(found.as_completed()) == ids(found.jobs()) == [job_id(each) for each in range(count)]
    assert (len(server.asked("ListJobs")), server.asked("GetJob")) == (1, [])


def test_a_few_jobs_of_many_are_read_alone(client: Any, server: ScriptedServer) -> None:
    count, ended = 50, range(4)
    statuses = [FINISHED] * len(ended) + [CANCELED] * (count - len(ended))
    server.say("GetBatch", batch_read(*statuses))
    server.say("WatchBatch", [batch_told(*statuses, news=dict.fromkeys(ended, LIFE))])
    server.say("GetJob", lambda request, _: read(*LIFE, id=request.id))
    assert ids(client.batch(BATCH_ID).as_completed()) == [job_id(each) for each in ended]
    assert (len(server.asked("GetJob")), server.asked("ListJobs")) == (len(ended), [])


def test_a_job_that_was_deleted_meanwhile_is_left_out(jobs: Any, server: ScriptedServer) -> None:
    def answer(request: pb.GetJobRequest, _context: Any) -> Any:
        gone = request.id == job_id(1)
        return grpc.StatusCode.NOT_FOUND if gone else read(*LIFE, id=request.id)

    server.say("GetJob", answer)
    assert ids(jobs.jobs()) == [job_id(0), job_id(2)]


def test_results_come_in_the_order_of_submission_and_once(
    jobs: Any, server: ScriptedServer
) -> None:
    lives = {2: LIFE, 0: LIFE, 1: LIFE}
    server.say("WatchBatch", [batch_told(FINISHED, FINISHED, FINISHED, news=lives)])
    server.say("GetJob", lambda request, _: read(*LIFE, index=int(request.id[-12:])))
    server.say("GetResult", pieces(packed(RESULT)))
    came = {job.id: job.result() for job in jobs.as_completed()}
    assert jobs.results() == [came[job_id(index)] for index in range(3)]
    assert [result.info.batch_index for result in jobs.results()] == [0, 1, 2]
    assert len(server.asked("GetResult")) == 3
    assert len(server.asked("GetJob")) == 3


def test_the_first_failure_in_the_order_of_submission_is_raised(
    jobs: Any, server: ScriptedServer
) -> None:
    error = JobError(kind="crashed", message="it died")
    lives = {0: LIFE, 1: (PENDING, FAILED), 2: (PENDING, CANCELED)}
    server.say("WatchBatch", [batch_told(FINISHED, FAILED, CANCELED, news=lives)])
    server.say(
        "GetJob",
        lambda request, _: read(
            *lives[int(request.id[-12:])], index=int(request.id[-12:]), error=error
        ),
    )
    server.say("GetResult", pieces(packed(RESULT)))
    with pytest.raises(JobFailedError, match="crashed: it died") as caught:
        jobs.results()
    assert caught.value.info.id == job_id(1)


def test_a_batch_is_canceled_whole(jobs: Any, server: ScriptedServer) -> None:
    ends = [
        pb.Cancellation(
            id=job_id(0),
            verdict=pb.CANCEL_VERDICT_REMOVED_FROM_QUEUE,
            status=pb.JOB_STATUS_CANCELED,
        )
    ]
    server.say("CancelBatch", pb.CancelBatchResponse(cancellations=ends))
    verdict = CancelVerdict.REMOVED_FROM_QUEUE
    assert jobs.cancel() == [Cancellation(id=job_id(0), verdict=verdict, status=CANCELED)]


def test_a_batch_is_watched_from_its_start(jobs: Any, server: ScriptedServer) -> None:
    server.say("WatchBatch", [batch_told(*[FINISHED] * 3, news={1: LIFE})])
    (update,) = jobs.watch()
    assert [each.event.status for each in update.events] == list(LIFE)


def test_a_batch_shows_itself(jobs: Any) -> None:
    assert repr(getattr(jobs, "target", jobs)).endswith(f"Batch {BATCH_ID}: 0 of 3 done>")
