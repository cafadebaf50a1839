"""What a client does that is over a quota."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from qdispatch import Client, room
from qdispatch.errors import Quota, QuotaError
from qdispatch.room import Room
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.answers import (
    FINISHED,
    LIFE,
    PENDING,
    RESULT,
    created,
    job_id,
    packed,
    pieces,
    read,
    submitted,
)
from tests.client.scripted import ScriptedServer
from tests.specs import bell

SOON_S = 0.01


def refused(after_s: float | None = SOON_S, text: str = "jobs_in_flight: 51 of 50") -> QuotaError:
    quota = Quota(name="jobs_in_flight", limit=50, use=51, retry_after_s=after_s)
    return QuotaError(text, quota=quota)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_SHORTEST_S", SOON_S)


def calls_of(client: Any) -> Any:
    return getattr(client, "target", client)._calls


def test_a_submission_waits_and_stays_the_same(
    server: ScriptedServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.say("CreateJob", refused(), refused(), created(PENDING))
    # The time of a call is not that of the waiting.
    calls_of(client).timeout_s = 20
    with caplog.at_level(logging.INFO, "qdispatch.quota"):
        assert client.create_job(bell()).id == job_id()
    first, *others = server.asked("CreateJob")
    assert others == [first, first]
    said = "over quota jobs_in_flight (51 of 50): waiting 0.0 s"
    assert [each.getMessage() for each in caplog.records] == [said, said]


def test_a_batch_waits(server: ScriptedServer, client: Any) -> None:
    server.say("CreateJobs", refused(), submitted(PENDING, PENDING))
    batch, ids = client.create_jobs([bell(), bell()])
    assert (batch.size, len(ids)) == (2, 2)
    first, second = server.asked("CreateJobs")
    assert first == second


def test_other_calls_wait_as_long_as_they_may_take(server: ScriptedServer, client: Any) -> None:
    calls_of(client)._quota_wait_s = 0
    server.say("GetJob", refused(), read(*LIFE))
    assert client.get_job(job_id()).status is FINISHED
    server.say("GetResult", refused(), pieces(packed(RESULT)))
    assert client.get_result(job_id()) == (RESULT,)
    server.say("GetJob", refused(after_s=21))
    with pytest.raises(QuotaError, match=r"waits for 20 s at the most \(timeout_s\)"):
        client.get_job(job_id())


def test_who_may_not_watch_asks_instead(server: ScriptedServer, client: Any) -> None:
    server.say("WatchJob", refused(after_s=1000))
    server.say("GetJob", read(*LIFE))
    (update,) = client.watch_job(job_id())
    assert update.job.status is FINISHED


@pytest.mark.parametrize(
    ("quota_wait_s", "after_s", "said"),
    [
        (300, None, "waiting does not help"),
        (300, 301, r"come back in 301 s\); this client waits for 300 s at the most"),
        (0, SOON_S, r"waits for 0 s at the most \(quota_wait_s\)"),
        (300, math.nan, "waits for 300 s"),
        (math.inf, 1e300, r"waits for 1e\+09 s"),
    ],
    ids=["useless", "too long", "never", "nonsense", "endless"],
)
def test_what_is_not_waited_for_is_said_at_once(
    server: ScriptedServer, client: Any, quota_wait_s: float, after_s: float | None, said: str
) -> None:
    calls_of(client)._quota_wait_s = quota_wait_s
    server.say("CreateJob", refused(after_s, "too much"))
    with pytest.raises(QuotaError, match=rf"too much \(.*\(51 of 50\).*{said}") as caught:
        client.create_job(bell())
    assert len(server.asked("CreateJob")) == 1
    assert caught.value.quota is not None
    assert (caught.value.quota.limit, caught.value.quota.use) == (50, 51)


def test_a_refusal_that_tells_it_all_is_left_as_it_is(server: ScriptedServer) -> None:
    server.say("ListTargets", refused(None, "jobs_in_flight is 50, with these it would be 51"))
    with Client(server.address) as client, pytest.raises(QuotaError) as caught:
        client.targets()
    assert str(caught.value) == "jobs_in_flight is 50, with these it would be 51"


def test_a_submission_may_say_itself_how_long_it_waits(server: ScriptedServer, client: Any) -> None:
    server.say("CreateJob", refused())
    server.say("CreateJobs", refused())
    for submit, jobs in ((client.create_job, bell()), (client.create_jobs, [bell()])):
        with pytest.raises(QuotaError, match="waits for 0 s at the most"):
            submit(jobs, quota_wait_s=0)
    assert len(server.requests) == 2


def test_the_waiting_ends(server: ScriptedServer) -> None:
    server.say("CreateJob", refused())
    with Client(server.address, quota_wait_s=0.1) as client, pytest.raises(QuotaError):
        client.create_job(bell())
    assert 1 < len(server.asked("CreateJob")) <= 11


@pytest.mark.parametrize(("after_s", "latest_s"), [(0.0, 0.0125), (8.0, 10.0), (200.0, 230.0)])
def test_nobody_comes_back_too_early_nor_all_at_once(after_s: float, latest_s: float) -> None:
    pauses = [Room(1000, "quota_wait_s").pause_after(refused(after_s)) for _ in range(50)]
    assert min(pauses) >= after_s
    assert max(pauses) <= latest_s
    assert len(set(pauses)) > 1


def test_the_last_pause_is_cut_to_what_is_left() -> None:
    pauses = [Room(8.05, "quota_wait_s").pause_after(refused(8)) for _ in range(50)]
    assert max(pauses) == pytest.approx(8.05)


def test_owners_and_priorities_are_sent(server: ScriptedServer, client: Any) -> None:
    server.say("ListJobs", pb.ListJobsResponse())
    assert list(client.jobs(owner="alice")) == []
    assert server.asked("ListJobs")[0].owner == "alice"
    server.say("CreateJob", created(PENDING, cpu_s=1.5, owner="alice"))
    info = client.create_job(bell(priority=-3))
    assert server.asked("CreateJob")[0].spec.priority == -3
    assert (info.cpu_s, info.owner) == (1.5, "alice")
