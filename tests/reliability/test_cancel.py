"""Promise 3: cancel has a verdict, and it is the truth."""

from __future__ import annotations

from uuid import uuid4

import psutil
import pytest

from qdispatch.model import CancelVerdict, JobStatus
from tests.reliability.ward import STUB, WAIT_S, Ward, frozen, gone
from tests.services.process import wait_until


def test_a_running_job_is_stopped_and_its_memory_is_back(ward: Ward) -> None:
    job, neighbour = ward.running("grow", 250), ward.running()
    slots = ward.stack.slots(STUB)
    engine = ward.engine(job)
    assert isinstance(engine, psutil.Process)
    assert wait_until(lambda: engine.memory_info().rss > 250 * 2**20, WAIT_S)
    assert job.cancel() is CancelVerdict.STOPPED_RUNNING
    # Not soon: it was before the verdict.
    assert gone(engine)
    assert job.status() is JobStatus.CANCELED
    assert job.info.stopped_at is not None
    # The slot takes the next one, and the neighbour has lost nothing.
    assert ward.end(ward.submit()) == "finished"
    assert ward.stack.slots(STUB) == slots
    assert neighbour.status() is JobStatus.RUNNING
    assert neighbour.info.attempt == 1
    assert not gone(ward.engine(neighbour))
    neighbour.cancel()


def test_what_is_not_confirmed_is_called_stopping_until_it_is(ward: Ward) -> None:
    job = ward.running()
    engine = ward.engine(job)
    with frozen(ward.stack, *ward.stack.slots(STUB)):
        assert job.cancel() is CancelVerdict.STOPPING
        job.status()
        assert (job.info.status, job.info.stopped_at) == (JobStatus.CANCELED, None)
        assert not gone(engine)
    assert wait_until(lambda: ward.client.get_job(job.id).stopped_at is not None, WAIT_S)
    assert gone(engine)
    assert ward.client.get_job(job.id).status is JobStatus.CANCELED


def test_a_worker_that_cannot_be_reached_carries_it_out_when_it_is_back(ward: Ward) -> None:
    job = ward.running()
    engine = ward.engine(job)
    family = [ward.stack.process(STUB), *ward.stack.slots(STUB)]
    with frozen(ward.stack, *family):
        assert job.cancel() is CancelVerdict.STOPPING
        waiting = ward.submit()
        assert waiting.cancel() is CancelVerdict.REMOVED_FROM_QUEUE
    assert wait_until(lambda: ward.client.get_job(job.id).stopped_at is not None, WAIT_S)
    assert gone(engine)
    assert ward.end(waiting) == "canceled"
    assert ward.engines(waiting) == []


def test_too_late_says_how_it_ended(ward: Ward) -> None:
    job = ward.submit()
    ward.end(job)
    before = ward.client.get_job(job.id)
    assert job.cancel() is CancelVerdict.TOO_LATE
    assert ward.client.get_job(job.id) == before
    assert before.status is JobStatus.FINISHED


def test_many_in_one_call(ward: Ward) -> None:
    ended = ward.submit()
    ward.end(ended)
    at_work = [ward.running(), ward.running()]
    waiting = [ward.submit() for _ in range(20)]
    nobody = str(uuid4())
    ids = [job.id for job in (*at_work, *waiting, ended)]
    cancellations = ward.client.cancel_jobs([*ids, nobody, "no id", ids[0]])
    assert [each.id for each in cancellations] == [*ids, nobody, "no id", ids[0]]
    assert [each.verdict for each in cancellations] == [
        *[CancelVerdict.STOPPED_RUNNING] * 2,
        *[CancelVerdict.REMOVED_FROM_QUEUE] * 20,
        CancelVerdict.TOO_LATE,
        CancelVerdict.NOT_FOUND,
        CancelVerdict.NOT_FOUND,
        CancelVerdict.STOPPED_RUNNING,
    ]
    assert cancellations[-4].status is JobStatus.FINISHED
    assert all(gone(ward.engine(job)) for job in at_work)


@pytest.mark.parametrize("command", ["revoke", "terminate SIGTERM", "terminate SIGKILL"])
def test_an_operators_revoke_of_a_running_job_cancels_it(ward: Ward, command: str) -> None:
    job, neighbour = ward.running(), ward.running()
    engine = ward.engine(job)
    ward.stack.ask(STUB, "control", *command.split(), job.id)
    assert ward.end(job) == "canceled"
    assert wait_until(lambda: gone(engine), WAIT_S)
    assert wait_until(lambda: f"{job.id}.qasm" not in ward.stack.programs, WAIT_S)
    assert ward.end(ward.submit()) == "finished"
    assert neighbour.status() is JobStatus.RUNNING
    neighbour.cancel()


def test_an_operators_revoke_of_a_waiting_job_cancels_it(ward: Ward) -> None:
    busy = [ward.running(), ward.running()]
    waiting = ward.submit()
    ward.stack.ask(STUB, "control", "revoke", waiting.id)
    assert ward.end(waiting) == "canceled"
    assert wait_until(lambda: f"{waiting.id}.qasm" not in ward.stack.programs, WAIT_S)
    ward.client.cancel_jobs([job.id for job in busy])
    assert ward.end(ward.submit()) == "finished"
    assert ward.engines(waiting) == []


def test_jobs_whose_messages_are_purged_are_sent_again(ward: Ward) -> None:
    busy = [ward.running(), ward.running()]
    waiting = [ward.submit() for _ in range(5)]
    purged = 0

    def all_purged() -> bool:
        nonlocal purged
        output = ward.stack.celery("purge", "-f", "-Q", STUB)
        words = output.split()
        purged += int(words[words.index("Purged") + 1]) if "Purged" in words else 0
        return purged >= 5

    assert wait_until(all_purged, WAIT_S)
    ward.client.cancel_jobs([job.id for job in busy])
    assert [ward.end(job) for job in waiting] == ["finished"] * 5
    assert {job.info.attempt for job in waiting} == {1}


def test_two_workers_of_a_target(ward: Ward) -> None:
    """The second has one slot: the machine bears three."""
    ward.stack.start_worker(STUB, name="second", concurrency=1)
    try:
        jobs = [ward.running() for _ in range(3)]
        assert len({job.info.worker for job in jobs}) == 2
        engines = [ward.engine(job) for job in jobs]
        verdicts = [each.verdict for each in ward.client.cancel_jobs([job.id for job in jobs])]
        assert verdicts == [CancelVerdict.STOPPED_RUNNING] * 3
        assert all(map(gone, engines))
    finally:
        ward.stack.stop_part("second")
