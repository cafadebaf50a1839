"""Promises 6 and 7: reconnection, clean stop and rolling restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qdispatch import Client
from qdispatch.errors import UnavailableError
from qdispatch.model import CancelVerdict, JobStatus
from tests.reliability.ward import STUB, WAIT_S, Ward, frozen, gone
from tests.services.process import Service, free_port, wait_until
from tests.services.together import Services


@pytest.fixture
def parts(ward: Ward) -> Iterator[set[int]]:
    """The processes of the project, which must be the same ones afterwards."""
    names = ("server", "sweep", STUB)
    before = {ward.stack.process(name).pid for name in names}
    yield before
    ward.stack.check()
    assert {ward.stack.process(name).pid for name in names} == before


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("name", ["rabbitmq", "redis", "postgresql"])
def test_every_restart_is_outlived(ward: Ward, full: Services, name: str) -> None:
    service: Service = getattr(full, name)
    long, let_go = ward.held()
    waiting = [ward.submit() for _ in range(3)]
    service.kill()
    service.start()
    after = ward.submit()
    assert [ward.end(job) for job in (*waiting, after)] == ["finished"] * 4
    let_go()
    assert ward.end(long) == "finished"
    # The same attempt, wherever its engine, and its hold, were not touched.
    assert long.info.attempt == 1
    assert len(ward.engines(long)) == 1


def why_unavailable(call: Callable[[], object]) -> str:
    with pytest.raises(UnavailableError) as refusal:
        call()
    return str(refusal.value)


@pytest.mark.usefixtures("parts")
def test_while_the_database_is_away_calls_are_unavailable_and_then_go_through(
    ward: Ward, full: Services
) -> None:
    ended = ward.submit()
    ward.end(ended)
    full.postgresql.kill()
    try:
        with Client(ward.stack.address, timeout_s=3.0) as impatient:
            for call in (impatient.targets, lambda: impatient.get_job(ended.id)):
                # One that comes late in that time may hear nothing at all.
                assert wait_until(lambda: "database" in why_unavailable(call), WAIT_S)  # noqa: B023
        with ThreadPoolExecutor(1) as thread:
            # The client repeats it with the same request_id until it goes through.
            submission = thread.submit(ward.submit)
            full.postgresql.start()
            assert ward.end(submission.result(WAIT_S)) == "finished"
    finally:
        full.postgresql.start()


@pytest.mark.usefixtures("parts")
def test_while_only_redis_is_away_jobs_run_and_can_be_read(ward: Ward, full: Services) -> None:
    full.redis.kill()
    try:
        jobs = [ward.submit() for _ in range(3)]
        assert [ward.end(job) for job in jobs] == ["finished"] * 3
        assert [dict(job.result().counts) for job in jobs] == [{"00": 10}] * 3
        busy = ward.running()
        assert busy.cancel() is CancelVerdict.STOPPED_RUNNING
    finally:
        full.redis.start()


@pytest.mark.usefixtures("parts")
def test_while_only_the_broker_is_away_jobs_are_taken_and_run_later(
    ward: Ward, full: Services
) -> None:
    busy = ward.running()
    full.rabbitmq.kill()
    try:
        jobs = [ward.submit() for _ in range(3)]
        # Its slot looks by itself.
        assert busy.cancel() in (CancelVerdict.STOPPED_RUNNING, CancelVerdict.STOPPING)
        assert wait_until(lambda: gone(ward.engine(busy)), WAIT_S)
        assert {job.status() for job in jobs} == {JobStatus.PENDING}
    finally:
        full.rabbitmq.start()
    assert [ward.end(job) for job in jobs] == ["finished"] * 3


# -- stop and restart


def test_a_worker_that_is_told_to_stop_lets_its_jobs_end(ward: Ward) -> None:
    job, let_go = ward.held()
    log = ward.stack.folder / f"{STUB}.log"
    stops = log.read_text().count("Warm shutdown")
    with ThreadPoolExecutor(1) as thread:
        stop = thread.submit(ward.stack.stop_part, STUB)
        assert wait_until(lambda: log.read_text().count("Warm shutdown") > stops, WAIT_S)
        let_go()
        stop.result()
    assert job.status() is JobStatus.FINISHED
    assert job.info.attempt == 1
    ward.stack.start_part(STUB)
    ward.stack.wait_until_ready()


def test_what_does_not_end_in_time_is_handed_over(ward: Ward) -> None:
    job, let_go = ward.held()
    engine = ward.engine(job)
    ward.stack.stop_part(STUB)
    assert gone(engine)
    assert job.status() is JobStatus.PENDING
    let_go()
    ward.stack.start_part(STUB)
    assert ward.end(job) == "finished"
    # An orderly end is nobody's fault.
    assert (job.info.attempt, job.info.faults) == (2, 0)


def test_a_server_that_is_told_to_stop_ends_its_calls(ward: Ward) -> None:
    job = ward.running()
    try:
        with frozen(ward.stack, *ward.stack.slots(STUB)), ThreadPoolExecutor(1) as thread:
            # It waits for the word of a worker that cannot give it.
            cancel = thread.submit(job.cancel)
            assert wait_until(lambda: job.status() is JobStatus.CANCELED, WAIT_S)
            ward.stack.stop_part("server")
            assert cancel.result(WAIT_S) is CancelVerdict.STOPPING
    finally:
        ward.stack.start_part("server")
    assert ward.end(ward.submit()) == "finished"


def test_a_new_server_starts_beside_the_old_one(ward: Ward) -> None:
    address = f"127.0.0.1:{free_port()}"
    ward.stack.environments["beside"] = {"QDISPATCH_SERVER__ADDRESS": address}
    ward.stack.run("app", "migrate")
    ward.stack.launch("beside", "rpc")
    try:
        with Client(address) as beside:
            assert wait_until(beside.is_serving, WAIT_S)
            job = ward.submit()
            assert beside.job(job.id).wait(WAIT_S) is JobStatus.FINISHED
    finally:
        ward.stack.stop_part("beside")


def test_nobody_there_is_said_soon(ward: Ward) -> None:
    """Or else this test would run for as long as a call may take."""
    with Client(f"127.0.0.1:{free_port()}", timeout_s=1e6) as client:
        with pytest.raises(UnavailableError, match="no answer from"):
            client.targets()
