"""claim -> simulate -> finish, with an engine that does as the script says."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.identity import ANONYMOUS
from app.jobs import Claim, Failed, Finished
from app.service import JobService
from qdispatch.model import ErrorKind, JobStatus, ProgramFormat
from tasks import settle
from tasks.engine import EngineError, Exited, ImpatientError, OverMemory, Progress, Signal
from tasks.run import JobRunner
from tests.fakes import Event, ManualStop, ScriptedEngine
from tests.specs import BELL
from tests.world import WORKER, World, failed, finished


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def stop() -> ManualStop:
    return ManualStop()


@pytest.fixture
def runner(world: World, engine: ScriptedEngine, stop: ManualStop) -> JobRunner:
    return JobRunner(work=world.work, engine=engine, worker=WORKER, stop=stop)


def meanwhile(happens: Callable[[], object], event: Event = Signal.WOKEN) -> Callable[[], Event]:
    """A step of the script at which something happens elsewhere."""

    def step() -> Event:
        happens()
        return event

    return step


def cancel(jobs: JobService, job_id: UUID) -> Callable[[], object]:
    return lambda: jobs.cancel(str(job_id))


# -- the kernel's limits


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (signal.SIGXCPU, ErrorKind.TIME_LIMIT, "its time limit of 600 s"),
        (signal.SIGXFSZ, ErrorKind.UNSUPPORTED, "jobs.max_result_bytes"),
    ],
)
def test_a_limit_that_the_kernel_keeps_is_no_crash(
    world: World, engine: ScriptedEngine, runner: JobRunner, number: int, kind: str, says: str
) -> None:
    job_id = world.submit()
    engine.script = deque([Exited(signal=number, code=0, peak_bytes=5)])
    assert runner.run(job_id).status is JobStatus.FAILED
    info = world.info(job_id)
    assert info.error is not None
    assert info.error.kind == kind
    assert says in info.error.message
    assert (info.peak_memory_bytes, info.faults) == (5, 0)


# -- the engine answers


def test_a_job_that_goes_well(world: World, engine: ScriptedEngine, runner: JobRunner) -> None:
    job_id = world.submit(seed=3)
    engine.script = deque([finished()])
    ending = runner.run(job_id)
    assert (ending.status, ending.attempt, ending.error) == (JobStatus.FINISHED, 1, None)
    assert world.status(job_id) is JobStatus.FINISHED
    assert world.info(job_id).worker == WORKER
    assert len(world.jobs.results(str(job_id))) == 1
    assert world.files() == set()
    (spec,) = engine.specs
    assert (spec.program, spec.seed, spec.time_limit_s) == (BELL, 3, 600.0)


def test_a_job_that_fails(world: World, engine: ScriptedEngine, runner: JobRunner) -> None:
    job_id = world.submit()
    outcome = failed()
    engine.script = deque([outcome])
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (JobStatus.FAILED, outcome)
    error = world.info(job_id).error
    assert error is not None
    assert (error.kind, error.message) == ("unsupported", "no such gate")
    assert engine.alive
    assert world.files() == set()


@pytest.mark.parametrize(
    ("exited", "says"),
    [(Exited(signal=11, code=0), "killed by SIGSEGV"), (Exited(signal=0, code=3), "exit code 3")],
)
def test_an_engine_that_dies(
    world: World, engine: ScriptedEngine, runner: JobRunner, exited: Exited, says: str
) -> None:
    job_id = world.submit()
    for attempt in (1, 2, 3):
        engine.script = deque([exited])
        ending = runner.run(job_id)
        # A fresh one is the slot's to have, once the outcome is kept.
        assert (engine.alive, engine.starts) == (False, attempt)
        if attempt < 3:
            assert (ending.status, ending.attempt) == (None, attempt)
            assert world.status(job_id) is JobStatus.PENDING
    assert ending.status is JobStatus.FAILED
    error = world.info(job_id).error
    assert error is not None
    assert error.kind == "crashed"
    assert says in error.message
    assert "(the last of 3 faults)" in error.message


def test_an_engine_that_is_lost_for_want_of_memory(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    job_id = world.submit()
    engine.script = deque([Exited(signal=9, code=0, out_of_memory=True, peak_bytes=3 * 2**30)])
    ending = runner.run(job_id)
    assert ending.error is not None
    assert ending.error.kind is ErrorKind.OUT_OF_MEMORY
    assert "3.00 GiB" in ending.error.message
    assert world.info(job_id).peak_memory_bytes == 3 * 2**30
    assert world.status(job_id) is JobStatus.FAILED


def test_a_run_over_its_memory_limit(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    job_id = world.submit()
    over = OverMemory(taken_bytes=5 * 2**30, limit_bytes=4 * 2**30, peak_bytes=6 * 2**30)
    engine.script = deque([over])
    ending = runner.run(job_id)
    assert ending.error is not None
    assert ending.error.kind is ErrorKind.OUT_OF_MEMORY
    assert "5.00 GiB" in ending.error.message
    assert "4.00 GiB" in ending.error.message
    assert world.info(job_id).peak_memory_bytes == 6 * 2**30
    assert (engine.kills, engine.alive) == (1, False)
    assert world.files() == set()


def test_waiting_for_an_engine_is_no_part_of_the_time_limit(
    world: World, engine: ScriptedEngine, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.submit(time_limit_s=5.0)
    now = [100.0]
    monkeypatch.setattr(settle.time, "monotonic", lambda: now[0])
    start = engine.start

    def slow() -> None:
        now[0] += 60
        start()

    monkeypatch.setattr(engine, "start", slow)
    engine.script = deque([Signal.TIMEOUT, finished()])
    assert runner.run(job_id).status is JobStatus.FINISHED


def test_one_engine_serves_many_jobs(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    for outcome in (finished(), failed(), finished()):
        engine.script.append(outcome)
        assert runner.run(world.submit()).attempt == 1
    assert engine.starts == 1


def test_no_engine_is_tried_again_and_then_an_internal_error(
    world: World, engine: ScriptedEngine, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise EngineError("the fork server does not answer")

    monkeypatch.setattr(engine, "start", refuse)
    job_id = world.submit()
    assert [runner.run(job_id).status for _ in range(3)] == [None, None, JobStatus.FAILED]
    error = world.info(job_id).error
    assert error is not None
    assert error.kind == ErrorKind.INTERNAL
    assert world.files() == set()


def test_a_job_that_is_canceled_while_it_waits_for_an_engine(
    world: World, engine: ScriptedEngine, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.submit()

    def never() -> None:
        world.jobs.cancel(str(job_id))
        raise ImpatientError("nobody waits for an engine any more")

    monkeypatch.setattr(engine, "start", never)
    assert runner.run(job_id).status is JobStatus.CANCELED
    assert world.info(job_id).stopped_at is not None
    assert world.info(job_id).faults == 0


# -- what is not to be run


def test_a_job_that_was_canceled_before_is_not_run(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    ending = runner.run(world.job_in(JobStatus.CANCELED))
    assert ending.status is JobStatus.CANCELED
    assert engine.specs == []


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.FINISHED, JobStatus.FAILED])
def test_a_message_that_comes_again_changes_nothing(
    world: World, engine: ScriptedEngine, runner: JobRunner, status: JobStatus
) -> None:
    job_id = world.job_in(status)
    before = world.info(job_id)
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (None, None)
    assert world.info(job_id) == before
    assert engine.specs == []


def test_a_job_that_nobody_knows_is_not_run(engine: ScriptedEngine, runner: JobRunner) -> None:
    assert runner.run(uuid4()).status is None
    assert engine.specs == []


def test_a_program_that_is_gone(world: World, engine: ScriptedEngine, runner: JobRunner) -> None:
    job_id = world.submit()
    world.programs.delete(job_id)
    ending = runner.run(job_id)
    assert ending.error is not None
    assert ending.error.kind is ErrorKind.PROGRAM_LOST
    assert str(job_id) in ending.error.message
    assert world.status(job_id) is JobStatus.FAILED
    assert engine.specs == []


# -- limits


def test_a_run_over_its_time_limit(world: World, engine: ScriptedEngine, runner: JobRunner) -> None:
    job_id = world.submit(time_limit_s=1e-9)
    ending = runner.run(job_id)
    assert ending.error is not None
    assert ending.error.kind is ErrorKind.TIME_LIMIT
    assert "1e-09 s" in ending.error.message
    assert world.status(job_id) is JobStatus.FAILED
    assert (engine.kills, engine.starts, engine.alive) == (1, 1, False)
    assert world.files() == set()


@pytest.mark.parametrize("end", ["memory", "time", "crash", "cancel", "leave", "terminate"])
def test_what_a_job_took_until_it_was_ended_is_counted(
    world: World, engine: ScriptedEngine, runner: JobRunner, stop: ManualStop, end: str
) -> None:
    job_id = world.submit(time_limit_s=1e-9 if end == "time" else 60.0)
    engine.took_s = 1.5

    def act() -> Event:
        if end == "memory":
            return OverMemory(taken_bytes=2, limit_bytes=1, peak_bytes=3)
        if end == "crash":
            return Exited(signal=11, code=0, cpu_s=1.5)
        if end == "cancel":
            world.jobs.cancel(str(job_id))
        stop.leaving = end == "leave"
        stop.terminated = end == "terminate"
        return Signal.WOKEN

    engine.script.append(act)
    runner.run(job_id)
    assert world.info(job_id).cpu_s == 1.5
    with world.store.read() as tx:
        assert tx.usage.cpu_s(world.clock().date()) == {ANONYMOUS: 1.5}


def test_a_wait_never_goes_beyond_the_limit_or_the_next_look(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    for limit_s, most in ((0.5, 0.5), (600.0, 1.0)):
        engine.waits.clear()
        engine.script = deque([finished()])
        runner.run(world.submit(time_limit_s=limit_s))
        assert 0 < engine.waits[0] <= most


# -- how far a sweep is

SWEEP: dict[str, Any] = {
    "program": "OPENQASM 3.0; input float t; qubit[2] q; rx(t) q;",
    "program_format": ProgramFormat.OPENQASM3,
    "parameters": ("t",),
    "parameter_values": tuple((0.1 * point,) for point in range(100)),
}


def progress(points_done: int) -> Progress:
    return Progress(points_done=points_done)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the engine's steps move on."""
    found = [100.0]
    monkeypatch.setattr(settle.time, "monotonic", lambda: found[0])
    return found


