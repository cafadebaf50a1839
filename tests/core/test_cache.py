"""Jobs that are answered with the results of equal ones, and those that are not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app import cache as cache_module
from app.cache import CacheUpkeep, content_key
from app.identity import EVERYBODY, Caller
from app.rows import JOB
from app.store import Store, Transaction
from qdispatch.errors import RequestConflictError, TargetDrainedError
from qdispatch.model import (
    JobInfo,
    JobSpec,
    JobStatus,
    ProgramFormat,
    ResultType,
    TargetState,
    Timings,
)
from tests.core.databases import ON_DATABASES, ON_POSTGRESQL
from tests.core.journal import statements
from tests.watching import Told
from tests.world import WORKER, World, bell, counts, failed, finished, make_world

FINISHED, PENDING = JobStatus.FINISHED, JobStatus.PENDING
PRINT = "a-fingerprint"
SWEEP = "OPENQASM 3.0;\ninput float[64] a;\nqubit q;\nbit c;\nrx(a) q;\nc = measure q;\n"
POINTS: dict[str, Any] = {
    "program": SWEEP,
    "program_format": ProgramFormat.OPENQASM3,
    "n_qubits": 1,
    "parameters": ("a",),
    "parameter_values": ((0.5,), (1.5,)),
}


def report(world: World, target: str = "aer", fingerprint: str = PRINT) -> None:
    world.work.report(f"{target}@host", target, 1, fingerprint)


def ran(world: World, outcome: dict[str, Any] | None = None, **changes: Any) -> UUID:
    """A job that has run, on a worker that lives."""
    changes = {"seed": 7} | changes
    report(world)
    claim = world.running(**changes)
    assert world.work.finish(claim, finished(**{"fingerprint": PRINT} | (outcome or {})))
    return claim.job_id


def again(world: World, **changes: Any) -> JobInfo:
    """The same job once more."""
    return world.info(world.submit(**{"seed": 7} | changes))


def sent(world: World) -> list[UUID]:
    return [each.job_id for each in world.dispatcher.sent]


# -- what an answer is


def test_an_equal_job_is_finished_at_once_with_results_of_its_own(world: World) -> None:
    first = ran(world)
    started = len(sent(world))
    info = again(world, tags=("other",), framework="cirq", depth=9, time_limit_s=5.0)
    job_id = UUID(info.id)
    assert (info.status, info.cached_from) == (FINISHED, str(first))
    assert (info.attempt, info.worker, info.started_at) == (0, "", None)
    assert info.created_at == info.finish_time == world.clock()
    assert [each.status for each in info.events] == [PENDING, FINISHED]
    assert [each.attempt for each in info.events] == [0, 0]
    assert (info.method, info.simulator_version) == ("stabilizer", "stub 1.0")
    assert info.method_reason == "every gate is a Clifford gate"
    assert (info.timings, info.peak_memory_bytes) == (Timings(), 0)
    assert (info.spec.tags, info.spec.framework) == (("other",), "cirq")
    assert world.jobs.results(info.id) == world.jobs.results(str(first)) != []
    # Nobody is asked to run it, and nothing is left of its program.
    assert len(sent(world)) == started
    assert world.files() == set()
    assert world.work.claim(job_id, WORKER) is None
    # Who deletes the one that has run takes nothing from it.
    world.jobs.delete(str(first))
    assert world.jobs.results(info.id) == [counts({"00": 48, "11": 52}).value]
    assert world.info(job_id).cached_from == str(first)


def test_a_watcher_is_told_all_of_it_at_once(world: World) -> None:
    ran(world)
    info = again(world)
    told = Told()
    world.watchers.start()
    world.watchers.watch_job(UUID(info.id), EVERYBODY, after=0, tell=told)
    assert told.end() is None
    world.watchers.close()
    assert tuple(told.events) == info.events


def test_a_sweep_is_answered_with_all_its_points(world: World) -> None:
    ran(world, **POINTS)
    info = again(world, **POINTS)
    assert (info.status, info.points_done, info.n_points) == (FINISHED, 2, 2)
    assert world.jobs.get(info.id).spec.parameter_values == POINTS["parameter_values"]


def test_a_request_id_stands_for_its_answer(world: World) -> None:
    ran(world)
    spec = bell(seed=7)
    info = world.jobs.submit(spec, request_id="r")
    assert info.status is FINISHED
    assert world.jobs.submit(spec, request_id="r") == info
    for other in (bell(seed=8), bell(seed=7, cache=False)):
        with pytest.raises(RequestConflictError):
            world.jobs.submit(other, request_id="r")


def test_those_of_a_batch_are_answered_that_can_be(world: World) -> None:
    first, second = ran(world), ran(world, shots=5)
    specs = [bell(seed=7), bell(seed=7, shots=6), bell(seed=7, shots=5), bell(seed=7), bell()]
    started = len(sent(world))
    kept = world.jobs.submit_many(specs, request_id="batch")
    infos = [world.jobs.get(each) for each in kept.job_ids]
    sources = [str(first), "", str(second), str(first), ""]
    assert [each.cached_from for each in infos] == sources
    assert (kept.batch.finished, kept.batch.pending) == (3, 2)
    assert world.files() == set(sent(world)[started:]) == {UUID(infos[1].id), UUID(infos[4].id)}
    for info in infos:
        if info.status is FINISHED:
            assert len(world.jobs.results(info.id)) == 1
    assert world.jobs.submit_many(specs, request_id="batch").job_ids == kept.job_ids


def test_a_job_that_ran_in_a_chunk_answers_too(world: World) -> None:
    report(world)
    specs = [bell(seed=1), bell(seed=2)]
    kept = world.jobs.submit_many(specs, request_id="batch")
    claims = world.work.claim_many([UUID(each) for each in kept.job_ids], WORKER)
    world.work.end_many([(claim, finished(fingerprint=PRINT)) for claim in claims])
    again = [world.jobs.submit(spec, request_id=f"again {spec.seed}") for spec in specs]
    assert [each.cached_from for each in again] == list(kept.job_ids)
    assert [each.method_reason for each in again] == ["every gate is a Clifford gate"] * 2


def test_what_is_too_much_to_copy_at_once_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(world)
    size = sum(map(len, world.jobs.results(again(world).id)))
    monkeypatch.setattr(cache_module, "MAX_ENTRY_BYTES", 2 * size)
    kept = world.jobs.submit_many([bell(seed=7)] * 3, request_id="batch")
    assert [world.jobs.get(each).status for each in kept.job_ids] == [FINISHED, FINISHED, PENDING]


# -- what is none


def test_others_run(world: World) -> None:
    ran(world)
    others: list[dict[str, Any]] = [
        {"seed": 8}, {"shots": 101}, {"cache": False}, {"target": "cirq"},
        {"extra": '{"method": "statevector"}'},
        {"result_types": (ResultType.COUNTS, ResultType.QUASI)},
    ]  # fmt: skip
    for changes in others:
        info = again(world, **changes)
        assert (info.status, info.cached_from) == (PENDING, ""), changes
    spec = bell(seed=7)
    assert world.service.by(Caller(owner="ada")).submit(spec, request_id="r").status is PENDING
    assert world.info(world.submit(seed=7)).status is FINISHED


def test_a_job_that_wants_no_part_answers_none(world: World) -> None:
    ran(world, cache=False)
    info = again(world)
    assert info.status is PENDING
    assert info.spec.cache
    assert not again(world, cache=False).spec.cache


def test_without_a_seed_only_what_is_exact_is_answered(world: World) -> None:
    ran(world, seed=None)
    assert again(world, seed=None).status is PENDING
    exact = {"seed": None, "shots": 0, "result_types": (ResultType.QUASI,)}
    ran(world, **exact)
    assert again(world, **exact).status is FINISHED


@pytest.mark.parametrize("end", ["failed", "canceled", "running"])
def test_what_has_no_results_answers_none(world: World, end: str) -> None:
    report(world)
    claim = world.running(seed=7)
    if end == "failed":
        world.work.fail(claim, failed())
    elif end == "canceled":
        world.jobs.cancel(str(claim.job_id))
    assert again(world).status is PENDING


def test_other_code_gives_no_answer(world: World) -> None:
    """Only what a worker would make of it now counts."""
    ran(world)
    report(world, fingerprint="another")
    assert again(world).status is PENDING
    # Of the version before, or not heard from what it is yet.
    report(world, fingerprint="")
    assert again(world).status is PENDING
    ran(world, {"fingerprint": ""}, seed=9)
    report(world, fingerprint="")
    assert again(world, seed=9).status is PENDING
    world.work.leave("aer@host")
    report(world, target="cirq")
    assert again(world).status is PENDING
    # While versions change, either kind of worker might have run it.
    report(world)
    world.work.report("aer@new", "aer", 1, "another")
    assert again(world).status is FINISHED
    world.clock.advance(31)
    assert again(world).status is PENDING


def test_the_latest_of_equal_entries_answers(world: World) -> None:
    report(world)
    claims = [world.running(seed=7) for _ in range(3)]
    for number, claim in enumerate(claims):
        results = (counts({"00": number}),)
        world.work.finish(claim, finished(results=results, fingerprint=PRINT))
    info = again(world)
    assert info.cached_from == str(claims[2].job_id)
    world.jobs.delete(info.cached_from)
    assert again(world).cached_from == str(claims[1].job_id)


def test_a_target_that_is_held_back_gives_no_answer(world: World) -> None:
    ran(world)
    world.targets.set_state("aer", TargetState.PAUSED)
    assert again(world).status is PENDING
    world.targets.set_state("aer", TargetState.DRAINED)
    with pytest.raises(TargetDrainedError):
        again(world)
    world.targets.set_state("aer", TargetState.ACTIVE)
    assert again(world).status is FINISHED


# -- how much there is of it


def test_the_oldest_entries_go_when_there_is_too_much(world: World) -> None:
    jobs = [ran(world, seed=seed) for seed in range(5)]
    size = sum(map(len, world.jobs.results(str(jobs[0]))))
    # Answers take no room of the cache.
    assert again(world, seed=0).status is FINISHED
    with world.store.read() as tx:
        assert tx.cache.size() == 5 * size
    assert CacheUpkeep(5 * size, world.store).evict() == 0
    assert CacheUpkeep(4 * size, world.store).evict() == 2
    with world.store.read() as tx:
        assert tx.cache.size() == 3 * size
    assert [again(world, seed=seed).status for seed in range(5)] == [PENDING] * 2 + [FINISHED] * 3
    # Their jobs are what they were.
    assert all(world.jobs.results(str(each)) for each in jobs)
    assert CacheUpkeep(0, world.store).evict() == 3
    assert again(world, seed=4).status is PENDING


# -- on the way there


@ON_DATABASES
def test_only_those_look_that_may_be_answered(world: World) -> None:
    ran(world)
    with statements(world) as given:
        world.submit()
    assert not any("row_number" in each for each in given)
    with statements(world) as given:
        world.submit(seed=8)
    without = len(given)
    assert sum("row_number" in each for each in given) == 1
    with statements(world) as given:
        answered = world.submit(seed=7)
    assert len(given) == without + 1
    assert world.status(answered) is FINISHED
    with statements(world) as given:
        world.jobs.submit_many([bell(seed=7), bell(seed=8)] * 50, request_id="batch")
    assert sum("row_number" in each for each in given) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_history_is_not_read(world: World) -> None:
    ran(world)
    with statements(world) as given:
        again(world)
        with world.store.read() as tx:
            tx.cache.size()
            tx.cache.oldest(1)
    assert isinstance(world.store.inner, Store)
    with world.store.inner.engine.connect() as connection:
        for wanted, how in (
            ("row_number", "job_cache_idx (cache_key=?)"),
            ("sum(job.result_bytes)", "job_cache_idx (cache_key>?)"),
            ("ORDER BY job.finish_time", "job_cache_idx (cache_key>?)"),
        ):
            (statement,) = (each for each in given if wanted in each)
            values = (None,) * statement.count("?")
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            assert any(how in step[3] for step in plan), plan


def _entry(tx: Transaction, world: World, spec: JobSpec) -> bool:
    key = content_key(spec, spec.target, "anonymous")
    return bool(tx.cache.entries({key}, seen_after=world.clock() - cache_module.timedelta(1)))


@ON_POSTGRESQL
def test_an_entry_that_is_being_deleted_is_none_and_nobody_waits(world: World) -> None:
    first = ran(world)
    with world.store.write() as tx:
        assert tx.history.delete([first]) == 1
        info = again(world)
    assert info.status is PENDING


@ON_POSTGRESQL
def test_nobody_deletes_what_an_answer_is_made_from(world: World) -> None:
    first = ran(world)
    assert isinstance(world.store.inner, Store)
    engine = world.store.inner.engine
    delete = sa.delete(JOB).where(JOB.c.id == first)
    with world.store.write() as tx:
        assert _entry(tx, world, bell(seed=7))
        with engine.begin() as other:
            other.execute(sa.text("SET LOCAL lock_timeout = '20ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                other.execute(delete)
        # Others may be answered from it, and the sweep may give it up.
        assert again(world).status is FINISHED
        with world.store.write() as sweep:
            sweep.cache.forget([first])
    world.jobs.delete(str(first))
    assert again(world).status is PENDING


@ON_DATABASES
def test_what_was_answered_outlives_a_restart(world: World) -> None:
    ran(world)
    info = again(world)
    other = make_world(world.settings)
    assert other.jobs.get(info.id) == info
    other.store.close()
