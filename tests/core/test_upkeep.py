"""What the sweep does for jobs that nobody else takes care of."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from app.identity import ANONYMOUS
from app.ports import Dispatch
from app.rows import JobRow
from app.upkeep import Upkeep
from qdispatch.errors import UnavailableError
from qdispatch.model import JobStatus
from tests.world import World, bell, failed, finished


def sent(world: World) -> list[UUID]:
    """What was sent since the last look."""
    ids = [each.job_id for each in world.dispatcher.sent]
    world.dispatcher.sent.clear()
    return ids


def write_file(world: World, job_id: UUID, written_at: datetime) -> None:
    world.programs.write({job_id: "OPENQASM 2.0;"})
    path = Path(world.settings.data_dir) / "programs" / f"{job_id}.qasm"
    os.utime(path, (written_at.timestamp(), written_at.timestamp()))


# -- what was committed and not sent


def test_unsent_jobs_are_sent_after_a_while(world: World) -> None:
    first, second = world.submit(), world.submit(target="cirq")
    dispatches = list(world.dispatcher.sent)
    sent(world)
    assert world.upkeep.resend() == 0
    world.clock.advance(6)
    assert world.upkeep.resend() == 2
    assert [replace(each, urgency=0) for each in world.dispatcher.sent] == dispatches
    assert sent(world) == [first, second]


def test_sent_jobs_are_not_sent_again(world: World) -> None:
    job_id = world.submit()
    sent(world)
    world.upkeep.mark_sent([Dispatch(job_id=job_id, target="aer", label="")])
    world.clock.advance(1000)
    assert world.upkeep.resend() == 0
    assert sent(world) == []


@pytest.mark.parametrize("status", [each for each in JobStatus if each is not JobStatus.PENDING])
def test_only_pending_jobs_are_sent(world: World, status: JobStatus) -> None:
    world.job_in(status)
    sent(world)
    world.clock.advance(10)
    assert world.upkeep.resend() == 0


def test_the_oldest_are_sent_first(world: World) -> None:
    ids = [world.submit() for _ in range(3)]
    world.clock.advance(6)
    with world.store.read() as tx:
        found = tx.feeding.next(("aer", ANONYMOUS), world.clock(), world.clock(), 2)
    assert [each.id for each in found] == ids[:2]
    assert world.upkeep.resend() == 3


def test_a_job_that_was_handed_over_is_sent_at_once(world: World) -> None:
    claim = world.running()
    world.upkeep.mark_sent([Dispatch(job_id=claim.job_id, target="aer", label="")])
    sent(world)
    world.clock.advance(6)
    world.work.hand_over(claim)
    assert world.upkeep.resend() == 1
    assert sent(world) == [claim.job_id]


# -- what the broker lost


def was_sent(world: World, *job_ids: UUID) -> None:
    world.upkeep.mark_sent([Dispatch(job_id=each, target="aer", label="") for each in job_ids])
    sent(world)


def test_what_is_in_no_queue_is_sent_again(world: World) -> None:
    jobs = [world.submit() for _ in range(3)]
    was_sent(world, *jobs)
    assert world.upkeep.resend_lost() == 0
    world.clock.advance(16)
    assert world.upkeep.resend_lost() == 3
    assert sent(world) == jobs
    was_sent(world, *jobs)
    assert world.upkeep.resend_lost() == 0


def test_a_long_queue_that_is_slow_is_not_flooded(world: World) -> None:
    jobs = [world.submit() for _ in range(50)]
    was_sent(world, *jobs)
    world.queues.lengths["aer"] = 50
    world.clock.advance(1e6)
    assert world.upkeep.resend_lost() == 0


def test_no_more_is_sent_again_than_is_missing_and_the_oldest_first(world: World) -> None:
    jobs = [world.submit() for _ in range(5)]
    was_sent(world, *jobs)
    world.queues.lengths["aer"] = 3
    world.clock.advance(16)
    assert world.upkeep.resend_lost() == 2
    assert sent(world) == jobs[:2]


def test_queues_are_looked_at_one_by_one(world: World) -> None:
    lost, kept = world.submit(), world.submit(target="cirq")
    was_sent(world, lost, kept)
    world.queues.lengths["cirq"] = 1
    world.clock.advance(16)
    assert world.upkeep.resend_lost() == 1
    assert sent(world) == [lost]


@pytest.mark.parametrize("status", [each for each in JobStatus if each is not JobStatus.PENDING])
def test_only_pending_jobs_can_be_lost(world: World, status: JobStatus) -> None:
    was_sent(world, world.job_in(status))
    world.clock.advance(100)
    assert world.upkeep.resend_lost() == 0


def test_a_broker_that_is_away_has_lost_nothing_yet(world: World) -> None:
    was_sent(world, world.submit())
    world.clock.advance(16)
    world.queues.away = True
    with pytest.raises(UnavailableError):
        world.upkeep.resend_lost()
    assert sent(world) == []


# -- what a lost worker held


def test_workers_get_time_to_renew_after_the_database_was_away(world: World) -> None:
    claim = world.running()
    world.store.away = True
    with pytest.raises(UnavailableError):
        world.upkeep.recover()
    world.clock.advance(60)
    world.store.away = False
    assert world.upkeep.recover() == 0
    assert world.work.renew(claim)
    world.clock.advance(11)
    assert world.upkeep.recover() == 0
    assert world.status(claim.job_id) is JobStatus.RUNNING
    world.clock.advance(20)
    assert world.upkeep.recover() == 1
    assert world.info(claim.job_id).faults == 1


def test_a_lapsed_lease_gives_the_job_back(world: World) -> None:
    claim = world.running()
    world.clock.advance(29)
    assert world.upkeep.recover() == 0
    world.clock.advance(2)
    assert world.upkeep.recover() == 1
    assert world.status(claim.job_id) is JobStatus.PENDING
    assert world.files() == {claim.job_id}
    assert not world.work.finish(claim, finished())
    sent(world)
    world.clock.advance(6)
    assert world.upkeep.resend() == 1
    assert sent(world) == [claim.job_id]


def test_a_lease_that_is_renewed_while_the_sweep_looks_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = world.running()
    world.clock.advance(31)
    look = world.upkeep._lapsed

    def look_and_be_late() -> list[JobRow]:
        lapsed = look()
        assert world.work.renew(claim)
        return lapsed

    monkeypatch.setattr(world.upkeep, "_lapsed", look_and_be_late)
    world.upkeep.recover()
    info = world.info(claim.job_id)
    assert (info.status, info.faults) == (JobStatus.RUNNING, 0)


def test_a_sweep_that_starts_gives_workers_time_to_renew(world: World) -> None:
    claim = world.running()
    world.clock.advance(60)
    fresh = Upkeep(
        settings=world.settings.jobs,
        store=world.store,
        programs=world.programs,
        dispatcher=world.dispatcher,
        queues=world.queues,
        clock=world.clock,
        targets={"aer": 2},
    )
    assert fresh.recover() == 0
    world.clock.advance(9)
    assert fresh.recover() == 0
    assert world.status(claim.job_id) is JobStatus.RUNNING
    world.clock.advance(2)
    assert fresh.recover() == 1


def test_jobs_of_a_target_that_is_gone_are_in_nobodys_way(world: World) -> None:
    """They wait until it is in the settings again."""
    gone, here = world.submit(target="cirq"), world.submit()
    sent(world)
    world.clock.advance(60)
    upkeep = Upkeep(
        settings=world.settings.jobs,
        store=world.store,
        programs=world.programs,
        dispatcher=world.dispatcher,
        queues=world.queues,
        clock=world.clock,
        targets={"aer": 2},
    )
    assert upkeep.resend() == 1
    assert sent(world) == [here]
    upkeep.mark_sent([Dispatch(job_id=each, target="", label="") for each in (gone, here)])
    world.clock.advance(60)
    assert upkeep.resend_lost() == 1
    assert sent(world) == [here]


def test_a_renewed_lease_does_not_lapse(world: World) -> None:
    claim = world.running()
    for _ in range(5):
        world.clock.advance(20)
        assert world.work.renew(claim)
        assert world.upkeep.recover() == 0
    assert world.status(claim.job_id) is JobStatus.RUNNING


def test_a_job_that_loses_its_worker_too_often_fails(world: World) -> None:
    job_id = world.submit()
    for attempt in (1, 2, 3):
        assert world.claim(job_id, f"aer@{attempt}").attempt == attempt
        world.clock.advance(31)
        assert world.upkeep.recover() == 1
    info = world.info(job_id)
    assert info.status is JobStatus.FAILED
    assert info.error is not None
    assert info.error.kind == "worker_lost"
    assert "aer@3" in info.error.message
    assert "3 attempts" in info.error.message
    assert info.faults == 3
    assert info.finish_time == world.clock()
    assert world.files() == set()
    assert world.upkeep.recover() == 0


@pytest.mark.parametrize("status", [each for each in JobStatus if each is not JobStatus.RUNNING])
def test_only_running_jobs_lapse(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    world.clock.advance(1e6)
    assert world.upkeep.recover() == 0
    assert world.status(job_id) is status


# -- litter


def test_old_files_without_a_living_job_are_removed(world: World) -> None:
    now = world.clock()
    orphan = uuid4()
    ended = [world.job_in(status) for status in JobStatus if status.is_final]
    for job_id in (orphan, *ended):
        write_file(world, job_id, now)
    world.clock.advance(599)
    assert world.upkeep.tidy() == 0
    assert world.files() == {orphan, *ended}
    world.clock.advance(2)
    assert world.upkeep.tidy() == 4
    assert world.files() == set()


def test_files_of_active_jobs_are_kept_however_old(world: World) -> None:
    pending, running = world.submit(), world.running().job_id
    for job_id in (pending, running):
        write_file(world, job_id, world.clock())
    world.clock.advance(1e6)
    assert world.upkeep.tidy() == 0
    assert world.files() == {pending, running}


def test_workers_that_died_are_forgotten_after_an_hour(world: World) -> None:
    world.work.report("aer@dead", "aer", 2)
    world.clock.advance(3599)
    world.work.report("aer@alive", "aer", 2)
    assert world.upkeep.forget_workers() == 0
    world.clock.advance(2)
    assert world.upkeep.forget_workers() == 1
    assert world.service.targets()[0].workers_online == 1


def test_young_files_are_kept(world: World) -> None:
    young, old = uuid4(), uuid4()
    write_file(world, old, world.clock())
    world.clock.advance(601)
    write_file(world, young, world.clock())
    assert world.upkeep.tidy() == 1
    assert world.files() == {young}


def test_foreign_files_are_left_alone(world: World) -> None:
    foreign = world.settings.data_dir / "programs" / "README.txt"
    foreign.write_text("mine")
    os.utime(foreign, (0, 0))
    assert world.upkeep.tidy() == 0
    assert foreign.read_text() == "mine"


def test_a_submission_that_never_committed_is_litter_later(world: World) -> None:
    world.store.away = True
    with pytest.raises(UnavailableError):
        world.jobs.submit(bell(), request_id="r")
    world.store.away = False
    (job_id,) = world.files()
    write_file(world, job_id, world.clock())
    world.clock.advance(601)
    assert world.upkeep.tidy() == 1
    assert world.files() == set()


def test_a_folder_that_is_away_is_an_error_that_the_sweep_knows(world: World) -> None:
    (world.settings.data_dir / "programs").rmdir()
    with pytest.raises(UnavailableError):
        world.upkeep.tidy()


def test_ended_jobs_are_not_disturbed_by_any_of_it(world: World) -> None:
    world.work.fail(world.running(), failed())
    before = [world.info(each) for each in [world.job_in(JobStatus.FINISHED)]]
    world.clock.advance(1e6)
    world.upkeep.recover()
    world.upkeep.resend()
    world.upkeep.tidy()
    assert [world.info(UUID(each.id)) for each in before] == before