def after(now: list[float], seconds: float, event: Event) -> Callable[[], Event]:
    return meanwhile(lambda: now.__setitem__(0, now[0] + seconds), event)


def test_the_progress_of_a_sweep_is_noted(
    world: World,
    engine: ScriptedEngine,
    runner: JobRunner,
    now: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[int] = []
    note = world.work.progress

    def spy(claim: Claim, points_done: int) -> None:
        note(claim, points_done)
        noted.append(world.info(claim.job_id).points_done)

    monkeypatch.setattr(world.work, "progress", spy)
    steps = [after(now, 0.2, progress(point)) for point in (10, 20, 30, 40, 50, 60)]
    # What comes too soon waits for the next look.
    engine.script = deque([*steps, after(now, 1.0, Signal.TIMEOUT), finished()])
    job_id = world.submit(**SWEEP)
    assert runner.run(job_id).status is JobStatus.FINISHED
    # At most two a second, and none of them twice.
    assert noted == [10, 40, 60]
    assert world.info(job_id).points_done == 100
    assert engine.specs[0].parameter_values == SWEEP["parameter_values"]


def test_progress_that_cannot_be_noted_is_no_reason_to_stop(
    world: World, engine: ScriptedEngine, runner: JobRunner, now: list[float]
) -> None:
    engine.script = deque(
        [
            meanwhile(away(world, True), progress(10)),
            after(now, 0.6, progress(20)),
            meanwhile(away(world, False)),
            finished(),
        ]
    )
    assert runner.run(world.submit(**SWEEP)).status is JobStatus.FINISHED
    assert engine.kills == 0


def test_a_sweep_that_tells_much_is_looked_after_all_the_same(
    world: World, engine: ScriptedEngine, runner: JobRunner, now: list[float]
) -> None:
    job_id = world.submit(**SWEEP)
    told = [after(now, 0.2, progress(point)) for point in range(1, 90)]
    engine.script = deque([meanwhile(cancel(world.jobs, job_id), progress(1)), *told])
    assert runner.run(job_id).status is JobStatus.CANCELED
    # It took a second until the next look was due, not the whole script.
    assert now[0] == pytest.approx(101.0)
    assert max(engine.waits) <= 1.0
    assert engine.kills == 1


def test_a_sweep_that_tells_much_is_over_its_time_limit_in_time(
    world: World, engine: ScriptedEngine, runner: JobRunner, now: list[float]
) -> None:
    engine.script = deque([after(now, 0.2, progress(point)) for point in range(1, 90)])
    ending = runner.run(world.submit(time_limit_s=2.5, **SWEEP))
    assert ending.error is not None
    assert ending.error.kind is ErrorKind.TIME_LIMIT
    assert now[0] == pytest.approx(102.6)


# -- stopped while it runs


def test_a_job_that_is_canceled_while_it_runs(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    job_id = world.submit()
    engine.script = deque([meanwhile(cancel(world.jobs, job_id))])
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (JobStatus.CANCELED, None)
    assert world.status(job_id) is JobStatus.CANCELED
    assert (engine.kills, engine.starts, engine.alive) == (1, 1, False)


def test_a_wake_that_means_another_job_is_no_reason_to_stop(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    engine.script = deque([Signal.WOKEN, Signal.WOKEN, finished()])
    assert runner.run(world.submit()).status is JobStatus.FINISHED
    assert engine.kills == 0


@pytest.mark.parametrize("outcome", [finished(), failed()])
def test_a_cancel_that_comes_before_the_answer_wins(
    world: World, engine: ScriptedEngine, runner: JobRunner, outcome: Finished | Failed
) -> None:
    job_id = world.submit()
    engine.script = deque([meanwhile(cancel(world.jobs, job_id), outcome)])
    assert runner.run(job_id).status is JobStatus.CANCELED
    assert world.status(job_id) is JobStatus.CANCELED
    assert world.jobs.results(str(job_id)) == []
    # The engine is fine; nothing was killed for it.
    assert engine.kills == 0


def give_away(world: World, job_id: UUID) -> Callable[[], object]:
    """The lease lapses, and another worker has the job."""

    def happens() -> None:
        world.clock.advance(world.work.lease_s + 1)
        assert world.upkeep.recover() == 1
        world.claim(job_id, "aer@other")

    return happens


@pytest.mark.parametrize("event", [Signal.WOKEN, finished(), failed()])
def test_a_job_that_was_given_away_is_left_to_the_other(
    world: World, engine: ScriptedEngine, runner: JobRunner, event: Event
) -> None:
    job_id = world.submit()
    engine.script = deque([meanwhile(give_away(world, job_id), event)])
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (None, None)
    info = world.info(job_id)
    assert (info.status, info.attempt, info.worker) == (JobStatus.RUNNING, 2, "aer@other")
    assert world.files() == {job_id}
    assert world.jobs.results(str(job_id)) == []


def test_a_task_that_an_operator_terminates_is_canceled(
    world: World, engine: ScriptedEngine, runner: JobRunner, stop: ManualStop
) -> None:
    job_id = world.submit()
    engine.script = deque([meanwhile(lambda: setattr(stop, "terminated", True))])
    assert runner.run(job_id).status is JobStatus.CANCELED
    assert world.status(job_id) is JobStatus.CANCELED
    assert world.files() == set()
    assert engine.kills == 1


def test_a_worker_that_leaves_gives_its_job_back(
    world: World, engine: ScriptedEngine, runner: JobRunner, stop: ManualStop
) -> None:
    job_id = world.submit()

    def leave() -> None:
        stop.terminated = stop.leaving = True

    engine.script = deque([meanwhile(leave)])
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (None, None)
    assert world.status(job_id) is JobStatus.PENDING
    assert world.files() == {job_id}
    assert engine.kills == 1
    # The next attempt is a full one.
    world.clock.advance(10)
    assert world.upkeep.resend() == 1
    stop.terminated = stop.leaving = False
    engine.script = deque([finished()])
    again = runner.run(job_id)
    assert (again.status, again.attempt) == (JobStatus.FINISHED, 2)


def test_leaving_a_job_that_was_canceled_cancels_it(
    world: World, engine: ScriptedEngine, runner: JobRunner, stop: ManualStop
) -> None:
    job_id = world.submit()

    def leave() -> None:
        world.jobs.cancel(str(job_id))
        stop.terminated = stop.leaving = True

    engine.script = deque([meanwhile(leave)])
    assert runner.run(job_id).status is JobStatus.CANCELED
    assert world.status(job_id) is JobStatus.CANCELED


# -- the database is away


def away(world: World, value: bool) -> Callable[[], object]:
    return lambda: setattr(world.store, "away", value)


def test_a_lease_that_cannot_be_renewed_is_no_reason_to_stop(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    engine.script = deque(
        [
            meanwhile(away(world, True)),
            Signal.WOKEN,
            meanwhile(away(world, False)),
            finished(),
        ]
    )
    assert runner.run(world.submit()).status is JobStatus.FINISHED
    assert engine.kills == 0


def test_a_claim_waits_for_the_database(
    world: World, engine: ScriptedEngine, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.submit()
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        world.store.away = len(naps) < 3

    monkeypatch.setattr(settle.time, "sleep", nap)
    world.store.away = True
    engine.script = deque([finished()])
    assert runner.run(job_id).status is JobStatus.FINISHED
    assert len(naps) == 3


def test_an_end_is_noted_once_the_database_is_back(
    world: World, engine: ScriptedEngine, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.submit()
    engine.script = deque([meanwhile(away(world, True), finished())])
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        world.store.away = len(pauses) < 3

    monkeypatch.setattr(settle.time, "sleep", pause)
    ending = runner.run(job_id)
    assert (ending.status, ending.attempt, len(pauses)) == (JobStatus.FINISHED, 1, 3)
    assert world.status(job_id) is JobStatus.FINISHED


def test_an_end_that_a_leaving_worker_cannot_note_is_left_to_the_lease(
    world: World, engine: ScriptedEngine, runner: JobRunner, stop: ManualStop
) -> None:
    job_id = world.submit()
    engine.script = deque([meanwhile(away(world, True), finished())])
    stop.leaving = True
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (None, None)
    world.store.away = stop.leaving = False
    assert world.status(job_id) is JobStatus.RUNNING
    world.clock.advance(world.work.lease_s + 1)
    assert world.upkeep.recover() == 1
    engine.script = deque([finished()])
    again = runner.run(job_id)
    assert (again.status, again.attempt) == (JobStatus.FINISHED, 2)


def test_a_job_whose_fork_server_died_is_handed_over(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    job_id = world.submit()
    engine.script = deque([Exited(signal=9, code=0, with_all=True)])
    ending = runner.run(job_id)
    assert (ending.status, ending.error) == (None, None)
    assert world.status(job_id) is JobStatus.PENDING


def test_an_unforeseen_error_ends_the_job(
    world: World, engine: ScriptedEngine, runner: JobRunner
) -> None:
    def broken() -> Event:
        raise KeyError("results")

    job_id = world.submit()
    engine.script = deque([broken])
    ending = runner.run(job_id)
    assert ending.error is not None
    assert ending.error.kind is ErrorKind.INTERNAL
    assert "KeyError" not in ending.error.message
    assert world.status(job_id) is JobStatus.FAILED
    assert not engine.alive
