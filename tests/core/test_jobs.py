"""The life of a job: the table, and a store that keeps to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TypeVar
from uuid import UUID, uuid4

import pytest

from app.jobs import TRANSITIONS, check_transition
from app.rows import JobRow
from app.store import Transaction
from qdispatch.model import CancelVerdict, JobStatus
from tests.world import WORKER, World, failed, finished

T = TypeVar("T")

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
FINISHED, CANCELED, FAILED = JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED

ALLOWED = {
    (PENDING, RUNNING),
    (PENDING, CANCELED),
    (PENDING, FAILED),
    (PENDING, FINISHED),
    (RUNNING, FINISHED),
    (RUNNING, FAILED),
    (RUNNING, CANCELED),
    (RUNNING, PENDING),
}
PAIRS = [(old, new) for old in JobStatus for new in JobStatus]

Step = Callable[[World, Transaction, UUID, int], JobRow | None]


def _claim(world: World, tx: Transaction, job_id: UUID, _attempt: int) -> JobRow | None:
    now = world.clock()
    return tx.claim(job_id, worker=WORKER, now=now, lease_until=now + timedelta(seconds=30))


# From, to, and the store's way of doing it.
def only(rows: Sequence[JobRow]) -> JobRow | None:
    """The one row that was changed, or none."""
    (row,) = rows or [None]
    return row


STEPS: dict[str, tuple[JobStatus, JobStatus, Step]] = {
    "claim": (PENDING, RUNNING, _claim),
    "cancel pending": (
        PENDING,
        CANCELED,
        lambda world, tx, job_id, _: only(tx.cancel([job_id], PENDING, now=world.clock())),
    ),
    "cancel running": (
        RUNNING,
        CANCELED,
        lambda world, tx, job_id, _: only(tx.cancel([job_id], RUNNING, now=world.clock())),
    ),
    "cancel an attempt": (
        RUNNING,
        CANCELED,
        lambda world, tx, job_id, attempt: tx.cancel_attempt(job_id, attempt, now=world.clock()),
    ),
    "fail pending": (
        PENDING,
        FAILED,
        lambda world, tx, job_id, _: tx.fail(job_id, failed(), now=world.clock(), attempt=None),
    ),
    "fail running": (
        RUNNING,
        FAILED,
        lambda world, tx, job_id, attempt: tx.fail(
            job_id, failed(), now=world.clock(), attempt=attempt
        ),
    ),
    "finish": (
        RUNNING,
        FINISHED,
        lambda world, tx, job_id, attempt: tx.finish(
            job_id, attempt, finished(), now=world.clock(), saving_s=0.0
        ),
    ),
    "hand over": (
        RUNNING,
        PENDING,
        lambda world, tx, job_id, attempt: tx.hand_over(job_id, attempt, now=world.clock()),
    ),
}


def row(world: World, job_id: UUID) -> JobRow:
    with world.store.read() as tx:
        found = tx.job(job_id)
    assert found is not None
    return found


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Makes calls from threads that wait for each other before they begin."""
    barrier = Barrier(len(calls))

    def call(function: Callable[[], T]) -> T:
        barrier.wait(10)
        return function()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(call, calls))


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_the_table_is_what_the_docstring_says(old: JobStatus, new: JobStatus) -> None:
    if (old, new) in ALLOWED:
        check_transition(old, new)
    else:
        with pytest.raises(ValueError, match=f"a {old} job never becomes {new}"):
            check_transition(old, new)


def test_final_is_what_no_way_leads_out_of() -> None:
    assert {status for status in JobStatus if not TRANSITIONS[status]} == {
        status for status in JobStatus if status.is_final
    }


def test_the_store_knows_a_step_for_every_transition() -> None:
    # What is answered from the cache is finished when it is inserted.
    assert {(old, new) for old, new, _ in STEPS.values()} == ALLOWED - {(PENDING, FINISHED)}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("status", JobStatus)
def test_the_store_takes_a_step_only_from_where_it_leads(
    world: World, status: JobStatus, name: str
) -> None:
    old, new, step = STEPS[name]
    job_id = world.job_in(status)
    before = row(world, job_id)
    with world.store.write() as tx:
        changed = step(world, tx, job_id, before.attempt)
    if status is old:
        assert changed is not None
        assert row(world, job_id) == changed
        assert changed.status is new
    else:
        assert changed is None
        assert row(world, job_id) == before


