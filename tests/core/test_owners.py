"""Whose jobs: what belongs to others does not exist, whichever way somebody comes.

Every way to jobs is named here. One that is added without a test of whose jobs it
leads to fails `test_every_way_is_tested`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest

from app.identity import Caller
from app.reading import Found, Wanted
from app.service import JobService
from app.submission import Order
from app.visible_jobs import VisibleJobs
from app.watching import Watchers
from qdispatch.errors import (
    BatchNotFoundError,
    JobActiveError,
    JobNotFoundError,
    RequestConflictError,
    RequestError,
)
from qdispatch.model import CancelVerdict, JobStatus
from qdispatch.updates import JobFilter
from tests.specs import bell
from tests.watching import Told
from tests.world import World, finished

ME: Final = Caller(owner="me")
YOU: Final = Caller(owner="you")
ADMIN: Final = Caller(owner="root", is_admin=True)


@dataclass(frozen=True, kw_only=True)
class Mine:
    """What somebody has, and three who come for it."""

    world: World
    me: VisibleJobs
    you: VisibleJobs
    admin: VisibleJobs
    pending: str
    finished: str
    batch: str
    in_batch: tuple[str, ...]

    @property
    def every(self) -> set[str]:
        return {self.pending, self.finished, *self.in_batch}


@pytest.fixture
def mine(world: World) -> Mine:
    me = world.service.by(ME)
    pending = me.submit(bell(tags=("t",)), request_id="pending")
    done = me.submit(bell(target="cirq"), request_id="finished")
    world.work.finish(world.claim(UUID(done.id)), finished())
    kept = me.submit_many([bell(), bell()], request_id="batch")
    return Mine(
        world=world,
        me=me,
        you=world.service.by(YOU),
        admin=world.service.by(ADMIN),
        pending=pending.id,
        finished=done.id,
        batch=kept.batch.id,
        in_batch=kept.job_ids,
    )


def refused(call: Callable[[str], object], key: str) -> RequestError:
    """What a stranger is told; it is the same of what there never was."""
    with pytest.raises((JobNotFoundError, BatchNotFoundError)) as caught:
        call(key)
    nobody = str(uuid4())
    with pytest.raises(type(caught.value)) as other:
        call(nobody)
    assert str(caught.value).replace(key, nobody) == str(other.value)
    assert caught.value.field == other.value.field
    return caught.value


# -- what a caller does with jobs, by the method's name


def get(mine: Mine) -> None:
    refused(mine.you.get, mine.pending)
    assert mine.me.get(mine.pending).owner == mine.admin.get(mine.pending).owner == "me"


def results(mine: Mine) -> None:
    refused(mine.you.results, mine.finished)
    refused(mine.you.results, mine.pending)
    assert len(mine.me.results(mine.finished)) == len(mine.admin.results(mine.finished)) == 1


def result_bytes(mine: Mine) -> None:
    refused(mine.you.result_bytes, mine.finished)
    for jobs in (mine.me, mine.admin):
        assert jobs.result_bytes(mine.finished) == sum(map(len, jobs.results(mine.finished)))
        assert jobs.result_bytes(mine.pending) == 0


def small_results(mine: Mine) -> None:
    assert mine.you.small_results(mine.finished, 2**20) == []
    for jobs in (mine.me, mine.admin):
        assert jobs.small_results(mine.finished, 2**20) == mine.me.results(mine.finished)


def cancel(mine: Mine) -> None:
    refused(mine.you.cancel, mine.pending)
    refused(mine.you.cancel, mine.finished)
    assert mine.world.dispatcher.revoked == []
    assert mine.me.cancel(mine.pending).job.status is JobStatus.CANCELED
    assert mine.admin.cancel(mine.in_batch[0]).job.status is JobStatus.CANCELED


def cancel_all(mine: Mine) -> None:
    own = mine.you.submit(bell(), request_id="own").id
    asked = [mine.pending, own, mine.finished, *mine.in_batch]
    ends = mine.you.cancel_all(asked)
    assert [each.id for each in ends] == asked
    assert [each.verdict for each in ends] == [
        CancelVerdict.REMOVED_FROM_QUEUE if each == own else CancelVerdict.NOT_FOUND
        for each in asked
    ]
    assert [each.status for each in ends if each.id != own] == [None] * 4
    assert mine.world.dispatcher.revoked == [(UUID(own), False)]
    verdicts = [each.verdict for each in mine.admin.cancel_all([mine.pending, mine.finished])]
    assert verdicts == [CancelVerdict.REMOVED_FROM_QUEUE, CancelVerdict.TOO_LATE]


def delete(mine: Mine) -> None:
    # Not even that a job is still active is told.
    refused(mine.you.delete, mine.pending)
    refused(mine.you.delete, mine.finished)
    assert UUID(mine.pending) in mine.world.files()
    with pytest.raises(JobActiveError):
        mine.me.delete(mine.pending)
    mine.admin.delete(mine.finished)
    refused(mine.me.get, mine.finished)


def submit(mine: Mine) -> None:
    # A request_id is its owner's: it neither leads to another's job nor collides with it.
    for request_id, changes in (("pending", {"shots": 7}), ("finished", {}), ("batch", {})):
        info = mine.you.submit(bell(**changes), request_id=request_id)
        assert (info.owner, info.id in mine.every) == ("you", False)
    with pytest.raises(RequestConflictError):
        mine.me.submit(bell(shots=7), request_id="pending")
    # An administrator's jobs are their own as well.
    assert mine.admin.submit(bell(shots=7), request_id="pending").owner == "root"
    # Jobs of a batch have request_ids of their own, which strangers may name in vain.
    inner = mine.me.get(mine.in_batch[0]).request_id
    assert mine.you.submit(bell(), request_id=inner).id not in mine.every


def submit_many(mine: Mine) -> None:
    kept = mine.you.submit_many([bell(shots=7)], request_id="batch")
    assert (kept.batch.owner, kept.batch.id == mine.batch) == ("you", False)
    with pytest.raises(RequestConflictError):
        mine.me.submit_many([bell(shots=7)], request_id="batch")
    assert mine.me.submit_many([bell(), bell()], request_id="batch").batch.id == mine.batch


def batch(mine: Mine) -> None:
    refused(mine.you.batch, mine.batch)
    assert mine.me.batch(mine.batch) == mine.admin.batch(mine.batch)
    assert mine.me.batch(mine.batch).job_ids == mine.in_batch


def cancel_batch(mine: Mine) -> None:
    refused(mine.you.cancel_batch, mine.batch)
    assert mine.world.dispatcher.revoked == []
    assert {each.verdict for each in mine.admin.cancel_batch(mine.batch)} == {
        CancelVerdict.REMOVED_FROM_QUEUE
    }


def page(mine: Mine) -> None:
    now = mine.world.clock()
    every: dict[str, Any] = {
        "statuses": tuple(JobStatus),
        "target": "aer",
        "tag": "t",
        "batch_id": mine.batch,
        "created_after": now - timedelta(days=1),
        "created_before": now + timedelta(days=1),
        "owner": "me",
    }
    # A filter that is added is to be tried here as well.
    assert set(every) == {each.name for each in fields(JobFilter)}
    filters = [
        JobFilter(),
        *(JobFilter(**{name: value}) for name, value in every.items()),
        JobFilter(**{name: value for name, value in every.items() if name != "tag"}),
    ]
    for wanted in filters:
        assert mine.you.page(wanted).jobs == (), wanted
        assert mine.me.page(wanted).jobs == mine.admin.page(wanted).jobs != (), wanted
    own = mine.you.submit(bell(), request_id="own").id
    assert [each.id for each in mine.you.page(JobFilter()).jobs] == [own]
    # Another's job may be named as where a page begins, and tells nothing.
    for token in (mine.pending, mine.in_batch[1]):
        assert mine.you.page(JobFilter(), token=token).jobs == ()
    assert mine.you.page(JobFilter(owner="me")).jobs == ()
    assert [each.id for each in mine.admin.page(JobFilter(owner="you")).jobs] == [own]
    assert {each.id for each in mine.admin.page(JobFilter()).jobs} == {own, *mine.every}


# -- those that come together


def get_each(mine: Mine) -> None:
    ids = [mine.pending, mine.finished, *mine.in_batch]
    wanted = [
        Wanted(job_id=job_id, sees=caller.sees, results=True)
        for caller in (YOU, ME, ADMIN)
        for job_id in ids
    ]
    answers = mine.world.service.get_each(wanted)
    for job_id, answer in zip(ids, answers, strict=False):
        assert isinstance(answer, JobNotFoundError)
        assert str(answer) == f"id: there is no job {job_id}"
    rest = answers[len(ids) :]
    assert all(isinstance(each, Found) for each in rest)
    assert [each.job.id for each in rest if isinstance(each, Found)] == ids * 2


def submit_each(mine: Mine) -> None:
    orders = [
        Order(spec=bell(tags=("t",)), request_id="pending", owner=caller.owner)
        for caller in (YOU, ME, ADMIN)
    ]
    yours, again, admins = mine.world.service.submit_each(orders)
    assert not isinstance(yours, RequestError)
    assert not isinstance(again, RequestError)
    assert not isinstance(admins, RequestError)
    assert again.id == mine.pending
    assert len({yours.id, again.id, admins.id}) == 3
    assert [each.owner for each in (yours, again, admins)] == ["you", "me", "root"]


# -- those who watch


def told(mine: Mine, caller: Caller, *, job: str = "", batch: str = "") -> Told:
    """Watches, and waits for the first word."""
    told = Told()
    watchers = mine.world.watchers
    if job:
        watchers.watch_job(UUID(job), caller, after=0, tell=told)
    else:
        watchers.watch_batch(UUID(batch), caller, after=(), tell=told)
    told.until(lambda: told.ended or told.updates)
    return told


def watch_job(mine: Mine) -> None:
    # A job that somebody else watches is known, and still not theirs.
    assert told(mine, ME, job=mine.pending).events
    stranger = told(mine, YOU, job=mine.pending)
    assert (stranger.updates, type(stranger.error)) == ([], JobNotFoundError)
    nobody = str(uuid4())
    other = told(mine, YOU, job=nobody)
    assert str(stranger.error).replace(mine.pending, nobody) == str(other.error)
    assert told(mine, YOU, job=mine.finished).updates == []
    assert told(mine, ADMIN, job=mine.pending).events


def watch_batch(mine: Mine) -> None:
    assert told(mine, ME, batch=mine.batch).events_at(0)
    stranger = told(mine, YOU, batch=mine.batch)
    assert (stranger.updates, type(stranger.error)) == ([], BatchNotFoundError)
    nobody = str(uuid4())
    other = told(mine, YOU, batch=nobody)
    assert str(stranger.error).replace(mine.batch, nobody) == str(other.error)
    assert told(mine, ADMIN, batch=mine.batch).events_at(0)


WAYS: Final = {
    VisibleJobs: (
        get, results, result_bytes, small_results, cancel, cancel_all, delete, submit, submit_many,
        batch, cancel_batch, page,
    ),
    JobService: (get_each, submit_each),
    Watchers: (watch_job, watch_batch),
}  # fmt: skip

#: These lead to nobody's jobs.
OTHERS: Final[dict[type, set[str]]] = {
    VisibleJobs: set(),
    JobService: {"by", "mark_sent", "targets"},
    Watchers: {"start", "close", "leave", "changed"},
}


@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.__name__)
def test_every_way_is_tested(kind: type) -> None:
    public = {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}
    assert public == {each.__name__ for each in WAYS[kind]} | OTHERS[kind]


@pytest.mark.parametrize(
    "way", [each for ways in WAYS.values() for each in ways], ids=lambda way: way.__name__
)
def test_what_is_anothers_does_not_exist(mine: Mine, way: Callable[[Mine], None]) -> None:
    if way in WAYS[Watchers]:
        mine.world.watchers.start()
    try:
        way(mine)
    finally:
        mine.world.watchers.close()


def test_nobody_is_answered_with_anothers_results(world: World) -> None:
    world.work.report("aer@host", "aer", 2, "same")
    exact = {"seed": 7}
    first = world.service.by(ME).submit(bell(**exact), request_id="r")
    world.work.finish(world.claim(UUID(first.id)), finished(fingerprint="same"))
    again = world.service.by(ME).submit(bell(**exact), request_id="again")
    assert (again.status, again.cached_from) == (JobStatus.FINISHED, first.id)
    for caller in (YOU, ADMIN):
        other = world.service.by(caller).submit(bell(**exact), request_id="r")
        assert (other.status, other.cached_from) == (JobStatus.PENDING, "")
