"""Callers who come together are answered by one transaction, and each by itself all the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from app import reading
from app.identity import ANONYMOUS
from app.reading import Found, Wanted
from app.submission import Order
from qdispatch.errors import (
    InvalidJobError,
    JobNotFoundError,
    RequestConflictError,
    TargetDrainedError,
    UnavailableError,
    UnknownTargetError,
)
from qdispatch.model import JobInfo, JobStatus, TargetState
from tests.core.databases import ON_DATABASES
from tests.fakes import Trouble
from tests.specs import bell
from tests.world import World, finished


def order(request_id: str, **changes: object) -> Order:
    return Order(spec=bell(**changes), request_id=request_id, owner=ANONYMOUS)


def test_each_has_the_answer_to_its_own_order(world: World) -> None:
    kept = world.jobs.submit(bell(), request_id="kept")
    world.targets.set_state("cirq", TargetState.DRAINED)
    answers = world.service.submit_each(
        [
            order("new"),
            order("kept"),
            order("kept", shots=7),
            order("wrong", shots=-1),
            order("nowhere", target="nowhere"),
            order("drained", target="cirq"),
            order(""),
            order("anywhere", target=""),
            order("twice"),
            order("twice"),
            order("twice", shots=7),
        ]
    )
    new, same, conflict, wrong, nowhere, drained, unnamed, anywhere, *twice = answers
    assert same == kept
    errors = [type(each) for each in (conflict, wrong, nowhere, drained, unnamed)]
    assert errors == [
        RequestConflictError,
        InvalidJobError,
        UnknownTargetError,
        TargetDrainedError,
        InvalidJobError,
    ]
    jobs = [each for each in (new, anywhere, twice[0]) if isinstance(each, JobInfo)]
    assert [each.request_id for each in jobs] == ["new", "anywhere", "twice"]
    assert twice[1] == twice[0]
    assert isinstance(twice[2], RequestConflictError)
    ids = {UUID(each.id) for each in (kept, *jobs)}
    # Of what was refused nothing remains, and all others will be run.
    assert world.files() == ids
    assert {each.job_id for each in world.dispatcher.sent} == ids
    assert [world.info(UUID(each.id)) for each in jobs] == jobs


@pytest.mark.parametrize("trouble", Trouble, ids=lambda each: each.value)
def test_what_the_database_does_not_confirm_is_open_for_all(world: World, trouble: Trouble) -> None:
    orders = [order("a"), order("b")]
    world.store.trouble = trouble
    with pytest.raises(UnavailableError):
        world.service.submit_each(orders)
    answers = world.service.submit_each(orders)
    assert [each.request_id for each in answers if isinstance(each, JobInfo)] == ["a", "b"]
    assert len(world.service.submit_each(orders)) == 2
    kept = {UUID(each.id) for each in answers if isinstance(each, JobInfo)}
    assert kept <= world.files()


@ON_DATABASES
def test_groups_that_meet_over_the_same_submissions(world: World) -> None:
    """In either order: two transactions that wait for each other would be an error."""
    names = [f"r{number}" for number in range(20)]
    start = Barrier(4)

    def submit(turned: bool) -> dict[str, str]:
        start.wait(10)
        some = [order(each) for each in (reversed(names) if turned else names)]
        answers = world.service.submit_each(some)
        return {each.request_id: each.id for each in answers if isinstance(each, JobInfo)}

    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(submit, [False, True, False, True])
    assert first.keys() == set(names)
    assert all(each == first for each in others)
    assert world.files() == set(map(UUID, first.values()))


def test_each_has_the_job_that_it_asked_for(world: World) -> None:
    ended = world.running()
    world.work.finish(ended, finished())
    pending = world.job_in(JobStatus.PENDING)
    wanted = [
        Wanted(job_id=str(ended.job_id), sees=None, results=True),
        Wanted(job_id=str(pending), sees=None, results=True),
        Wanted(job_id=str(ended.job_id), sees=None),
        Wanted(job_id=str(uuid4()), sees=None),
        Wanted(job_id="no-id", sees=None),
    ]
    *found, unknown, no_id = world.service.get_each(wanted)
    results = world.jobs.results(str(ended.job_id))
    assert len(results) == 1
    assert found == [
        Found(job=world.info(ended.job_id), results=results),
        Found(job=world.info(pending)),
        Found(job=world.info(ended.job_id)),
    ]
    assert isinstance(unknown, JobNotFoundError)
    assert isinstance(no_id, JobNotFoundError)


def test_what_is_large_is_left_to_be_read_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = world.job_in(JobStatus.PENDING), world.running()
    world.work.finish(large, finished())
    monkeypatch.setattr(reading, "LARGE_BYTES", 1)
    wanted = [Wanted(job_id=str(each), sees=None, results=True) for each in (small, large.job_id)]
    assert world.service.get_each(wanted) == [Found(job=world.info(small)), None]