@pytest.mark.parametrize("name", [name for name, (old, _, _) in STEPS.items() if old is RUNNING])
def test_an_attempt_that_lost_the_job_changes_nothing(world: World, name: str) -> None:
    _, _, step = STEPS[name]
    first = world.running()
    assert world.work.hand_over(first)
    second = world.claim(first.job_id)
    assert second.attempt == 2
    before = row(world, first.job_id)
    with world.store.write() as tx:
        changed = step(world, tx, first.job_id, first.attempt)
    if name == "cancel running":
        # A user cancels the job, whichever attempt runs it.
        assert changed is not None
    else:
        assert changed is None
        assert row(world, first.job_id) == before


def test_a_claim_notes_worker_lease_and_attempt(world: World) -> None:
    claim = world.running()
    claimed = row(world, claim.job_id)
    assert (claimed.attempt, claimed.worker) == (1, WORKER)
    assert claimed.started_at == world.clock()
    assert claimed.lease_until == world.clock() + timedelta(seconds=30)


@pytest.mark.parametrize("status", [FINISHED, CANCELED, FAILED])
def test_a_final_job_has_an_end_and_no_lease(world: World, status: JobStatus) -> None:
    ended = row(world, world.job_in(status))
    assert ended.finish_time == world.clock()
    assert ended.lease_until is None


@pytest.mark.parametrize("name", STEPS)
def test_a_job_that_does_not_exist_is_left_alone(world: World, name: str) -> None:
    with world.store.write() as tx:
        assert STEPS[name][2](world, tx, uuid4(), 1) is None


def test_of_many_claims_one_wins(world: World) -> None:
    for _ in range(5):
        job_id = world.submit()
        claims = at_once(
            [lambda each=each, job_id=job_id: world.work.claim(job_id, each) for each in "abcdefgh"]
        )
        won = [claim for claim in claims if claim is not None]
        assert len(won) == 1
        assert won[0].attempt == 1
        assert row(world, job_id).worker == "abcdefgh"[claims.index(won[0])]


def test_of_cancel_and_finish_one_wins(world: World) -> None:
    for _ in range(10):
        claim = world.running()
        held, canceled = at_once(
            [
                lambda claim=claim: world.work.finish(claim, finished()),
                lambda claim=claim: world.jobs.cancel(str(claim.job_id)).verdict,
            ]
        )
        status = world.status(claim.job_id)
        results = world.jobs.results(str(claim.job_id))
        if held:
            assert (canceled, status) == (CancelVerdict.TOO_LATE, FINISHED)
            assert len(results) == 1
        else:
            assert (canceled, status) == (CancelVerdict.STOPPING, CANCELED)
            assert results == []
    assert world.files() == set()


def test_of_cancel_and_claim_one_wins(world: World) -> None:
    for _ in range(10):
        job_id = world.submit()
        claim, verdict = at_once(
            [
                lambda job_id=job_id: world.work.claim(job_id, WORKER),
                lambda job_id=job_id: world.jobs.cancel(str(job_id)).verdict,
            ]
        )
        assert world.status(job_id) is CANCELED
        if claim is None:
            assert verdict is CancelVerdict.REMOVED_FROM_QUEUE
        else:
            # The claim came first, and its holder finds out.
            assert verdict is CancelVerdict.STOPPING
            assert not world.work.renew(claim)


def test_of_two_ends_of_one_attempt_one_wins(world: World) -> None:
    for _ in range(5):
        claim = world.running()
        ends = at_once(
            [
                lambda claim=claim: world.work.finish(claim, finished()),
                lambda claim=claim: world.work.fail(claim, failed()),
                lambda claim=claim: world.work.hand_over(claim),
                lambda claim=claim: world.work.cancel(claim),
            ]
        )
        assert ends.count(True) == 1
        ways = (FINISHED, FAILED, PENDING, CANCELED)
        assert world.status(claim.job_id) is ways[ends.index(True)]
