"""Processor time: added up over attempts, for the job and for its owner's day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, timedelta
from uuid import UUID

import pytest

from app.identity import ANONYMOUS, Caller
from app.jobs import Claim
from app.work import WorkService
from qdispatch.errors import JobNotFoundError
from qdispatch.model import JobStatus
from tests.core.databases import ON_DATABASES
from tests.core.journal import journal
from tests.specs import bell
from tests.world import WORKER, World, counts, failed, finished

MIDNIGHT = date(2026, 1, 3)


def today(world: World) -> date:
    return world.clock().astimezone(UTC).date()


def used(world: World, owner: str = ANONYMOUS, day: date | None = None) -> float:
    with world.store.read() as tx:
        return tx.usage.cpu_s(day or today(world)).get(owner, 0.0)


def took(world: World, claim: Claim) -> float:
    return world.info(claim.job_id).cpu_s


def finish(world: World, claim: Claim) -> None:
    world.work.finish(claim, finished(cpu_s=1.5))


def finish_large(world: World, claim: Claim) -> None:
    large = replace(counts({"00": 1}), value=bytes(2**20 + 1))
    world.work.finish(claim, finished(cpu_s=1.5, results=(large,)))


def fail(world: World, claim: Claim) -> None:
    world.work.fail(claim, replace(failed(), cpu_s=1.5))


def fault(world: World, claim: Claim) -> None:
    world.work.fault(claim, replace(failed(), cpu_s=1.5))


def last_fault(world: World, claim: Claim) -> None:
    most = world.settings.jobs.max_attempts
    world.work.fault(replace(claim, faults=most - 1), replace(failed(), cpu_s=1.5))


def hand_over(world: World, claim: Claim) -> None:
    world.work.hand_over(claim, 1.5)


def terminate(world: World, claim: Claim) -> None:
    world.work.cancel(claim, 1.5)


def cancel(world: World, claim: Claim) -> None:
    world.jobs.cancel(str(claim.job_id))
    world.work.confirm_stop(claim, 1.5)


ENDS = [finish, finish_large, fail, fault, last_fault, hand_over, terminate, cancel]


@pytest.mark.parametrize("end", ENDS, ids=[each.__name__ for each in ENDS])
def test_whatever_an_attempt_ends_by_it_is_counted_once(world: World, end: object) -> None:
    claim = world.running()
    assert callable(end)
    end(world, claim)
    assert (took(world, claim), used(world)) == (1.5, 1.5)
    # Told again, as after an answer that was lost.
    world.work.end_many([(claim, finished(cpu_s=1.5))])
    world.work.confirm_stop(claim, 1.5)
    assert (took(world, claim), used(world)) == (1.5, 1.5)


def test_attempts_add_up(world: World) -> None:
    claim = world.running()
    fault(world, claim)
    second = world.claim(claim.job_id)
    finish(world, second)
    assert took(world, claim) == used(world) == 3.0


def test_a_group_is_added_up_owner_by_owner(world: World) -> None:
    mine = [world.running() for _ in range(3)]
    yours = UUID(world.service.by(Caller(owner="you")).submit(bell(), request_id="r").id)
    claims = [*mine, world.claim(yours)]
    ended = [(each, finished(cpu_s=number + 1.0)) for number, each in enumerate(claims)]
    # One is not held any more: it counts nothing here.
    world.jobs.cancel(str(mine[0].job_id))
    assert len(world.work.end_many(ended)) == 3
    assert (used(world), used(world, "you")) == (2.0 + 3.0, 4.0)
    assert [took(world, each) for each in claims] == [0.0, 2.0, 3.0, 4.0]


def test_slots_write_rows_of_their_own_which_are_added_up(world: World) -> None:
    for number in range(2):
        work = WorkService(
            store=world.store,
            programs=world.programs,
            clock=world.clock,
            settings=world.settings.jobs,
            name=f"{WORKER} {number}",
        )
        for _ in range(2):
            assert work.finish(world.running(), finished(cpu_s=0.25))
    assert used(world) == 1.0
    with world.store.write() as tx:
        assert tx.usage.forget(MIDNIGHT) == 2


def test_a_job_whose_worker_is_lost_counts_nothing(world: World) -> None:
    claim = world.running()
    world.clock.advance(31)
    assert world.upkeep.recover() == 1
    # It was only cut off; but another has the job by now.
    world.claim(claim.job_id)
    assert world.work.confirm_stop(claim, 1.5) is JobStatus.RUNNING
    assert (took(world, claim), used(world)) == (0.0, 0.0)


def test_who_cancels_and_deletes_at_once_has_still_used_the_processor(world: World) -> None:
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    world.jobs.delete(str(claim.job_id))
    assert world.work.confirm_stop(claim, 1.5) is None
    with pytest.raises(JobNotFoundError):
        world.info(claim.job_id)
    assert used(world) == 1.5


def test_a_job_that_the_cache_answers_costs_nothing(world: World) -> None:
    world.work.report(WORKER, "aer", 1, "a-fingerprint")
    claim = world.running(seed=1)
    world.work.finish(claim, finished(cpu_s=1.5, fingerprint="a-fingerprint"))
    again = world.submit(seed=1)
    assert world.info(again).cached_from
    assert (world.info(again).cpu_s, used(world)) == (0.0, 1.5)


def test_a_day_is_one_of_utc_and_that_of_the_end(world: World) -> None:
    first, second = world.running(), world.running()
    finish(world, first)
    world.clock.advance((24 - 4) * 3600)
    assert today(world) == date(2026, 1, 2)
    world.clock.advance(3600)
    assert today(world) == MIDNIGHT
    assert used(world) == 0.0
    finish(world, second)
    assert (used(world), used(world, day=date(2026, 1, 2))) == (1.5, 1.5)


def test_what_is_long_past_is_forgotten(world: World) -> None:
    finish(world, world.running())
    world.clock.advance(timedelta(days=40).total_seconds())
    assert world.upkeep.forget_usage() == 0
    world.clock.advance(timedelta(days=1).total_seconds())
    assert world.upkeep.forget_usage() == 1
    assert used(world, day=date(2026, 1, 2)) == 0.0


@ON_DATABASES
def test_it_costs_postgresql_no_journey(world: World) -> None:
    claims = [world.running() for _ in range(3)]
    with journal(world) as given:
        world.work.end_many([(each, finished(cpu_s=1.0)) for each in claims])
    if world.settings.database.startswith("sqlite"):
        ends = ["UPDATE job", "INSERT result"] * 3
        assert given == ["begin", *ends, "INSERT usage", "commit"]
    else:
        assert given == ["WITH unnest(CAST(%(id)s"]
