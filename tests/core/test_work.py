"""What workers do with jobs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from app.identity import ANONYMOUS
from app.jobs import Claim, EncodedResult, Finished, retry_delay_s
from app.programs import ProgramLostError
from qdispatch.model import ErrorKind, JobError, JobStatus, Timings
from tests.core.databases import ON_POSTGRESQL
from tests.core.journal import traced
from tests.specs import BELL, bell
from tests.world import WORKER, World, counts, failed, finished


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
    assert info.method_reason == "every gate is a Clifford gate"
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


def test_jobs_that_end_together_keep_their_results_apart(world: World) -> None:
    first, lost, none, last = (world.running() for _ in range(4))
    world.jobs.cancel(str(lost.job_id))

    def results(*some: tuple[str, int, bytes]) -> Finished:
        return finished(
            results=tuple(
                EncodedResult(result_type=name, point=point, value=value)
                for name, point, value in some
            )
        )

    many = [("expval", point, f"{point}".encode()) for point in range(300)]
    held = world.work.end_many(
        [
            (first, results(("counts", 0, b""), ("expval", 0, b"\0\xff"))),
            (lost, results(("counts", 0, b"lost"))),
            (none, failed()),
            (last, results(*many, ("counts", 7, b"counts"))),
        ]
    )
    assert held == {first.job_id, none.job_id, last.job_id}
    found = {claim: world.jobs.results(str(claim.job_id)) for claim in (first, lost, none, last)}
    assert found == {
        first: [b"", b"\0\xff"],
        lost: [],
        none: [],
        last: [b"counts", *(value for _, _, value in many)],
    }


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


@ON_POSTGRESQL
def test_results_go_to_the_database_and_back_as_they_are(world: World) -> None:
    value = bytes(range(256)) * 64
    result = EncodedResult(result_type="counts", point=0, value=value)
    claim = world.running()
    with traced(world) as sizes:
        assert world.work.finish(claim, finished(results=(result,)))
        assert world.jobs.results(str(claim.job_id)) == [value]
    # Once each way; spelled out, they would be twice as long.
    long = [size for size in sizes if size >= len(value)]
    assert len(long) == 2
    assert sum(long) < 2.2 * len(value)


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
        later = world.clock() + timedelta(seconds=1)
        unsent = tx.feeding.next(("aer", ANONYMOUS), world.clock(), later, 10)
    assert [each.id for each in unsent] == [claim.job_id]
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
    assert world.service.targets()[0].workers_online == 2
    world.clock.advance(29)
    world.work.report("aer@two", "aer", 2)
    world.clock.advance(2)
    assert world.service.targets()[0].workers_online == 1
    world.work.leave("aer@two")
    world.work.leave("aer@nobody")
    assert world.service.targets()[0].workers_online == 0


@pytest.mark.parametrize("status", JobStatus)
def test_an_operators_revoke_cancels_what_is_not_final(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    assert world.work.cancel_all([job_id, uuid4()]) == (not status.is_final)
    assert world.status(job_id) is (status if status.is_final else JobStatus.CANCELED)
    assert world.files() == set()


# -- attempts that are cut short


def crash(world: World, claim: Claim) -> JobStatus | None:
    return world.work.fault(claim, failed(ErrorKind.CRASHED, "it died"))


def test_a_crash_is_followed_by_another_attempt_after_a_while(world: World) -> None:
    claim = world.running()
    world.clock.advance(100)
    assert crash(world, claim) is JobStatus.PENDING
    assert world.files() == {claim.job_id}
    assert crash(world, claim) is None
    assert world.upkeep.resend() == 0
    world.clock.advance(1)
    assert world.upkeep.resend() == 1
    info = world.info(claim.job_id)
    assert (info.attempt, info.faults, info.error) == (1, 1, None)


def test_a_job_that_crashes_again_and_again_fails(world: World) -> None:
    job_id = world.submit()
    assert [crash(world, world.claim(job_id)) for _ in range(3)] == [
        JobStatus.PENDING,
        JobStatus.PENDING,
        JobStatus.FAILED,
    ]
    info = world.info(job_id)
    assert (info.attempt, info.faults) == (3, 3)
    assert info.error == JobError(kind="crashed", message="it died (the last of 3 faults)")
    assert info.finish_time == world.clock()
    assert world.files() == set()


def test_orderly_hand_overs_are_no_faults(world: World) -> None:
    job_id = world.submit()
    for _ in range(10):
        assert world.work.hand_over(world.claim(job_id))
    assert crash(world, world.claim(job_id)) is JobStatus.PENDING
    assert world.info(job_id).faults == 1


def test_crashes_and_lost_workers_count_together(world: World) -> None:
    job_id = world.submit()
    for _ in range(2):
        world.claim(job_id)
        world.clock.advance(31)
        assert world.upkeep.recover() == 1
    assert crash(world, world.claim(job_id)) is JobStatus.FAILED


@pytest.mark.parametrize(
    ("faults", "delay_s"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (99, 60)]
)
def test_each_fault_doubles_the_wait(faults: int, delay_s: float) -> None:
    assert retry_delay_s(faults, 1.0) == delay_s


# -- stops that are confirmed


def test_a_worker_confirms_that_a_canceled_job_has_stopped(world: World) -> None:
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    assert world.info(claim.job_id).stopped_at is None
    world.clock.advance(1)
    assert world.work.confirm_stop(claim) is JobStatus.CANCELED
    assert world.info(claim.job_id).stopped_at == world.clock()
    confirmed = world.info(claim.job_id)
    world.clock.advance(1)
    world.work.confirm_stop(claim)
    assert world.info(claim.job_id) == confirmed
    assert confirmed.finish_time is not None
    assert world.upkeep.recover() == 0


def test_a_stop_that_nobody_confirms_leaves_no_lease(world: World) -> None:
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    world.clock.advance(31)
    assert world.upkeep.recover() == 1
    assert world.upkeep.recover() == 0
    info = world.info(claim.job_id)
    assert (info.status, info.stopped_at) == (JobStatus.CANCELED, None)
    # It was only cut off, and tells when it is back.
    world.work.confirm_stop(claim)
    assert world.info(claim.job_id).stopped_at == world.clock()


@pytest.mark.parametrize("status", JobStatus)
def test_only_canceled_jobs_are_confirmed(world: World, status: JobStatus) -> None:
    if status is JobStatus.CANCELED:
        return
    job_id = world.job_in(status)
    claim = Claim(
        job_id=job_id, attempt=world.info(job_id).attempt, faults=0, spec=bell(), owner=ANONYMOUS
    )
    assert world.work.confirm_stop(claim) is status
    assert world.info(job_id).stopped_at is None


def test_another_attempt_confirms_nothing(world: World) -> None:
    first = world.running()
    world.work.hand_over(first)
    second = world.claim(first.job_id)
    world.jobs.cancel(str(first.job_id))
    world.work.confirm_stop(first)
    assert world.info(first.job_id).stopped_at is None
    world.work.confirm_stop(second)
    assert world.info(first.job_id).stopped_at is not None


@pytest.mark.parametrize("status", JobStatus)
def test_who_holds_a_job(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    claim = Claim(
        job_id=job_id, attempt=world.info(job_id).attempt, faults=0, spec=bell(), owner=ANONYMOUS
    )
    assert world.work.holds(claim) is (status is JobStatus.RUNNING)
    assert not world.work.holds(replace(claim, attempt=claim.attempt + 1))
