"""Lists in pages, and results in pieces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest

from qdispatch.errors import InvalidJobError, QDispatchError, ServerError, UnavailableError
from qdispatch.model import Result, ResultType
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.answers import LIFE, RESULT, info, job_id, packed, page, pieces, read
from tests.client.scripted import ScriptedServer, silence

BROKEN = grpc.StatusCode.UNAVAILABLE
SECOND = Result(type=ResultType.VARIANCE, variance=(0.5, 1.0), point=1)
WHOLE = packed(RESULT, SECOND)


# -- results


def test_results_come_in_pieces(client: Any, server: ScriptedServer) -> None:
    server.say("GetResult", pieces(WHOLE, 1, 7))
    assert client.get_result(job_id()) == (RESULT, SECOND)


def test_a_transfer_that_breaks_goes_on_where_it_was(client: Any, server: ScriptedServer) -> None:
    server.say(
        "GetResult",
        [*pieces(WHOLE, 3, 7)[:2], BROKEN],
        BROKEN,
        lambda request, _: [*pieces(WHOLE, 11, offset=request.offset)[:1], BROKEN],
        lambda request, _: pieces(WHOLE, offset=request.offset),
    )
    assert client.get_result(job_id()) == (RESULT, SECOND)
    assert [request.offset for request in server.asked("GetResult")] == [0, 7, 7, 11]


def test_an_older_server_sends_results_with_the_job(client: Any, server: ScriptedServer) -> None:
    server.say("GetJob", read(*LIFE, results=(RESULT, SECOND)))
    assert client.get_result(job_id()) == (RESULT, SECOND)
    assert server.asked("GetJob")[0].include_results


@pytest.mark.parametrize(
    "answer",
    [
        [pb.GetResultResponse(data=WHOLE[:-1], size=len(WHOLE))],
        [pb.GetResultResponse(data=b"\xff" * 9, size=9)],
    ],
    ids=["short", "garbled"],
)
def test_results_that_cannot_be_read_are_no_results(
    client: Any, server: ScriptedServer, answer: Any
) -> None:
    server.say("GetResult", answer)
    with pytest.raises(ServerError, match=job_id()):
        client.get_result(job_id())


def test_a_transfer_that_stands_still_is_given_up(client: Any, server: ScriptedServer) -> None:
    getattr(client, "target", client)._calls.timeout_s = 0.1
    server.say("GetResult", [*pieces(WHOLE, 3)[:1], silence], silence_stream)
    with pytest.raises(UnavailableError):
        client.get_result(job_id())


def silence_stream(_request: Any, _context: Any) -> list[Any]:
    return [silence]


# -- lists


def test_pages_are_read_as_they_are_needed(client: Any, server: ScriptedServer) -> None:
    server.say("ListJobs", page(info(*LIFE, index=2), token="t"), page(info(*LIFE, index=1)))
    jobs = client.jobs()
    assert next(jobs).id == job_id(2)
    assert len(server.asked("ListJobs")) == 1
    assert [job.id for job in jobs] == [job_id(1)]
    assert [request.page_token for request in server.asked("ListJobs")] == ["", "t"]


@pytest.mark.parametrize("limit", [0, 2, 3])
def test_no_more_than_the_limit_is_listed(client: Any, server: ScriptedServer, limit: int) -> None:
    server.say(
        "ListJobs",
        page(info(*LIFE), info(*LIFE, index=1), token="t"),
        page(info(*LIFE, index=2), info(*LIFE, index=3), token="u"),
    )
    assert [job.id for job in client.jobs(limit=limit)] == [job_id(each) for each in range(limit)]
    sizes = [request.page_size for request in server.asked("ListJobs")]
    assert sizes == {0: [], 2: [2], 3: [3, 1]}[limit]


def test_filters_are_the_servers_to_apply(client: Any, server: ScriptedServer) -> None:
    server.say("ListJobs", page())
    moment = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    filters = {"target": "aer", "tag": "t", "batch": "b"}
    assert list(client.jobs(status=["failed", "canceled"], created_before=moment, **filters)) == []
    (request,) = server.asked("ListJobs")
    assert list(request.statuses) == [pb.JOB_STATUS_FAILED, pb.JOB_STATUS_CANCELED]
    assert (request.target, request.tag, request.batch_id) == ("aer", "t", "b")
    assert request.created_before.ToDatetime(UTC) == moment
    assert not request.HasField("created_after")


def test_one_status_is_a_word(client: Any, server: ScriptedServer) -> None:
    server.say("ListJobs", page())
    list(client.jobs(status="running"))
    assert list(server.asked("ListJobs")[0].statuses) == [pb.JOB_STATUS_RUNNING]
    with pytest.raises(InvalidJobError, match=r"'done' is not .* pending, running, finished"):
        client.jobs(status="done")


# -- the end


def test_a_closed_client_says_so(client: Any) -> None:
    client.close()
    with pytest.raises(QDispatchError, match="has been closed"):
        client.targets()
    with pytest.raises(QDispatchError, match="has been closed"):
        next(client.jobs())
