"""The jobs of a chunk in one slot, with an engine that does as the script says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.identity import ANONYMOUS
from app.jobs import Claim
from app.store_ends import Ended
from app.submission import Order
from qdispatch.model import JobStatus
from tasks import run_chunk
from tasks.engine import Exited, OverMemory, Signal
from tasks.run_chunk import ChunkRunner
from tests.fakes import Event, ManualStop, ScriptedEngine
from tests.specs import bell
from tests.world import WORKER, World, failed, finished

FINISHED, FAILED, CANCELED = JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELED
PENDING = JobStatus.PENDING


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def stop() -> ManualStop:
    return ManualStop()


@pytest.fixture
def told() -> list[tuple[UUID, ...]]:
    return []


@pytest.fixture
def runner(
    world: World,
    engine: ScriptedEngine,
    stop: ManualStop,
    told: list[tuple[UUID, ...]],
    now: list[float],
) -> ChunkRunner:
    def changed(job_ids: Sequence[UUID]) -> None:
        told.append(tuple(job_ids))

    return ChunkRunner(work=world.work, engine=engine, worker=WORKER, stop=stop, changed=changed)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds; a job takes a thousandth unless the script says otherwise."""
    moment = [1000.0]
    monkeypatch.setattr(run_chunk.time, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def job_ids(world: World) -> tuple[UUID, ...]:
    kept = world.jobs.submit_many([bell() for _ in range(8)], request_id=str(uuid4()))
    return tuple(map(UUID, kept.job_ids))


def taking(now: list[float], seconds: float, event: Event | None = None) -> Callable[[], Event]:
    def step() -> Event:
        now[0] += seconds
        return finished() if event is None else event

    return step


def meanwhile(happens: Callable[[], Any], event: Event = Signal.WOKEN) -> Callable[[], Event]:
    def step() -> Event:
        happens()
        return event

    return step


def statuses(world: World, job_ids: Sequence[UUID]) -> list[JobStatus]:
    return [world.status(each) for each in job_ids]


def test_all_of_them_run(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    told: list[tuple[UUID, ...]],
) -> None:
    engine.script = deque(
        taking(now, 0.001, failed() if number == 5 else None) for number in range(8)
    )
    assert runner.run(job_ids) == {FINISHED: 7, FAILED: 1}
    assert statuses(world, job_ids) == [FINISHED] * 5 + [FAILED] + [FINISHED] * 2
    assert world.files() == set()
    assert engine.starts == 1
    # Watchers hear of each once, and of several at a time.
    assert [each for some in told for each in some] == list(job_ids)
    assert len(told) < len(job_ids)


def test_those_that_others_have_are_left_alone(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    world.jobs.cancel(str(job_ids[0]))
    world.claim(job_ids[3], "another@host")
    engine.script = deque(taking(now, 0.001) for _ in range(6))
    assert runner.run(job_ids) == {FINISHED: 6}
    assert world.status(job_ids[0]) is CANCELED
    assert world.status(job_ids[3]) is JobStatus.RUNNING


def test_one_that_is_canceled_while_it_runs_stops_no_other(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    cancel = meanwhile(lambda: world.jobs.cancel(str(job_ids[4])))
    engine.script = deque(
        [*(taking(now, 0.001) for _ in range(4)), cancel, *(taking(now, 0.001) for _ in range(3))]
    )
    assert runner.run(job_ids) == {FINISHED: 7, CANCELED: 1}
    assert world.status(job_ids[4]) is CANCELED
    assert (engine.kills, engine.starts) == (1, 2)
    assert len(engine.specs) == len(job_ids)
    assert {world.info(each).attempt for each in job_ids} == {1}


def test_one_that_is_canceled_before_its_turn_never_begins(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    # By the third job, the rest of the chunk is one group that is claimed already.
    cancel = meanwhile(lambda: world.jobs.cancel(str(job_ids[7])))
    engine.script = deque(
        [*(taking(now, 0.001) for _ in range(5)), cancel, *(taking(now, 0.001) for _ in range(3))]
    )
    assert runner.run(job_ids) == {FINISHED: 7, CANCELED: 1}
    assert world.status(job_ids[7]) is CANCELED
    assert engine.kills == 0
    assert len(engine.specs) == 7


def test_a_crash_is_the_fault_of_one(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    engine.script = deque(
        taking(now, 0.001, Exited(signal=11, code=0) if number == 2 else None)
        for number in range(8)
    )
    assert runner.run(job_ids) == {FINISHED: 7}
    assert world.status(job_ids[2]) is PENDING
    with world.store.read() as tx:
        faults = {row.id: row.faults for row in tx.jobs(job_ids)}
    assert [faults[each] for each in job_ids] == [0, 0, 1, 0, 0, 0, 0, 0]


def test_something_unforeseen_ends_one(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    def burst() -> Event:
        raise ZeroDivisionError

    engine.script = deque(burst if number == 1 else taking(now, 0.001) for number in range(8))
    assert runner.run(job_ids) == {FINISHED: 7, FAILED: 1}
    error = world.info(job_ids[1]).error
    assert error is not None
    assert error.kind == "internal"


def test_a_chunk_that_takes_long_is_shared(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    engine.script = deque([taking(now, 1.6), taking(now, 1.6)])
    assert runner.run(job_ids) == {FINISHED: 2}
    assert statuses(world, job_ids[2:]) == [PENDING] * 6
    world.dispatcher.sent.clear()
    world.clock.advance(60)
    world.upkeep.resend()
    assert {each.job_id for each in world.dispatcher.sent} == set(job_ids[2:])


def test_nobody_waits_behind_one_that_takes_very_long(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    free: list[set[UUID]] = []

    def look() -> None:
        world.clock.advance(60)
        world.dispatcher.sent.clear()
        world.upkeep.resend()
        free.append({each.job_id for each in world.dispatcher.sent})

    engine.script = deque(
        [taking(now, 2.2, Signal.TIMEOUT), meanwhile(look, Signal.TIMEOUT), taking(now, 60)]
    )
    assert runner.run(job_ids) == {FINISHED: 1}
    assert free == [set(job_ids[1:])]


def test_ends_do_not_wait_for_one_that_takes_long(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    told: list[tuple[UUID, ...]],
) -> None:
    seen: list[list[JobStatus]] = []

    def look() -> None:
        seen.append(statuses(world, job_ids))

    engine.script = deque(
        [
            *(taking(now, 0.001) for _ in range(6)),
            # It is claimed with its neighbours, and still there after a moment,
            taking(now, 0.06, Signal.TIMEOUT),
            # by which time those before it have ended,
            meanwhile(look, Signal.TIMEOUT),
            # and after a while those behind it have gone back.
            taking(now, 2.5, Signal.TIMEOUT),
            meanwhile(look, Signal.TIMEOUT),
            taking(now, 0.1),
        ]
    )
    assert runner.run(job_ids) == {FINISHED: 7}
    at_once, later = seen
    assert at_once == [FINISHED] * 6 + [JobStatus.RUNNING] * 2
    assert later == [FINISHED] * 6 + [JobStatus.RUNNING, PENDING]
    assert (job_ids[6],) in told


def test_a_worker_that_leaves_hands_over_what_is_left(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    stop: ManualStop,
) -> None:
    def leave() -> None:
        stop.leaving = True

    engine.script = deque([*(taking(now, 0.001) for _ in range(5)), meanwhile(leave)])
    assert runner.run(job_ids) == {FINISHED: 5}
    assert statuses(world, job_ids) == [FINISHED] * 5 + [PENDING] * 3


def test_many_that_take_a_moment_each_are_looked_after(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    now: list[float],
) -> None:
    kept = world.jobs.submit_many([bell() for _ in range(60)], request_id=str(uuid4()))
    job_ids = tuple(map(UUID, kept.job_ids))
    # Those at the front are quick, so that all others are claimed together.
    engine.script = deque(taking(now, 0.001 if number < 21 else 0.9) for number in range(60))
    ended = runner.run(job_ids)[FINISHED]
    assert 21 < ended < 27
    assert statuses(world, job_ids[ended:]) == [PENDING] * (60 - ended)


def test_one_that_is_canceled_behind_one_that_takes_long_is_confirmed(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    confirmed: list[bool] = []

    def look() -> None:
        confirmed.append(world.info(job_ids[7]).stopped_at is not None)

    engine.script = deque(
        [
            *(taking(now, 0.001) for _ in range(5)),
            meanwhile(lambda: world.jobs.cancel(str(job_ids[7]))),
            meanwhile(look),
            *(taking(now, 0.001) for _ in range(2)),
        ]
    )
    assert runner.run(job_ids) == {FINISHED: 7, CANCELED: 1}
    assert confirmed == [True]


def test_limits_hold_while_ends_wait_for_the_database(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    def away(is_away: bool) -> Callable[[], None]:
        def change() -> None:
            now[0] += 1.1
            world.store.away = is_away

        return change

    engine.script = deque(
        [
            *(taking(now, 0.001) for _ in range(6)),
            # It runs on, and is looked after, while the ends before it cannot be noted.
            meanwhile(away(True), Signal.TIMEOUT),
            meanwhile(away(False), Signal.TIMEOUT),
            taking(now, 0.001, OverMemory(taken_bytes=2, limit_bytes=1, peak_bytes=2)),
            taking(now, 0.001),
        ]
    )
    ends = runner.run(job_ids)
    assert ends[FAILED] == 1
    assert statuses(world, job_ids[:6]) == [FINISHED] * 6
    assert world.status(job_ids[6]) is FAILED


def test_what_cannot_end_together_ends_one_by_one(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end_many = world.work.end_many

    def burst(ended: Ended) -> set[UUID]:
        if len(ended) > 1:
            raise ZeroDivisionError
        return end_many(ended)

    monkeypatch.setattr(world.work, "end_many", burst)
    engine.script = deque(taking(now, 0.001) for _ in range(8))
    assert runner.run(job_ids) == {FINISHED: 8}
    assert statuses(world, job_ids) == [FINISHED] * 8


def test_what_an_operator_terminates_is_not_given_to_others(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    stop: ManualStop,
) -> None:
    def terminate() -> None:
        stop.terminated = True

    with world.store.read() as tx:
        (chunk_id,) = {row.chunk_id for row in tx.jobs(job_ids[:1])}
    assert chunk_id is not None
    mine = [each for each in job_ids if each in world.dispatcher.chunks[0].job_ids]
    engine.script = deque([meanwhile(terminate)])
    runner.run(mine)
    # The main process cancels by the chunk's id, maybe later than the slot stops.
    world.work.cancel_all([chunk_id])
    assert statuses(world, mine) == [CANCELED] * len(mine)


def test_an_operator_who_terminates_the_task_cancels_what_has_begun(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    stop: ManualStop,
) -> None:
    def terminate() -> None:
        stop.terminated = True

    engine.script = deque([taking(now, 0.001), meanwhile(terminate)])
    ends = runner.run(job_ids)
    assert ends[FINISHED] == 1
    assert ends[CANCELED] >= 1
    assert world.status(job_ids[1]) is CANCELED
    assert JobStatus.RUNNING not in statuses(world, job_ids)


def test_a_database_that_goes_away_is_waited_for(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away() -> None:
        world.store.away = True

    def back(_seconds: float) -> None:
        world.store.away = False

    monkeypatch.setattr(run_chunk.time, "sleep", back)
    engine.script = deque(
        [
            *(taking(now, 0.001) for _ in range(7)),
            meanwhile(away, finished()),
        ]
    )
    assert runner.run(job_ids) == {FINISHED: 8}
    assert statuses(world, job_ids) == [FINISHED] * 8


def test_those_that_others_have_do_not_make_groups_larger(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for each in job_ids[:2]:
        world.claim(each, "another@host")
    claim_many = world.work.claim_many
    groups: list[Sequence[UUID]] = []

    def noted(some: Sequence[UUID], worker: str) -> list[Claim]:
        groups.append(some)
        return claim_many(some, worker)

    monkeypatch.setattr(world.work, "claim_many", noted)
    engine.script = deque(taking(now, 0.3) for _ in range(4))
    assert runner.run(job_ids[:6]) == {FINISHED: 4}
    # As little as one of them is known to take.
    assert [len(each) for each in groups] == [1] * 6


@pytest.mark.parametrize(("owner", "ran"), [("another", 1), (ANONYMOUS, 6)])
def test_what_is_left_makes_room_for_jobs_of_others(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
    owner: str,
    ran: int,
) -> None:
    # Shorter than what a chunk may take while nobody else waits.
    engine.script = deque(taking(now, 0.3) for _ in range(6))
    world.service.submit_each([Order(spec=bell(), request_id="one", owner=owner)])
    assert runner.run(job_ids[:6]) == {FINISHED: ran}
    assert statuses(world, job_ids[ran:6]) == [PENDING] * (6 - ran)


def test_nobody_is_asked_for_others_while_a_chunk_is_short(
    world: World,
    engine: ScriptedEngine,
    runner: ChunkRunner,
    job_ids: tuple[UUID, ...],
    now: list[float],
) -> None:
    engine.script = deque(taking(now, 0.001) for _ in range(8))
    world.service.submit_each([Order(spec=bell(), request_id="one", owner="another")])
    assert runner.run(job_ids) == {FINISHED: 8}
