"""What workers do with jobs."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from app.jobs import EncodedResult
from app.programs import ProgramLostError
from qdispatch.model import ErrorKind, JobError, JobStatus, Timings
from tests.world import BELL, WORKER, World, counts, failed, finished


def test_a_claim_carries_what_is_to_be_run(world: World) -> None:
    job_id = world.submit(seed=5, extra='{"a": 1}')
    claim = world.claim(job_id)
    assert (claim.job_id, claim.attempt) == (job_id, 1)
    assert claim.spec == world.info(job_id).spec
    assert world.work.program(job_id) == BELL


def test_what_is_not_pending_cannot_be_claimed(world: World) -> None:
    for status in JobStatus:
        if status is not JobStatus.PENDING:
            assert world.work.claim(world.job_in(status), WORKER) is None
    assert world.work.claim(uuid4(), WORKER) is None


def test_a_program_that_is_gone_is_an_error(world: World) -> None:
    claim = world.running()
    world.programs.delete(claim.job_id)
    with pytest.raises(ProgramLostError, match=str(claim.job_id)):
        world.work.program(claim.job_id)


def test_renewing_prolongs_the_lease(world: World) -> None:
    claim = world.running()
    world.clock.advance(20)
    assert world.work.renew(claim)
    with world.store.read() as tx:
        row = tx.job(claim.job_id)
        assert row is not None
        assert row.lease_until == world.clock() + timedelta(seconds=30)
        assert tx.lapsed(world.clock() + timedelta(seconds=29)) == []


def test_renewing_fails_once_the_job_is_canceled(world: World) -> None:
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    assert not world.work.renew(claim)


def test_finish_writes_everything_at_once(world: World) -> None:
    job_id = world.submit()
    world.clock.advance(2.5)
    claim = world.claim(job_id)
    started_at = world.clock()
    world.clock.advance(1.5)
    assert world.work.finish(claim, finished())
    info = world.info(claim.job_id)
    assert info.status is JobStatus.FINISHED
    assert (info.method, info.simulator_version) == ("stabilizer", "stub 1.0")
    assert info.peak_memory_bytes == 123_456_789_012
    assert (info.started_at, info.finish_time) == (started_at, world.clock())
    assert info.timings.saving_s is not None
    assert info.timings == Timings(
        queued_s=2.5, parsing_s=0.25, simulating_s=0.5, saving_s=info.timings.saving_s
    )
    assert info.error is None
    assert world.files() == set()


def test_results_come_by_type_and_point(world: World) -> None:
    claim = world.running()
    names = [("quasi", 0), ("counts", 1), ("counts", 0), ("expval", 0)]
    results = tuple(
        EncodedResult(result_type=name, point=point, value=f"{name}{point}".encode())
        for name, point in names
    )
    assert world.work.finish(claim, finished(results=results))
    assert world.jobs.results(str(claim.job_id)) == [b"counts0", b"counts1", b"expval0", b"quasi0"]


def test_a_job_may_finish_without_results(world: World) -> None:
    claim = world.running()
    assert world.work.finish(claim, finished(results=()))
    assert world.jobs.results(str(claim.job_id)) == []


def test_large_results_are_kept_to_the_byte(world: World) -> None:
    value = bytes(range(256)) * 8192
    claim = world.running()
    world.work.finish(
        claim, finished(results=(EncodedResult(result_type="quasi", point=0, value=value),))
    )
    assert world.jobs.results(str(claim.job_id)) == [value]


def test_a_finish_that_comes_too_late_leaves_no_results(world: World) -> None:
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    before = world.info(claim.job_id)
    assert not world.work.finish(claim, finished())
    assert world.jobs.results(str(claim.job_id)) == []
    assert world.info(claim.job_id) == before


def test_the_results_of_the_attempt_that_holds_the_job_count(world: World) -> None:
    first = world.running()
    world.work.hand_over(first)
    second = world.claim(first.job_id, "cirq@other")
    assert not world.work.finish(first, finished(method="old", results=(counts({"1": 1}),)))
    assert world.work.finish(second, finished(method="new"))
    assert world.info(first.job_id).method == "new"
    assert world.info(first.job_id).worker == "cirq@other"
    assert world.jobs.results(str(first.job_id)) == [finished().results[0].value]


@pytest.mark.parametrize("kind", ErrorKind)
def test_fail_says_why(world: World, kind: ErrorKind) -> None:
    claim = world.running()
    assert world.work.fail(claim, failed(kind, "say ✓"))
    info = world.info(claim.job_id)
    assert info.status is JobStatus.FAILED
    assert info.error == JobError(kind=kind.value, message="say ✓")
    assert (info.simulator_version, info.timings.parsing_s) == ("stub 1.0", 0.25)
    assert world.files() == set()
    assert not world.work.fail(claim, failed())


@pytest.mark.parametrize("message", ["a \0 in it", "a lone \ud800 in it", "x" * 100_000])
def test_any_message_can_be_kept(world: World, message: str) -> None:
    claim = world.running()
    assert world.work.fail(claim, failed(message=message))
    error = world.info(claim.job_id).error
    assert error is not None
    assert error.message[:2] == message[:2]


def test_a_job_that_is_handed_over_is_pending_and_unsent(world: World) -> None:
    claim = world.running()
    assert world.work.hand_over(claim)
    assert world.status(claim.job_id) is JobStatus.PENDING
    assert world.files() == {claim.job_id}
    with world.store.read() as tx:
        unsent = tx.unsent(world.clock() + timedelta(seconds=1), 10)
    assert [each.job_id for each in unsent] == [claim.job_id]
    assert not world.work.hand_over(claim)


def test_an_operator_cancels_by_attempt(world: World) -> None:
    claim = world.running()
    assert world.work.cancel(claim)
    assert world.status(claim.job_id) is JobStatus.CANCELED
    assert world.files() == set()
    assert not world.work.cancel(claim)


def test_status_of_a_job(world: World) -> None:
    assert world.work.status(world.submit()) is JobStatus.PENDING
    assert world.work.status(uuid4()) is None


def test_workers_come_and_go(world: World) -> None:
    world.work.report("aer@one", "aer", 2)
    world.work.report("aer@one", "aer", 2)
    world.work.report("aer@two", "aer", 2)
    assert world.jobs.targets()[0].workers_online == 2
    world.clock.advance(29)
    world.work.report("aer@two", "aer", 2)
    world.clock.advance(2)
    assert world.jobs.targets()[0].workers_online == 1
    world.work.leave("aer@two")
    world.work.leave("aer@nobody")
    assert world.jobs.targets()[0].workers_online == 0


@pytest.mark.parametrize("status", JobStatus)
def test_a_revoked_message_cancels_a_job_that_nobody_has_claimed(
    world: World, status: JobStatus
) -> None:
    job_id = world.job_in(status)
    assert world.work.cancel_pending(job_id) is (status is JobStatus.PENDING)
    assert world.status(job_id) is (JobStatus.CANCELED if status is JobStatus.PENDING else status)
    assert world.files() == ({job_id} if status is JobStatus.RUNNING else set())
