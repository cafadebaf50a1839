"""What becomes of jobs that have ended: kept, deleted by hand, or by retention."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from app import history as history_module
from app.history import History
from app.jobs import EncodedResult
from app.rows import RESULT
from app.settings import HistorySettings
from qdispatch.errors import JobActiveError, JobNotFoundError
from qdispatch.model import JobStatus
from tests.fake_store import FakeStore
from tests.world import World, bell, failed, finished

DAY_S = 86_400.0


def history(world: World, **settings: Any) -> History:
    return History(settings=HistorySettings(**settings), store=world.store, clock=world.clock)


def result(size: int, kind: str = "counts") -> EncodedResult:
    return EncodedResult(result_type=kind, point=0, value=b"x" * size)


def finish(world: World, *sizes: int, **changes: Any) -> UUID:
    """A finished job whose results take so many bytes."""
    claim = world.running(**changes)
    results = tuple(result(size, str(place)) for place, size in enumerate(sizes))
    assert world.work.finish(claim, finished(results=results))
    return claim.job_id


def kept(world: World, *job_ids: UUID) -> list[bool]:
    with world.store.read() as tx:
        return [tx.job(each) is not None for each in job_ids]


def result_rows(world: World) -> int:
    store = world.store.inner
    if isinstance(store, FakeStore):
        return len(store.committed.results)
    with store.engine.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(RESULT)) or 0)


# -- deletion


@pytest.mark.parametrize("status", [each for each in JobStatus if each.is_final])
def test_a_final_job_is_deleted_with_all_that_it_has(world: World, status: JobStatus) -> None:
    job_id, other = world.job_in(status), world.job_in(JobStatus.FINISHED)
    world.programs.write({job_id: "left behind"})
    world.jobs.delete(str(job_id))
    for read in (world.jobs.get, world.jobs.results):
        with pytest.raises(JobNotFoundError):
            read(str(job_id))
    assert world.files() == set()
    assert kept(world, other) == [True]
    assert result_rows(world) == 1
    with pytest.raises(JobNotFoundError) as caught:
        world.jobs.delete(str(job_id))
    assert caught.value.field == "id"


@pytest.mark.parametrize("status", [each for each in JobStatus if not each.is_final])
def test_an_active_job_is_not_deleted(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    with pytest.raises(JobActiveError, match=f"is {status}: cancel it first") as caught:
        world.jobs.delete(str(job_id))
    assert caught.value.field == "id"
    assert world.status(job_id) is status
    assert world.files() == {job_id}


@pytest.mark.parametrize(
    "job_id", ["01a1f951-9b31-72d3-a808-5ce59e7c0087", "", "no-uuid", "x" * 1000]
)
def test_a_job_that_does_not_exist_is_not_found(world: World, job_id: str) -> None:
    with pytest.raises(JobNotFoundError) as caught:
        world.jobs.delete(job_id)
    assert caught.value.field == "id"


def test_the_request_id_of_a_deleted_job_is_free(world: World) -> None:
    first = world.jobs.submit(bell(), request_id="r")
    world.jobs.cancel(first.id)
    world.jobs.delete(first.id)
    second = world.jobs.submit(bell(shots=1), request_id="r")
    assert second.id != first.id
    assert world.files() == {UUID(second.id)}


def test_a_request_id_that_is_freed_in_between_is_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is there when the insertion looks, and gone when it is asked for."""
    from app.store import Transaction

    first = world.jobs.submit(bell(), request_id="r")
    insert = Transaction.insert_jobs
    in_vain = iter([True])

    def insert_or_not(tx: Transaction, *rows: Any) -> set[UUID]:
        return set() if next(in_vain, False) else insert(tx, *rows)

    monkeypatch.setattr(Transaction, "insert_jobs", insert_or_not)
    world.jobs.cancel(first.id)
    world.jobs.delete(first.id)
    second = world.jobs.submit(bell(), request_id="r")
    assert world.status(UUID(second.id)) is JobStatus.PENDING
    assert world.files() == {UUID(second.id)}


def test_a_job_that_is_deleted_while_its_worker_still_holds_it(world: World) -> None:
    first, second = world.running(), world.running()
    for claim in (first, second):
        world.jobs.cancel(str(claim.job_id))
        world.jobs.delete(str(claim.job_id))
        assert not world.work.renew(claim)
    assert not world.work.finish(first, finished())
    assert not world.work.fail(second, failed())
    assert world.work.status(first.job_id) is None
    assert world.work.claim(first.job_id, "aer@host") is None
    assert result_rows(world) == 0


# -- retention by age


