"""Many jobs that are submitted at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from app import cancellation
from app.cancellation import CutShortError
from app.identity import EVERYBODY, Caller
from app.service import JobService
from app.settings import Settings
from app.visible_jobs import BatchJobs
from qdispatch.errors import (
    BatchNotFoundError,
    InvalidJobError,
    JobNotFoundError,
    RequestConflictError,
    RequestError,
    TargetDrainedError,
    TooLargeError,
    UnavailableError,
    UnknownTargetError,
)
from qdispatch.model import CancelVerdict, JobSpec, JobStatus, ProgramFormat, TargetState
from qdispatch.updates import JobFilter
from tests.core.databases import ON_DATABASES
from tests.core.journal import listening, statements
from tests.fakes import Trouble
from tests.specs import BELL, bell
from tests.world import World, failed, finished, make_settings

MOST = 1000
SWEEP = "OPENQASM 3.0;\ninput float[64] a;\nqubit q;\nbit c;\nrx(a) q;\nc = measure q;\n"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    server = {"max_batch_jobs": MOST, "cancel_wait_s": 0}
    return make_settings(tmp_path, database_url=database_url, server=server)


def bells(number: int, **changes: Any) -> list[JobSpec]:
    """Jobs that differ in their shots."""
    return [bell(shots=each, **changes) for each in range(1, number + 1)]


def keys(batch: BatchJobs) -> list[UUID]:
    return [UUID(each) for each in batch.job_ids]


def sent(world: World) -> list[UUID]:
    return [each.job_id for each in world.dispatcher.sent]


def check_nothing_remains(world: World) -> None:
    with world.store.inner.read() as tx:
        assert tx.history.count() == 0
        assert tx.lists.batches(before=None, sees=None, limit=1) == []
    assert world.files() == set()
    assert world.dispatcher.sent == []


# -- submission


def test_a_batch_is_kept_and_sent(world: World) -> None:
    specs = [bell(shots=1), bell(shots=2, target="cirq", tags=("x",)), bell(shots=3)]
    kept = world.jobs.submit_many(specs, request_id="r")
    assert (kept.batch.size, kept.batch.pending, kept.batch.done) == (3, 3, 0)
    assert (kept.batch.owner, kept.batch.request_id) == ("anonymous", "r")
    assert kept.batch.created_at == world.clock()
    assert UUID(kept.batch.id).version == 7
    assert kept == world.jobs.batch(kept.batch.id)
    infos = [world.info(each) for each in keys(kept)]
    assert [(each.spec.shots, each.spec.target) for each in infos] == [
        (1, "aer"),
        (2, "cirq"),
        (3, "aer"),
    ]
    assert [(each.batch_id, each.batch_index) for each in infos] == [
        (kept.batch.id, place) for place in range(3)
    ]
    assert keys(kept) == sorted(keys(kept))
    assert set(sent(world)) == set(keys(kept))
    assert world.files() == set(keys(kept))
    assert {world.programs.read(each) for each in keys(kept)} == {BELL}


def test_sweeps_in_a_batch_keep_their_values(world: World) -> None:
    sweep = bell(
        program=SWEEP,
        program_format=ProgramFormat.OPENQASM3,
        parameters=("a",),
        parameter_values=((0.1,), (-0.0,), (1e300,)),
    )
    kept = world.jobs.submit_many([bell(), sweep], request_id="r")
    plain, swept = (world.claim(each).spec for each in keys(kept))
    assert plain.parameter_values == ()
    assert swept.parameter_values == sweep.parameter_values
    assert world.info(keys(kept)[1]).n_points == 3


def test_jobs_alone_have_no_batch(world: World) -> None:
    info = world.info(world.submit())
    assert (info.batch_id, info.batch_index) == ("", 0)


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"shots": 0}, InvalidJobError, "specs[3].shots"),
        ({"tags": ("a", "x" * 201)}, InvalidJobError, "specs[3].tags[1]"),
        ({"target": "nowhere"}, UnknownTargetError, "specs[3].target"),
        ({"target": "", "n_qubits": 101}, InvalidJobError, "specs[3].n_qubits"),
        ({"shots": -1}, InvalidJobError, "specs[3].shots"),
    ],
    ids=["shots", "tag", "target", "qubits", "negative"],
)
def test_one_that_is_refused_leaves_nothing_of_any(
    world: World, change: dict[str, Any], kind: type[RequestError], field: str
) -> None:
    specs = bells(6)
    specs[3] = replace(specs[3], **change)
    with pytest.raises(kind) as caught:
        world.jobs.submit_many(specs, request_id="r")
    assert caught.value.field == field
    check_nothing_remains(world)
    # The request_id is as good as new.
    assert world.jobs.submit_many(bells(2), request_id="r").batch.size == 2


@pytest.mark.parametrize(
    ("number", "kind"), [(0, InvalidJobError), (MOST + 1, TooLargeError)], ids=["none", "too many"]
)
def test_a_batch_has_its_size(world: World, number: int, kind: type[RequestError]) -> None:
    with pytest.raises(kind) as caught:
        world.jobs.submit_many([bell()] * number, request_id="r")
    assert caught.value.field == "specs"
    check_nothing_remains(world)


@ON_DATABASES
def test_a_large_batch_is_one_transaction(world: World) -> None:
    with (
        statements(world) as given,
        listening(
            world,
            begin=lambda _: given.append("begin"),
            commit=lambda _: given.append("commit"),
        ),
    ):
        kept = world.jobs.submit_many([bell()] * MOST, request_id="r")
    assert kept.batch.pending == MOST
    writes = [each for each in given if each.startswith("INSERT")]
    assert {each.split()[2] for each in writes} == {"batch", "job"}
    # One that writes, and one that reads the numbers.
    assert given.count("begin") == 2
    assert given.count("commit") == 1
    assert len(given) < 15


def test_a_program_that_cannot_be_stored_makes_no_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, left = os.fsync, [3]

    def fill_up(number: int) -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise OSError("no space left on device")
        fsync(number)

    # Equal programs would share a file.
    specs = [replace(each, program=f"{each.program}// {n}") for n, each in enumerate(bells(5))]
    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(UnavailableError, match="the program cannot be stored"):
        world.jobs.submit_many(specs, request_id="r")
    check_nothing_remains(world)


# -- the same request_id


def test_a_request_id_names_one_batch(world: World) -> None:
    first = world.jobs.submit_many(bells(3), request_id="r")
    world.clock.advance(60)
    world.work.finish(world.claim(keys(first)[1]), finished())
    again = world.jobs.submit_many(bells(3), request_id="r")
    assert again.job_ids == first.job_ids
    assert again.batch == replace(first.batch, pending=2, finished=1)
    assert world.files() == {keys(first)[0], keys(first)[2]}
    assert len(sent(world)) == 3


def test_a_repeated_request_is_answered_though_its_target_is_gone(world: World) -> None:
    first = world.jobs.submit_many(bells(2), request_id="r")
    world.settings.targets.pop("aer")
    assert world.jobs.submit_many(bells(2), request_id="r") == first
    with pytest.raises(UnknownTargetError):
        world.jobs.submit_many(bells(3), request_id="r")


@pytest.mark.parametrize(
    "specs",
    [
        bells(2),
        [*bells(3), bell()],
        bells(3)[::-1],
        [*bells(2), bell(shots=3, tags=("x",))],
    ],
    ids=["fewer", "more", "order", "tag"],
)
def test_other_content_under_the_same_request_id_is_refused(
    world: World, specs: Sequence[JobSpec]
) -> None:
    first = world.jobs.submit_many(bells(3), request_id="r")
    with pytest.raises(RequestConflictError, match=first.batch.id) as caught:
        world.jobs.submit_many(specs, request_id="r")
    assert caught.value.field == "request_id"
    assert world.files() == set(keys(first))
    assert len(sent(world)) == 3


def test_a_job_and_a_batch_may_have_the_same_request_id(world: World) -> None:
    """They are calls of their own, and each finds its own again."""
    alone = world.jobs.submit(bell(), request_id="r")
    kept = world.jobs.submit_many([bell()], request_id="r")
    assert alone.id not in kept.job_ids
    assert world.jobs.submit(bell(), request_id="r") == alone
    assert world.jobs.submit_many([bell()], request_id="r") == kept


def test_owners_have_request_ids_of_their_own(world: World) -> None:
    mine = world.service.by(Caller(owner="me")).submit_many(bells(1), request_id="r")
    yours = world.service.by(Caller(owner="you")).submit_many(bells(2), request_id="r")
    assert mine.batch.id != yours.batch.id
    assert world.info(keys(yours)[0]).owner == "you"


@pytest.mark.parametrize("trouble", Trouble, ids=lambda each: each.value)
def test_the_same_request_settles_what_was_open(world: World, trouble: Trouble) -> None:
    world.store.trouble = trouble
    with pytest.raises(UnavailableError):
        world.jobs.submit_many(bells(3), request_id="r")
    assert world.dispatcher.sent == []
    kept = world.jobs.submit_many(bells(3), request_id="r")
    assert (kept.batch.size, kept.batch.pending) == (3, 3)
    with world.store.read() as tx:
        assert tx.history.count() == 3
    # What was not sent is for the sweep to send, and what is left over for it to remove.
    assert set(keys(kept)) <= world.files()
    world.clock.advance(601)
    world.upkeep.resend()
    assert set(sent(world)) == set(keys(kept))


def test_duplicates_at_the_same_time_make_one_batch(world: World) -> None:
    barrier = Barrier(4)

    def submit(_: int) -> tuple[str, ...]:
        barrier.wait(10)
        return world.jobs.submit_many(bells(3), request_id="r").job_ids

    with ThreadPoolExecutor(4) as threads:
        (ids,) = set(threads.map(submit, range(4)))
    with world.store.read() as tx:
        assert tx.history.count() == 3
    assert world.files() == set(map(UUID, ids))
    assert len(sent(world)) == 3


# -- targets


def test_a_drained_target_refuses_the_whole(world: World) -> None:
    world.targets.set_state("cirq", TargetState.DRAINED)
    specs = [*bells(2), bell(target="cirq")]
    with pytest.raises(TargetDrainedError, match="cirq") as caught:
        world.jobs.submit_many(specs, request_id="r")
    assert caught.value.field == "specs[2].target"
    check_nothing_remains(world)
    world.targets.set_state("cirq", TargetState.ACTIVE)
    first = world.jobs.submit_many(specs, request_id="r")
    world.targets.set_state("cirq", TargetState.DRAINED)
    assert world.jobs.submit_many(specs, request_id="r") == first


def test_jobs_of_a_paused_target_are_not_sent(world: World) -> None:
    world.targets.set_state("aer", TargetState.PAUSED)
    kept = world.jobs.submit_many([bell(), bell(target="cirq"), bell()], request_id="r")
    assert sent(world) == [keys(kept)[1]]
    world.targets.set_state("aer", TargetState.ACTIVE)
    world.clock.advance(6)
    world.upkeep.resend()
    assert set(sent(world)) == set(keys(kept))


def test_jobs_that_leave_the_choice_are_spread(world: World) -> None:
    """By slot: aer and cirq have two of them, pennylane has one."""
    for name, target in world.settings.targets.items():
        world.work.report(f"{name}@host", name, target.concurrency)
    world.jobs.submit_many([bell(target="")] * 50, request_id="r")
    assert Counter(each.target for each in world.dispatcher.sent) == {
        "aer": 20,
        "cirq": 20,
        "pennylane": 10,
    }


def test_jobs_are_spread_over_what_accepts_them(world: World) -> None:
    world.targets.set_state("aer", TargetState.DRAINED)
    world.targets.set_state("pennylane", TargetState.PAUSED)
    world.jobs.submit_many([bell(target="")] * 4, request_id="r")
    assert {each.target for each in world.dispatcher.sent} == {"cirq"}


# -- how far a batch is


def test_a_batch_tells_how_many_are_where(world: World) -> None:
    kept = world.jobs.submit_many(bells(6), request_id="r")
    other = world.jobs.submit_many(bells(1), request_id="other")
    jobs = keys(kept)
    world.work.finish(world.claim(jobs[0]), finished())
    world.work.fail(world.claim(jobs[1]), failed())
    world.jobs.cancel(str(jobs[2]))
    world.claim(jobs[3])
    batch = world.jobs.batch(kept.batch.id).batch
    numbers = (batch.pending, batch.running, batch.finished, batch.canceled, batch.failed)
    assert numbers == (2, 1, 1, 1, 1)
    assert (batch.done, batch.is_final) == (3, False)
    assert world.jobs.batch(other.batch.id) == other


@pytest.mark.parametrize("use", ["batch", "cancel_batch"])
@pytest.mark.parametrize("batch_id", [str(uuid4()), "", "no-uuid"], ids=["other", "none", "word"])
def test_a_batch_that_does_not_exist_is_not_found(world: World, use: str, batch_id: str) -> None:
    with pytest.raises(BatchNotFoundError) as caught:
        getattr(world.jobs, use)(batch_id)
    assert caught.value.field == "batch_id"


def test_a_batch_is_canceled_as_far_as_it_is_not_over(world: World) -> None:
    kept = world.jobs.submit_many(bells(4), request_id="r")
    pending, running, over, gone = keys(kept)
    claim = world.claim(running)
    world.work.finish(world.claim(over), finished())
    world.jobs.cancel(str(gone))
    world.jobs.delete(str(gone))
    ends = world.jobs.cancel_batch(kept.batch.id)
    assert [(UUID(each.id), each.verdict, each.status) for each in ends] == [
        (pending, CancelVerdict.REMOVED_FROM_QUEUE, JobStatus.CANCELED),
        (running, CancelVerdict.STOPPING, JobStatus.CANCELED),
        (over, CancelVerdict.TOO_LATE, JobStatus.FINISHED),
    ]
    assert not world.work.holds(claim)
    batch = world.jobs.batch(kept.batch.id).batch
    assert (batch.canceled, batch.finished, batch.is_final) == (2, 1, True)
    assert world.files() == set()


def test_what_was_canceled_before_the_database_went_away_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancellation, "_BATCH", 2)
    heard: list[UUID] = []
    service = JobService(
        settings=world.settings,
        store=world.store,  # type: ignore[arg-type]
        programs=world.programs,
        dispatcher=world.dispatcher,
        clock=world.clock,
        changed=heard.extend,
    )
    jobs = service.by(EVERYBODY)
    kept = jobs.submit_many(bells(5), request_id="r")
    tell = world.dispatcher.revoke

    def revoke(job_ids: Sequence[UUID], *, running: bool) -> None:
        tell(job_ids, running=running)
        if not world.store.trouble and len(world.dispatcher.revoked) == 2:
            world.store.trouble = Trouble.ANSWER_LOST

    monkeypatch.setattr(world.dispatcher, "revoke", revoke)
    with pytest.raises(CutShortError, match="does not answer") as caught:
        jobs.cancel_batch(kept.batch.id)
    first, second, last = keys(kept)[:2], keys(kept)[2:4], keys(kept)[4]
    assert caught.value.ends == dict.fromkeys(first, CancelVerdict.REMOVED_FROM_QUEUE)
    assert caught.value.left_open == second
    # Watchers look themselves, at those too of whom nobody knows.
    assert set(heard) == {*first, *second, last}
    assert {world.status(each) for each in (*first, *second)} == {JobStatus.CANCELED}
    assert world.status(last) is JobStatus.PENDING
    # With nothing done, there is nothing to tell.
    world.store.away = True
    with pytest.raises(UnavailableError) as nothing:
        jobs.cancel_all([str(last)])
    assert not isinstance(nothing.value, CutShortError)


# -- deletion


def test_a_batch_goes_with_the_last_of_its_jobs(world: World) -> None:
    kept = world.jobs.submit_many(bells(3), request_id="r")
    other = world.jobs.submit_many(bells(1), request_id="other")
    world.jobs.cancel_batch(kept.batch.id)
    jobs = keys(kept)
    for place, job_id in enumerate(jobs[:2], 1):
        world.jobs.delete(str(job_id))
        found = world.jobs.batch(kept.batch.id)
        assert keys(found) == jobs[place:]
        assert (found.batch.size, found.batch.canceled) == (3, 3 - place)
    # What is left is what the request_id stands for.
    assert keys(world.jobs.submit_many(bells(3), request_id="r")) == jobs[2:]
    world.jobs.delete(str(jobs[2]))
    with pytest.raises(BatchNotFoundError):
        world.jobs.batch(kept.batch.id)
    assert world.jobs.submit_many(bells(2), request_id="r").batch.size == 2
    assert world.jobs.batch(other.batch.id) == other


def test_of_two_that_delete_the_last_two_jobs_one_deletes_the_batch(world: World) -> None:
    barrier = Barrier(2)

    def delete(job_id: str) -> None:
        barrier.wait(10)
        world.jobs.delete(job_id)

    for number in range(5):
        kept = world.jobs.submit_many(bells(2), request_id=f"r{number}")
        world.jobs.cancel_batch(kept.batch.id)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(delete, kept.job_ids))
        with pytest.raises(BatchNotFoundError):
            world.jobs.batch(kept.batch.id)


def test_jobs_of_a_deleted_batch_are_gone(world: World) -> None:
    kept = world.jobs.submit_many(bells(2), request_id="r")
    world.jobs.cancel_batch(kept.batch.id)
    with world.store.write() as tx:
        assert tx.history.delete(keys(kept)) == 2
        assert tx.lists.batch_jobs(UUID(kept.batch.id)) == []
    for job_id in kept.job_ids:
        with pytest.raises(JobNotFoundError):
            world.jobs.get(job_id)
    assert world.jobs.page(JobFilter(batch_id=kept.batch.id)).jobs == ()
