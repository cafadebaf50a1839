"""What operators do with targets: paused, drained, resumed."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any
from uuid import UUID

import pytest

from app.ports import Dispatch
from app.store import Store, Transaction
from qdispatch.errors import RequestConflictError, TargetDrainedError, UnknownTargetError
from qdispatch.model import CancelVerdict, JobStatus, TargetState
from tests.core.databases import ON_DATABASES
from tests.waiting import wait_until
from tests.world import WORKER, World, bell, finished

ACTIVE, PAUSED, DRAINED = TargetState.ACTIVE, TargetState.PAUSED, TargetState.DRAINED


def sent_at(world: World, job_id: UUID) -> Any:
    with world.store.read() as tx:
        row = tx.job(job_id)
    assert row is not None
    return row.sent_at


def job_ids(world: World) -> set[UUID]:
    with world.store.read() as tx:
        return set(tx.history.active())


def note_sent(world: World, job_id: UUID, attempt: int = 0) -> None:
    world.service.mark_sent([Dispatch(job_id=job_id, target="aer", label="", attempt=attempt)])


def resent(world: World) -> list[UUID]:
    """What the sweep sends, once it is time to."""
    world.clock.advance(6)
    world.dispatcher.sent.clear()
    world.upkeep.resend()
    return [each.job_id for each in world.dispatcher.sent]


# -- states


def test_a_target_is_active_unless_it_was_put_into_another_state(world: World) -> None:
    assert {each.state for each in world.service.targets()} == {ACTIVE}
    for state in (PAUSED, DRAINED, ACTIVE):
        world.targets.set_state("cirq", state)
        assert [each.state for each in world.service.targets()] == [ACTIVE, state, ACTIVE]
        assert [each.state for each in world.targets.states()] == [ACTIVE, state, ACTIVE]


def test_a_state_is_dated_by_its_change(world: World) -> None:
    world.targets.set_state("cirq", PAUSED)
    first = world.clock()
    world.clock.advance(60)
    world.targets.set_state("cirq", PAUSED)
    assert [each.changed_at for each in world.targets.states()] == [None, first, None]
    world.targets.set_state("cirq", DRAINED)
    assert world.targets.states()[1].changed_at == world.clock()


def test_operators_see_the_load_of_each_target(world: World) -> None:
    world.work.report("aer@one", "aer", 2)
    world.running(target="aer")
    for _ in range(2):
        world.submit(target="aer")
    aer, cirq, _ = world.targets.states()
    assert (aer.workers, aer.running, aer.waiting) == (1, 1, 2)
    assert (cirq.workers, cirq.running, cirq.waiting) == (0, 0, 0)


def test_a_target_that_is_not_there_cannot_be_changed(world: World) -> None:
    with pytest.raises(UnknownTargetError, match="there are: aer, cirq, pennylane"):
        world.targets.set_state("ibm", PAUSED)
    with pytest.raises(UnknownTargetError, match="'ibm'"):
        world.targets.requeue("ibm")


# -- paused


def test_a_paused_target_accepts_and_does_not_start(world: World) -> None:
    before = world.submit()
    world.targets.set_state("aer", PAUSED)
    during = world.submit()
    assert [world.status(each) for each in (before, during)] == [JobStatus.PENDING] * 2
    for job_id in (before, during):
        assert world.work.claim(job_id, WORKER) is None
    # It would be taken and thrown away.
    assert during not in {each.job_id for each in world.dispatcher.sent}
    assert resent(world) == []
    assert world.info(before).attempt == 0


def test_other_targets_go_on(world: World) -> None:
    world.targets.set_state("aer", PAUSED)
    job_id = world.submit(target="cirq")
    assert resent(world) == [job_id]
    assert world.work.finish(world.claim(job_id), finished())


def test_after_the_pause_every_job_is_sent_whatever_became_of_its_message(world: World) -> None:
    taken, waiting, late = world.submit(), world.submit(), world.submit()
    for job_id in (taken, waiting):
        note_sent(world, job_id)
    world.targets.set_state("aer", PAUSED)
    for job_id in (taken, late):
        assert world.work.claim(job_id, WORKER) is None
    # The server notes what it has sent a little later than it is taken.
    note_sent(world, late)
    during = world.submit()
    assert sent_at(world, taken) is None
    assert sent_at(world, waiting) is not None
    assert resent(world) == []
    world.targets.set_state("aer", ACTIVE)
    assert resent(world) == [taken, late, during]
    for job_id in (taken, waiting, late, during):
        assert world.work.finish(world.claim(job_id), finished())


def test_what_the_broker_lost_during_a_pause_is_sent_after_it(world: World) -> None:
    job_id = world.submit()
    note_sent(world, job_id)
    world.targets.set_state("aer", PAUSED)
    world.clock.advance(1000)
    assert world.upkeep.resend_lost() == 0
    world.targets.set_state("aer", ACTIVE)
    assert world.upkeep.resend_lost() == 1


def test_a_job_that_runs_goes_on_through_a_pause(world: World) -> None:
    claim = world.running()
    world.targets.set_state("aer", PAUSED)
    assert world.work.renew(claim)
    assert world.work.finish(claim, finished())


def test_a_job_that_loses_its_worker_waits_for_the_end_of_the_pause(world: World) -> None:
    claim = world.running()
    world.targets.set_state("aer", PAUSED)
    world.clock.advance(31)
    world.upkeep.recover()
    assert world.status(claim.job_id) is JobStatus.PENDING
    assert resent(world) == []
    world.targets.set_state("aer", ACTIVE)
    world.clock.advance(3600)
    assert resent(world) == [claim.job_id]


def test_a_waiting_job_of_a_paused_target_can_be_canceled(world: World) -> None:
    world.targets.set_state("aer", PAUSED)
    job_id = world.submit()
    assert world.jobs.cancel(str(job_id)).verdict is CancelVerdict.REMOVED_FROM_QUEUE
    world.targets.set_state("aer", ACTIVE)
    assert resent(world) == []


@pytest.mark.parametrize("status", [each for each in JobStatus if each is not JobStatus.PENDING])
def test_a_message_in_vain_changes_nothing_but_pending_jobs(
    world: World, status: JobStatus
) -> None:
    job_id = world.job_in(status)
    world.targets.set_state("aer", PAUSED)
    before = world.info(job_id)
    assert world.work.claim(job_id, WORKER) is None
    assert world.info(job_id) == before


# -- drained


def test_a_drained_target_finishes_and_accepts_no_more(world: World) -> None:
    waiting, claim = world.submit(), world.running()
    files = world.files()
    world.targets.set_state("aer", DRAINED)
    world.dispatcher.sent.clear()
    with pytest.raises(TargetDrainedError, match=r"aer is drained.*name another target") as caught:
        world.submit()
    assert caught.value.field == "spec.target"
    assert world.files() == files
    assert job_ids(world) == {waiting, claim.job_id}
    assert world.dispatcher.sent == []
    assert world.work.finish(claim, finished())
    assert resent(world) == [waiting]
    assert world.work.finish(world.claim(waiting), finished())
    world.targets.set_state("aer", ACTIVE)
    assert world.status(world.submit()) is JobStatus.PENDING


def test_a_paused_target_that_is_drained_ends_its_jobs(world: World) -> None:
    world.targets.set_state("aer", PAUSED)
    job_id = world.submit()
    world.targets.set_state("aer", DRAINED)
    assert resent(world) == [job_id]
    assert world.work.finish(world.claim(job_id), finished())


@pytest.mark.parametrize("target", ["aer", ""])
def test_a_repeated_request_is_answered_by_its_job(world: World, target: str) -> None:
    first = world.jobs.submit(bell(target=target), request_id="r")
    for name in world.settings.targets:
        world.targets.set_state(name, DRAINED)
    assert world.jobs.submit(bell(target=target), request_id="r").id == first.id
    assert world.files() == {UUID(first.id)}
    with pytest.raises((RequestConflictError, TargetDrainedError)):
        world.jobs.submit(bell(target=target, shots=1), request_id="r")
    assert world.files() == {UUID(first.id)}


# -- the target that the server picks


def picked(world: World, **changes: Any) -> str:
    return world.info(world.submit(target="", **changes)).spec.target


def test_drained_targets_are_not_picked(world: World) -> None:
    world.targets.set_state("aer", DRAINED)
    world.targets.set_state("cirq", DRAINED)
    assert {picked(world) for _ in range(4)} == {"pennylane"}
    with pytest.raises(TargetDrainedError, match=r"all targets that fit are drained \(.*cirq"):
        picked(world, n_qubits=25)
    world.targets.set_state("pennylane", DRAINED)
    with pytest.raises(TargetDrainedError) as caught:
        picked(world)
    assert caught.value.field == "spec.target"
    world.targets.set_state("cirq", ACTIVE)
    assert picked(world) == "cirq"


def test_a_job_that_fits_one_drained_target_only_is_refused(world: World) -> None:
    world.targets.set_state("aer", DRAINED)
    with pytest.raises(TargetDrainedError, match="target aer is drained"):
        picked(world, n_qubits=100)
    assert world.files() == set()


def test_a_paused_target_is_picked_if_no_other_fits(world: World) -> None:
    for name in ("aer", "cirq"):
        world.targets.set_state(name, PAUSED)
        world.work.report(f"{name}@host", name, 8)
    # However loaded, and without a worker.
    assert {picked(world) for _ in range(4)} == {"pennylane"}
    assert picked(world, n_qubits=100) == "aer"
    world.targets.set_state("pennylane", DRAINED)
    assert picked(world) in {"aer", "cirq"}


def test_the_target_that_was_picked_is_drained_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The idlest by far, until it is drained.
    world.work.report("cirq@host", "cirq", 8)
    world.work.report("pennylane@host", "pennylane", 4)
    world.targets.set_state("aer", DRAINED)
    world.submit(target="pennylane")
    write = world.programs.write

    def drain_first(*arguments: Any) -> None:
        world.targets.set_state("cirq", DRAINED)
        write(*arguments)

    monkeypatch.setattr(world.programs, "write", drain_first)
    before = world.files()
    job_id = world.submit(target="")
    assert world.info(job_id).spec.target == "pennylane"
    assert world.files() - before == {job_id}


# -- the moment of a change


@contextmanager
def paused_before_commit(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> Iterator[tuple[Event, Event]]:
    """Stops a step of a transaction after its statement: (it is there, it may go on)."""
    reached, go_on = Event(), Event()
    step: Callable[..., Any] = getattr(owner, method)

    def stop(*arguments: Any, **named: Any) -> Any:
        outcome = step(*arguments, **named)
        reached.set()
        assert go_on.wait(10)
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, stop)
        try:
            yield reached, go_on
        finally:
            go_on.set()


def waits(future: Future[Any]) -> bool:
    time.sleep(0.3)
    return not future.done()


def in_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement and its commit, so that something can happen in between."""
    monkeypatch.setattr(Store, "once", Store.write)


