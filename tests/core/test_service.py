"""What users do with jobs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.identity import ANONYMOUS, EVERYBODY, Caller
from app.ports import Dispatch
from app.service import JobService
from app.store_feeding import Waiting
from qdispatch.errors import (
    InvalidJobError,
    JobNotFoundError,
    RequestConflictError,
    RequestError,
    UnavailableError,
)
from qdispatch.model import (
    CancelVerdict,
    JobStatus,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    ResultType,
)
from tests.specs import BELL, bell
from tests.world import World, failed, finished


def count_jobs(world: World) -> int:
    with world.store.read() as tx:
        return sum(tx.load().values())


def see_worker(world: World, target: str, name: str = "", slots: int = 2) -> None:
    world.work.report(name or f"{target}@host", target, slots)


# -- submission


def test_a_job_is_kept_and_sent(world: World) -> None:
    info = world.jobs.submit(bell(tags=("a", "b"), seed=7), request_id="r")
    job_id = UUID(info.id)
    assert info == world.jobs.get(info.id)
    assert info.status is JobStatus.PENDING
    assert info.created_at == world.clock()
    assert (info.owner, info.request_id, info.attempt) == ("anonymous", "r", 0)
    assert (info.spec.tags, info.spec.seed, info.spec.target) == (("a", "b"), 7, "aer")
    assert world.programs.read(job_id) == BELL
    assert [(each.job_id, each.target) for each in world.dispatcher.sent] == [(job_id, "aer")]
    assert world.dispatcher.sent[0].label == "target=aer qubits=2 shots=100"


def test_a_spec_comes_back_as_it_was_submitted(world: World) -> None:
    spec = bell(
        program_format=ProgramFormat.OPENQASM3,
        framework="mine ✓",
        n_qubits=3,
        depth=2**32 - 1,
        submission_date=datetime(2025, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        result_types=(ResultType.EXPVAL, ResultType.COUNTS),
        shots=10_000_000,
        seed=2**63 - 1,
        observables=(
            PauliSum(terms=(PauliTerm(paulis="XIZ", coefficient=-0.1), PauliTerm(paulis=""))),
            PauliSum(terms=(PauliTerm(paulis="YX", qubits=(2, 0), coefficient=1e-300),)),
        ),
        extra='{"b": 1,  "a": "\\u0000 ü"}',
        time_limit_s=0.125,
        tags=("one", "", "two words"),
    )
    info = world.jobs.submit(spec, request_id="r")
    assert world.jobs.get(info.id).spec == bell(
        **{name: getattr(spec, name) for name in spec.__dataclass_fields__} | {"program": ""}
    )


def test_the_job_is_committed_before_it_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[JobStatus] = []
    monkeypatch.setattr(
        world.dispatcher, "send", lambda each: seen.append(world.status(each.job_id))
    )
    world.jobs.submit(bell(), request_id="r")
    assert seen == [JobStatus.PENDING]


def test_ids_are_uuids_of_version_7_in_the_order_of_time(world: World) -> None:
    ids = [world.submit() for _ in range(50)]
    assert {each.version for each in ids} == {7}
    assert ids == sorted(ids)
    assert len(set(ids)) == 50


# -- the same request_id


def test_a_request_id_names_one_job(world: World) -> None:
    first = world.jobs.submit(bell(), request_id="r")
    world.clock.advance(60)
    assert world.jobs.submit(bell(), request_id="r") == first
    assert count_jobs(world) == 1
    assert world.files() == {UUID(first.id)}
    assert len(world.dispatcher.sent) == 1


def test_a_submission_that_is_tried_again_may_have_another_date(world: World) -> None:
    dates = (None, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    ids = {world.jobs.submit(bell(submission_date=d), request_id="r").id for d in dates}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"program": BELL + "// other"},
        {"program_format": ProgramFormat.OPENQASM3},
        {"target": "cirq"},
        {"target": ""},
        {"framework": "other"},
        {"n_qubits": 3},
        {"depth": 4},
        {"result_types": (ResultType.QUASI,)},
        {"shots": 101},
        {"seed": 0},
        {"extra": "{}"},
        {"time_limit_s": 5.0},
        {"tags": ("tag",)},
        {
            "result_types": (ResultType.COUNTS, ResultType.EXPVAL),
            "observables": (PauliSum(terms=(PauliTerm(paulis="ZZ"),)),),
        },
    ],
    ids="+".join,
)
def test_other_content_under_the_same_request_id_is_refused(
    world: World, change: dict[str, Any]
) -> None:
    first = world.jobs.submit(bell(), request_id="r")
    with pytest.raises(RequestConflictError, match=first.id) as caught:
        world.jobs.submit(bell(**change), request_id="r")
    assert caught.value.field == "request_id"
    assert world.files() == {UUID(first.id)}
    assert len(world.dispatcher.sent) == 1


def test_owners_have_request_ids_of_their_own(world: World) -> None:
    mine = world.service.by(Caller(owner="me")).submit(bell(), request_id="r")
    yours = world.service.by(Caller(owner="you")).submit(bell(shots=1), request_id="r")
    assert mine.id != yours.id
    assert (mine.owner, yours.owner) == ("me", "you")


@pytest.mark.parametrize("status", [each for each in JobStatus if each.is_final])
def test_a_request_id_names_its_job_after_the_end_too(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    again = world.jobs.submit(bell(), request_id="request-0")
    assert (UUID(again.id), again.status) == (job_id, status)
    assert world.files() == set()


def test_duplicates_at_the_same_time_make_one_job(world: World) -> None:
    barrier = Barrier(8)

    def submit(_: int) -> str:
        barrier.wait(10)
        return world.jobs.submit(bell(), request_id="r").id

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(submit, range(8)))
    assert len(ids) == 1
    assert count_jobs(world) == 1
    assert world.files() == {UUID(*ids)}
    assert len(world.dispatcher.sent) == 1


# -- refusals leave nothing


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shots": 0}, "spec.shots"),
        ({"target": "nowhere"}, "spec.target"),
        ({"n_qubits": 101}, "spec.n_qubits"),
        ({"program": " "}, "spec.program"),
    ],
)
def test_a_refused_job_leaves_nothing(world: World, change: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        world.jobs.submit(bell(**change), request_id="r")
    assert caught.value.field == field
    assert count_jobs(world) == 0
    assert world.files() == set()
    assert world.dispatcher.sent == []
    # The request_id is as good as new.
    world.jobs.submit(bell(), request_id="r")


def test_a_request_id_is_needed(world: World) -> None:
    with pytest.raises(InvalidJobError) as caught:
        world.jobs.submit(bell(), request_id="")
    assert caught.value.field == "request_id"
    assert world.files() == set()


def test_while_the_database_is_away_nothing_is_sent(world: World) -> None:
    world.store.away = True
    with pytest.raises(UnavailableError):
        world.jobs.submit(bell(), request_id="r")
    world.store.away = False
    assert world.dispatcher.sent == []
    assert count_jobs(world) == 0
    world.jobs.submit(bell(), request_id="r")
    assert count_jobs(world) == 1


def test_a_program_that_cannot_be_stored_makes_no_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("the program cannot be stored for now; try again")

    monkeypatch.setattr(world.programs, "write", refuse)
    with pytest.raises(UnavailableError):
        world.jobs.submit(bell(), request_id="r")
    assert count_jobs(world) == 0
    assert world.dispatcher.sent == []


# -- the target that the server picks


def picked(world: World, **changes: Any) -> str:
    world.submit(target="", **changes)
    return world.dispatcher.sent[-1].target


def test_the_least_loaded_target_is_picked(world: World) -> None:
    for target, slots in (("aer", 2), ("cirq", 2), ("pennylane", 1)):
        see_worker(world, target, slots=slots)
    for target, number in (("aer", 3), ("cirq", 2), ("pennylane", 2)):
        for _ in range(number):
            world.submit(target=target)
    # By slot, it is aer 3/2, cirq 2/2, pennylane 2/1.
    assert picked(world) == "cirq"
    assert picked(world) in {"aer", "cirq"}


def test_running_jobs_are_load_as_waiting_ones_are(world: World) -> None:
    for target in ("aer", "cirq"):
        see_worker(world, target)
    world.running(target="aer")
    assert picked(world) == "cirq"


def test_ended_jobs_are_no_load(world: World) -> None:
    see_worker(world, "aer")
    see_worker(world, "cirq")
    world.work.finish(world.running(target="aer"), finished())
    world.submit(target="cirq")
    assert picked(world) == "aer"


def test_a_target_without_a_worker_comes_last(world: World) -> None:
    see_worker(world, "pennylane")
    for _ in range(5):
        world.submit(target="pennylane")
    assert picked(world) == "pennylane"


def test_a_worker_that_was_not_seen_lately_does_not_count(world: World) -> None:
    see_worker(world, "aer")
    world.clock.advance(31)
    see_worker(world, "cirq")
    for _ in range(3):
        world.submit(target="cirq")
    assert picked(world) == "cirq"


def test_only_targets_that_fit_are_picked(world: World) -> None:
    for _ in range(5):
        world.submit(target="aer")
    assert picked(world, n_qubits=100) == "aer"
    with pytest.raises(InvalidJobError, match="at most 100"):
        world.submit(target="", n_qubits=101)


# -- time limits


@pytest.mark.parametrize(
    ("asked", "given"), [(None, 600.0), (1.5, 1.5), (1500.0, 1500.0), (1e9, 1500.0)]
)
def test_the_time_limit_falls_back_and_is_capped(
    world: World, asked: float | None, given: float
) -> None:
    job_id = world.submit(time_limit_s=asked)
    assert world.info(job_id).spec.time_limit_s == given


# -- cancellation


def test_cancel_a_pending_job(world: World) -> None:
    job_id = world.submit()
    cancellation = world.jobs.cancel(str(job_id))
    assert cancellation.verdict is CancelVerdict.REMOVED_FROM_QUEUE
    assert cancellation.job.status is JobStatus.CANCELED
    assert cancellation.job == world.info(job_id)
    assert world.dispatcher.revoked == [(job_id, False)]
    assert world.work.claim(job_id, "w") is None


def test_cancel_a_running_job(world: World) -> None:
    claim = world.running()
    cancellation = world.jobs.cancel(str(claim.job_id))
    assert cancellation.verdict is CancelVerdict.STOPPING
    assert cancellation.job.status is JobStatus.CANCELED
    assert world.dispatcher.revoked == [(claim.job_id, True)]
    assert not world.work.renew(claim)


def test_a_cancellation_that_is_repeated_has_the_same_verdict_until_it_is_confirmed(
    world: World,
) -> None:
    """The answer to the first try may have been lost."""
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    before = world.info(claim.job_id)
    again = world.jobs.cancel(str(claim.job_id))
    assert (again.verdict, again.job) == (CancelVerdict.STOPPING, before)
    assert world.dispatcher.revoked == [(claim.job_id, True)] * 2
    world.work.confirm_stop(claim)
    late = world.jobs.cancel(str(claim.job_id))
    assert (late.verdict, late.job.status) == (CancelVerdict.TOO_LATE, JobStatus.CANCELED)


@pytest.mark.parametrize("status", [each for each in JobStatus if each.is_final])
def test_cancel_a_job_that_has_ended(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    before, revoked = world.info(job_id), list(world.dispatcher.revoked)
    cancellation = world.jobs.cancel(str(job_id))
    assert cancellation.verdict is CancelVerdict.TOO_LATE
    assert cancellation.job == before == world.info(job_id)
    assert world.dispatcher.revoked == revoked


@pytest.mark.parametrize("use", ["get", "cancel"])
@pytest.mark.parametrize(
    "job_id", ["00000000000000000000000000000000", "", "no-uuid", "x" * 1000, "0" * 31]
)
def test_a_job_that_does_not_exist_is_not_found(world: World, use: str, job_id: str) -> None:
    call: Callable[[str], object] = getattr(world.jobs, use)
    with pytest.raises(JobNotFoundError) as caught:
        call(job_id)
    assert caught.value.field == "id"
    assert len(str(caught.value)) < 200


# -- results


def test_results_are_there_once_finished(world: World) -> None:
    claim = world.running()
    assert world.jobs.results(str(claim.job_id)) == []
    world.work.finish(claim, finished())
    assert world.jobs.results(str(claim.job_id)) == [finished().results[0].value]


@pytest.mark.parametrize("status", [each for each in JobStatus if each is not JobStatus.FINISHED])
def test_only_finished_jobs_have_results(world: World, status: JobStatus) -> None:
    assert world.jobs.results(str(world.job_in(status))) == []


# -- program files


@pytest.mark.parametrize("status", JobStatus)
def test_the_program_file_lives_as_long_as_the_job_may_run(world: World, status: JobStatus) -> None:
    job_id = world.job_in(status)
    assert world.files() == (set() if status.is_final else {job_id})


def test_a_canceled_running_job_has_no_file(world: World) -> None:
    claim = world.running()
    world.jobs.cancel(str(claim.job_id))
    assert world.files() == set()


def test_history_is_kept(world: World) -> None:
    ids = [world.job_in(status) for status in JobStatus]
    assert [world.status(each) for each in ids] == list(JobStatus)


# -- targets


def test_targets_tell_their_load(world: World) -> None:
    see_worker(world, "aer", "aer@one")
    see_worker(world, "aer", "aer@two")
    world.submit(target="aer")
    world.submit(target="aer")
    world.running(target="aer")
    world.work.fail(world.running(target="cirq"), failed())
    aer, cirq, pennylane = world.service.targets()
    assert [each.name for each in (aer, cirq, pennylane)] == ["aer", "cirq", "pennylane"]
    assert (aer.workers_online, aer.queue_length, aer.running) == (2, 2, 1)
    assert (cirq.workers_online, cirq.queue_length, cirq.running) == (0, 0, 0)
    assert (aer.simulator, aer.max_qubits) == ("aer", 100)
    assert (aer.default_time_limit_s, aer.max_time_limit_s) == (600.0, 1500.0)


def dispatch(job_id: UUID, attempt: int = 0) -> Dispatch:
    return Dispatch(job_id=job_id, target="aer", label="", attempt=attempt)


def test_a_repeated_request_is_answered_whatever_the_settings_have_become(world: World) -> None:
    first = world.jobs.submit(bell(shots=500), request_id="r")
    limited = world.settings.model_copy(
        update={"server": world.settings.server.model_copy(update={"max_shots": 100})}
    )
    service = JobService(
        settings=limited,
        store=world.store,
        programs=world.programs,
        dispatcher=world.dispatcher,
        clock=world.clock,
    ).by(EVERYBODY)
    assert service.submit(bell(shots=500), request_id="r").id == first.id
    for refused in ("r", "other"):
        with pytest.raises(InvalidJobError, match="max_shots"):
            service.submit(bell(shots=501), request_id=refused)


def unsent(world: World, tx: Any) -> list[Waiting]:
    now: list[Waiting] = tx.feeding.next(("aer", ANONYMOUS), world.clock(), world.clock(), 10)
    return now


def test_a_late_note_does_not_keep_a_job_from_being_sent_again(world: World) -> None:
    claim = world.running()
    world.work.hand_over(claim)
    world.service.mark_sent([dispatch(claim.job_id)])
    world.clock.advance(1)
    with world.store.read() as tx:
        assert [each.attempt for each in unsent(world, tx)] == [1]
    world.service.mark_sent([dispatch(claim.job_id, attempt=1)])
    with world.store.read() as tx:
        assert unsent(world, tx) == []


def test_mark_sent_notes_pending_jobs_only(world: World) -> None:
    pending, running = world.submit(), world.running().job_id
    world.service.mark_sent([dispatch(each) for each in (pending, running, uuid4())])
    with world.store.read() as tx:
        rows = [tx.job(each) for each in (pending, running)]
    assert [row and row.sent_at for row in rows] == [world.clock(), None]
