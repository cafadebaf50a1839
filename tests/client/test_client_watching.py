"""Watching: every event once, whatever happens to the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from qdispatch.errors import BatchNotFoundError, JobNotFoundError
from tests.client.answers import (
    BATCH_ID,
    CANCELED,
    FAILED,
    FINISHED,
    LIFE,
    PENDING,
    RUNNING,
    batch_read,
    batch_told,
    events,
    info,
    job_id,
    page,
    read,
    told,
)
from tests.client.scripted import ScriptedServer, silence
from tests.waiting import wait_until

BROKEN = grpc.StatusCode.UNAVAILABLE


def numbers(updates: Any) -> list[list[int]]:
    return [[event.number for event in update.events] for update in updates]


# -- a job


def test_every_event_is_told_once_though_the_server_repeats_itself(
    client: Any, server: ScriptedServer
) -> None:
    server.say(
        "WatchJob",
        [told(PENDING), BROKEN],
        BROKEN,
        # As a server does that restarts: it tells all over again.
        [told(*LIFE[:2]), told(*LIFE[:2], points_done=3, since=2), BROKEN],
        [told(*LIFE, since=1)],
    )
    updates = list(client.watch_job(job_id()))
    assert numbers(updates) == [[1], [2], [], [3]]
    assert [update.job.points_done for update in updates] == [0, 0, 3, 0]
    assert [request.after for request in server.asked("WatchJob")] == [0, 1, 1, 2]


def test_watching_begins_after_what_is_known(client: Any, server: ScriptedServer) -> None:
    server.say("WatchJob", [told(*LIFE, since=2)])
    assert numbers(client.watch_job(job_id(), after=2)) == [[3]]
    assert server.asked("WatchJob")[0].after == 2


def test_a_job_that_cannot_be_watched_is_polled(client: Any, server: ScriptedServer) -> None:
    server.say("GetJob", read(PENDING), read(PENDING), read(*LIFE))
    updates = list(client.watch_job(job_id(), after=1))
    assert numbers(updates) == [[], [2, 3]]
    assert updates[-1].job.status is FINISHED


@pytest.mark.parametrize(
    ("watch", "method", "kind"),
    [
        (lambda client: client.watch_job("x"), "WatchJob", JobNotFoundError),
        (lambda client: client.watch_batch("x"), "WatchBatch", BatchNotFoundError),
    ],
    ids=["job", "batch"],
)
def test_what_is_not_there_is_not_waited_for(
    client: Any,
    server: ScriptedServer,
    watch: Callable[[Any], Any],
    method: str,
    kind: type[JobNotFoundError | BatchNotFoundError],
) -> None:
    field = "batch_id" if kind is BatchNotFoundError else "id"
    server.say(method, kind("there is none", field=field))
    with pytest.raises(kind, match="there is none") as caught:
        list(watch(client))
    assert caught.value.field == field


def test_a_stream_that_is_left_early_is_canceled(client: Any, server: ScriptedServer) -> None:
    server.say("WatchJob", [told(PENDING), silence])
    updates = client.watch_job(job_id())
    assert numbers([next(updates)]) == [[1]]
    assert server.ended == []
    updates.close()
    assert wait_until(lambda: server.ended == ["WatchJob"], 5)


# -- a batch


def test_every_event_of_a_batch_is_told_once(client: Any, server: ScriptedServer) -> None:
    server.say(
        "WatchBatch",
        [batch_told(PENDING, RUNNING, PENDING, news={0: (PENDING,), 1: LIFE[:2]}), BROKEN],
        [
            batch_told(FINISHED, RUNNING, PENDING, news={0: LIFE, 1: LIFE[:2], 2: (PENDING,)}),
            batch_told(FINISHED, FAILED, CANCELED, news={2: (PENDING, CANCELED)}),
        ],
    )
    updates = list(client.watch_batch(BATCH_ID))
    assert [
        [(each.batch_index, each.event.number) for each in update.events] for update in updates
    ] == [[(0, 1), (1, 1), (1, 2)], [(0, 2), (0, 3), (2, 1)], [(2, 2)]]
    assert [list(request.after) for request in server.asked("WatchBatch")] == [[], [1, 2, 0]]
    assert updates[-1].batch.is_final


def test_a_batch_that_cannot_be_watched_is_polled(client: Any, server: ScriptedServer) -> None:
    server.say("GetBatch", batch_read(PENDING, RUNNING), batch_read(FINISHED, FINISHED))
    # Two pages of jobs, newest first, at each look.
    server.say(
        "ListJobs",
        page(info(*LIFE[:2], index=1), token="older"),
        page(info(PENDING)),
        page(info(*LIFE, index=1), token="older"),
        page(info(*LIFE)),
    )
    updates = list(client.watch_batch(BATCH_ID, after=[1]))
    assert [[(each.job_id, each.event.number) for each in update.events] for update in updates] == [
        [(job_id(1), 1), (job_id(1), 2)],
        [(job_id(0), 2), (job_id(0), 3), (job_id(1), 3)],
    ]
    assert {request.batch_id for request in server.asked("ListJobs")} == {BATCH_ID}


# -- the server itself


def test_a_server_that_starts_again_is_found_again(client: Any, server: ScriptedServer) -> None:
    server.say("WatchJob", [told(PENDING), silence])
    updates = client.watch_job(job_id())
    assert numbers([next(updates)]) == [[1]]
    server.restart()
    server.say("WatchJob", [told(*LIFE, since=1)])
    assert [event for update in updates for event in update.events] == list(events(*LIFE)[1:])