@ON_DATABASES
def test_a_drain_waits_for_the_jobs_that_are_being_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_two_steps(monkeypatch)
    with ThreadPoolExecutor(2) as threads:
        with paused_before_commit(monkeypatch, Transaction, "accept_jobs") as (reached, go_on):
            submission = threads.submit(world.submit)
            assert reached.wait(10)
            drain = threads.submit(world.targets.set_state, "aer", DRAINED)
            assert waits(drain)
            go_on.set()
            drain.result(10)
            # At the very moment of the acknowledgment the job is there.
            assert job_ids(world) == {submission.result(10)}


@ON_DATABASES
def test_a_pause_waits_for_the_jobs_that_are_being_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_two_steps(monkeypatch)
    job_id = world.submit()
    with ThreadPoolExecutor(2) as threads:
        with paused_before_commit(monkeypatch, Transaction, "claim") as (reached, go_on):
            claim = threads.submit(world.work.claim, job_id, WORKER)
            assert reached.wait(10)
            pause = threads.submit(world.targets.set_state, "aer", PAUSED)
            assert waits(pause)
            go_on.set()
            pause.result(10)
            assert world.status(job_id) is JobStatus.RUNNING
            assert claim.result(10) is not None


@ON_DATABASES
def test_whoever_comes_during_a_change_meets_the_new_state(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.store_targets import TargetStatements

    waiting = world.submit(target="cirq")
    world.targets.set_state("cirq", PAUSED)
    world.targets.set_state("cirq", ACTIVE)
    with ThreadPoolExecutor(3) as threads:
        for name, state in (("aer", DRAINED), ("cirq", PAUSED)):
            with paused_before_commit(monkeypatch, TargetStatements, "set_state") as (there, go_on):
                change = threads.submit(world.targets.set_state, name, state)
                assert there.wait(10)
                if state is DRAINED:
                    late: Future[Any] = threads.submit(world.submit)
                else:
                    late = threads.submit(world.work.claim, waiting, WORKER)
                assert waits(late)
                go_on.set()
                change.result(10)
            if state is DRAINED:
                with pytest.raises(TargetDrainedError):
                    late.result(10)
            else:
                assert late.result(10) is None


def test_nothing_is_accepted_after_a_drain_was_acknowledged(world: World) -> None:
    stop = Event()
    accepted, refused = [0] * 4, [0] * 4

    def submit(number: int) -> None:
        while not stop.is_set():
            request_id = f"{number}-{accepted[number] + refused[number]}"
            try:
                world.jobs.submit(bell(), request_id=request_id)
                accepted[number] += 1
            except TargetDrainedError:
                refused[number] += 1

    def each_more_often(counts: list[int]) -> bool:
        before = list(counts)
        return wait_until(lambda: all(map(operator.lt, before, counts)), 20)

    with ThreadPoolExecutor(4) as threads:
        submissions = [threads.submit(submit, number) for number in range(4)]
        try:
            for _ in range(5):
                assert each_more_often(accepted)
                world.targets.set_state("aer", DRAINED)
                at_once = job_ids(world)
                # Then whatever was under way at the acknowledgment has come to its end.
                assert each_more_often(refused)
                assert job_ids(world) == at_once
                world.targets.set_state("aer", ACTIVE)
        finally:
            stop.set()
        for each in submissions:
            each.result(30)
    assert sum(accepted) == len(job_ids(world)) == len(world.files())


def test_nothing_starts_after_a_pause_was_acknowledged(world: World) -> None:
    ids = iter([world.submit() for _ in range(120)])
    stop = Event()

    def claim() -> set[UUID]:
        started = set()
        job_id = next(ids, None)
        while job_id is not None and not stop.is_set():
            if world.work.claim(job_id, WORKER) is None:
                time.sleep(0.005)
                continue
            started.add(job_id)
            job_id = next(ids, None)
            # Enough of them wait to the end.
            time.sleep(0.002)
        return started

    def running() -> int:
        with world.store.read() as tx:
            return tx.load().get(("aer", JobStatus.RUNNING), 0)

    with ThreadPoolExecutor(1) as threads:
        claims = threads.submit(claim)
        for _ in range(4):
            time.sleep(0.02)
            world.targets.set_state("aer", PAUSED)
            at_once = running()
            time.sleep(0.04)
            assert running() == at_once
            world.targets.set_state("aer", ACTIVE)
        stop.set()
        assert len(claims.result(30)) == running() > 0


# -- sending again


def test_requeue_has_the_sweep_send_what_waits(world: World) -> None:
    aer, cirq, running = world.submit(), world.submit(target="cirq"), world.running().job_id
    for job_id in (aer, cirq, running):
        note_sent(world, job_id)
    world.job_in(JobStatus.FINISHED)
    assert resent(world) == []
    assert world.targets.requeue("cirq") == 1
    assert resent(world) == [cirq]
    assert world.targets.requeue() == 2
    assert resent(world) == [aer, cirq]
