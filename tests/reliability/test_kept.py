"""Promises 1, 2, 5: acknowledged is kept, ends once, and dead workers are noticed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from qdispatch.errors import RequestError
from qdispatch.model import JobStatus
from tests.reliability.ward import STUB, WAIT_S, Ward, frozen, gone
from tests.services.process import wait_until
from tests.specs import BELL

SEND_AGAIN = """
import sys
from tasks.celery import app
from tasks.send import RUN_JOB
for _ in range(3):
    app.send_task(
        RUN_JOB, args=(sys.argv[1],), task_id=sys.argv[1], queue=sys.argv[2], priority=9
    )
"""


def test_a_job_outlives_the_server_that_took_it(ward: Ward) -> None:
    jobs = [ward.submit() for _ in range(5)]
    ward.stack.kill("server")
    ward.stack.start_part("server")
    assert [ward.end(job) for job in jobs] == ["finished"] * 5


def test_a_request_id_settles_what_became_of_a_submission(ward: Ward) -> None:
    first = ward.submit(request_id="settled")
    # The server has filled the limit in.
    spec = replace(first.info.spec, program=BELL, time_limit_s=None)
    ward.stack.kill("server")
    ward.stack.start_part("server")
    # Nobody knows whether the first try went through; the second one tells.
    again = ward.client.create_job(spec, request_id="settled")
    assert again.id == first.id


def test_a_refusal_leaves_nothing_behind(ward: Ward) -> None:
    before = ward.stack.rows()
    with pytest.raises(RequestError):
        ward.submit(result_types=["expval"], request_id="refused")
    assert ward.stack.rows() == before
    assert not ward.stack.programs
    # Its request_id stands for nothing.
    assert ward.end(ward.submit(request_id="refused")) == "finished"


@pytest.mark.parametrize("victim", ["worker", "slots", "fork server", "engine"])
def test_a_job_outlives_whatever_runs_it(ward: Ward, victim: str) -> None:
    job, let_go = ward.held()
    stack = ward.stack
    if victim == "worker":
        stack.kill(STUB)
        stack.start_part(STUB)
    else:
        victims = {
            "slots": stack.slots(STUB),
            "fork server": [each.pid for each in stack.fork_servers(STUB)],
            "engine": [each.pid for each in ward.engines(job) if each is not None],
        }
        for pid in victims[victim]:
            os.kill(pid, signal.SIGKILL)
    # Before it may end, so that it is not the first attempt that does.
    assert wait_until(lambda: len(ward.engines(job)) == 2, WAIT_S)
    let_go()
    assert ward.end(job) == "finished"
    assert (job.info.attempt, job.info.faults) == (2, 1)


def test_a_job_that_loses_its_workers_fails(ward: Ward) -> None:
    job = ward.running()
    for attempt in (1, 2):
        assert wait_until(lambda: len(ward.engines(job)) == attempt, WAIT_S)  # noqa: B023
        ward.stack.kill(STUB)
        ward.stack.start_part(STUB)
    assert ward.end(job) == "failed: worker_lost"
    assert (job.info.attempt, job.info.faults) == (2, 2)


def test_a_message_that_comes_again_changes_nothing(ward: Ward) -> None:
    job = ward.submit()
    assert ward.end(job) == "finished"
    before = ward.client.get_job(job.id, include_results=True)
    ward.stack.python(SEND_AGAIN, job.id, STUB)
    busy, let_go = ward.held()
    ward.stack.python(SEND_AGAIN, busy.id, STUB)
    # The other slot has taken them, all of the highest priority, when it takes what came
    # after.
    assert ward.end(ward.submit()) == "finished"
    assert busy.status() is JobStatus.RUNNING
    let_go()
    assert ward.end(busy) == "finished"
    assert busy.info.attempt == 1
    assert len(ward.engines(busy)) == 1
    assert ward.client.get_job(job.id, include_results=True) == before


def test_a_slot_that_wakes_up_too_late_stops_and_changes_nothing(ward: Ward) -> None:
    job = ward.running()
    (slot,) = ward.stack.active_slots(STUB, job.id)
    with frozen(ward.stack, slot):
        # Its lease lapses, and the other slot has the job.
        assert wait_until(lambda: len(ward.engines(job)) == 2, WAIT_S)
        first, second = ward.engines(job)
        assert not gone(first)
    assert wait_until(lambda: gone(first), WAIT_S)
    assert not gone(second)
    assert job.status() is JobStatus.RUNNING
    assert job.info.attempt == 2
    job.cancel()