def test_the_history_is_kept_for_ever_unless_told_otherwise(world: World) -> None:
    ids = [world.job_in(status) for status in JobStatus]
    world.clock.advance(10_000 * DAY_S)
    assert history(world).trim() == 0
    assert all(kept(world, *ids))


def test_what_ended_long_ago_is_deleted(world: World) -> None:
    old = [world.job_in(status) for status in JobStatus if status.is_final]
    world.clock.advance(DAY_S)
    young = [world.job_in(status) for status in JobStatus if status.is_final]
    world.clock.advance(0.5 * DAY_S)
    week = history(world, max_age_days=1)
    assert week.trim() == 3
    assert kept(world, *old, *young) == [False] * 3 + [True] * 3
    assert result_rows(world) == 1
    assert week.trim() == 0


def test_jobs_that_are_not_final_are_kept_however_old(world: World) -> None:
    pending, running = world.job_in(JobStatus.PENDING), world.job_in(JobStatus.RUNNING)
    gone = finish(world, 10)
    world.clock.advance(1000 * DAY_S)
    assert history(world, max_age_days=0.001, max_bytes=1).trim() == 1
    assert kept(world, pending, running, gone) == [True, True, False]
    assert world.files() == {pending, running}


def test_the_end_of_a_job_counts_and_not_its_submission(world: World) -> None:
    long = world.running()
    world.clock.advance(2 * DAY_S)
    assert world.work.finish(long, finished())
    world.clock.advance(0.5 * DAY_S)
    assert history(world, max_age_days=1).trim() == 0
    world.clock.advance(DAY_S)
    assert history(world, max_age_days=1).trim() == 1


def test_of_a_young_history_no_more_than_one_page_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "BATCH", 2)
    old = [world.job_in(JobStatus.CANCELED) for _ in range(3)]
    world.clock.advance(2 * DAY_S)
    young = [world.job_in(JobStatus.CANCELED) for _ in range(10)]
    kept_by_age = history(world, max_age_days=1)
    pages = [[each.id for each in page] for page in kept_by_age._to_go()]
    assert pages == [old[:2], old[2:]]
    assert kept_by_age.trim() == 3
    assert all(kept(world, *young))
    assert [[each.id for each in page] for page in kept_by_age._to_go()] == [[]]


# -- retention by size


def test_what_results_take_is_noted(world: World) -> None:
    job_id, without = finish(world, 10, 300), finish(world)
    world.job_in(JobStatus.FAILED)
    with world.store.read() as tx:
        rows = [tx.job(each) for each in (job_id, without)]
        assert [row and row.result_bytes for row in rows] == [310, 0]
        assert tx.history.result_bytes() == 310


def test_the_oldest_go_until_the_rest_is_within_the_limit(world: World) -> None:
    failed_first = world.job_in(JobStatus.FAILED)
    pending = world.submit()
    ids = [finish(world, 100) for _ in range(5)]
    failed_last = world.job_in(JobStatus.FAILED)
    assert history(world, max_bytes=500).trim() == 0
    assert history(world, max_bytes=499).trim() == 2
    assert kept(world, failed_first, *ids) == [False, False, True, True, True, True]
    assert history(world, max_bytes=250).trim() == 2
    assert kept(world, *ids) == [False, False, False, True, True]
    assert history(world, max_bytes=1).trim() == 2
    assert kept(world, pending, failed_last) == [True, True]
    assert result_rows(world) == 0


def test_a_limit_of_no_bytes_is_none(world: World) -> None:
    finish(world, 100)
    assert history(world, max_bytes=0).trim() == 0


def test_age_and_size_together(world: World) -> None:
    old = finish(world, 100)
    world.clock.advance(2 * DAY_S)
    ids = [finish(world, 100) for _ in range(3)]
    assert history(world, max_age_days=1, max_bytes=200).trim() == 2
    assert kept(world, old, *ids) == [False, False, True, True]


# -- in portions


def test_it_is_done_in_portions_and_another_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "BATCH", 3)
    monkeypatch.setattr(history_module, "MOST", 6)
    ids = [world.job_in(JobStatus.CANCELED) for _ in range(8)]
    world.clock.advance(2 * DAY_S)
    daily = history(world, max_age_days=1)
    assert daily.trim() == 6
    assert kept(world, *ids) == [False] * 6 + [True] * 2
    assert daily.trim() == 2
    assert daily.trim() == 0


def test_much_is_not_deleted_in_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "BATCH_BYTES", 250)
    for size in (100, 100, 100, 900, 1):
        finish(world, size)
    sizes = []
    for page in history(world, max_bytes=1)._to_go():
        sizes += [len(batch) for batch in history_module._batches(page)]
    assert sizes == [2, 1, 1]
    assert history(world, max_bytes=1).trim() == 4
