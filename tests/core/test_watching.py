"""Watchers hear of everything once and in order, whatever happens in between."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import app.watches
from app import watching
from app.identity import EVERYBODY
from app.settings import Settings
from app.watching import Watchers
from app.work import WorkService
from qdispatch.errors import (
    BatchNotFoundError,
    JobNotFoundError,
    QDispatchError,
    UnavailableError,
)
from qdispatch.model import JobEvent, JobStatus
from qdispatch.updates import BatchUpdate, JobUpdate, Outlook
from tests.core.databases import ON_DATABASES
from tests.core.journal import statements
from tests.fakes import Trouble
from tests.services.process import wait_until
from tests.watching import Told
from tests.world import NO_DATABASE, World, bell, failed, finished, make_settings, make_world

# In this time nothing is looked at that nobody has named.
NEVER_S = 600.0
SOON = pytest.mark.parametrize("interval_s", [0.01], indirect=True, ids=["polled"])


@pytest.fixture
def interval_s(request: pytest.FixtureRequest) -> float:
    return float(getattr(request, "param", NEVER_S))


@pytest.fixture
def settings(tmp_path: Path, database_url: str, interval_s: float) -> Settings:
    server = {"watch_interval_s": interval_s, "cancel_wait_s": 0}
    return make_settings(tmp_path, database_url=database_url, server=server)


@pytest.fixture(autouse=True)
def no_outlooks(monkeypatch: pytest.MonkeyPatch) -> None:
    # They would come among the updates wherever a machine is slow.
    monkeypatch.setattr(watching, "_SOON_S", NEVER_S)


@pytest.fixture
def watchers(world: World) -> Iterator[Watchers]:
    world.watchers.start()
    yield world.watchers
    world.watchers.close()


def watch(watchers: Watchers, job_id: UUID, after: int = 0) -> Told:
    told = Told()
    watchers.watch_job(job_id, EVERYBODY, after=after, tell=told)
    return told


def watch_batch(watchers: Watchers, batch_id: str, after: tuple[int, ...] = ()) -> Told:
    told = Told()
    watchers.watch_batch(UUID(batch_id), EVERYBODY, after=after, tell=told)
    return told


def statuses(events: list[JobEvent]) -> list[str]:
    return [each.status.value for each in events]


def held(watchers: Watchers) -> int:
    """How much is kept of all who watch."""
    return len(watchers._of_job) + len(watchers._versions) + len(watchers._new)


def last_status(told: Told) -> JobStatus:
    update = told.updates[-1]
    assert isinstance(update, JobUpdate)
    return update.job.status


# -- one job


def test_each_change_is_told_as_soon_as_it_is_named(world: World, watchers: Watchers) -> None:
    job_id = world.submit()
    told = watch(watchers, job_id)
    told.times(1)
    assert statuses(told.events) == ["pending"]
    claim = world.claim(job_id)
    watchers.changed([job_id])
    told.until(lambda: len(told.events) == 2)
    assert last_status(told) is JobStatus.RUNNING
    world.work.finish(claim, finished())
    watchers.changed([job_id])
    assert told.end() is None
    assert tuple(told.events) == world.info(job_id).events
    assert last_status(told) is JobStatus.FINISHED
    assert wait_until(lambda: not held(watchers), 30)


@SOON
def test_what_nobody_names_is_found(world: World, watchers: Watchers) -> None:
    job_id = world.submit()
    told = watch(watchers, job_id)
    told.times(1)
    world.work.fail(world.claim(job_id), failed())
    assert told.end() is None
    assert statuses(told.events) == ["pending", "running", "failed"]


def test_a_cancellation_is_told_at_once(world: World, watchers: Watchers) -> None:
    one, another = world.submit(), world.submit()
    kept = world.jobs.submit_many([bell()] * 2, request_id="b")
    all_told = [
        *(watch(watchers, each) for each in (one, another)),
        watch_batch(watchers, kept.batch.id),
    ]
    for told in all_told:
        told.times(1)
    world.jobs.cancel(str(one))
    world.jobs.cancel_all([str(another), "no-uuid", str(uuid4())])
    world.jobs.cancel_batch(kept.batch.id)
    for told in all_told:
        assert told.end() is None


@pytest.mark.parametrize("after", range(6))
def test_who_comes_again_is_told_what_is_left(world: World, watchers: Watchers, after: int) -> None:
    claim = world.running()
    world.work.hand_over(claim)
    world.work.finish(world.claim(claim.job_id), finished())
    told = watch(watchers, claim.job_id, after)
    assert told.end() is None
    assert [each.number for each in told.events] == list(range(after + 1, 6))
    # Where the job is, is told in any case.
    assert last_status(told) is JobStatus.FINISHED


def test_a_job_that_does_not_exist(watchers: Watchers) -> None:
    error = watch(watchers, uuid4()).end()
    assert isinstance(error, JobNotFoundError)
    assert error.field == "id"
    assert wait_until(lambda: not held(watchers), 30)


def test_a_job_that_is_deleted_while_it_is_watched(world: World, watchers: Watchers) -> None:
    job_id = world.submit()
    told = watch(watchers, job_id)
    told.times(1)
    # Without a word to the watchers.
    world.work.cancel_all([job_id])
    world.jobs.delete(str(job_id))
    watchers.changed([job_id])
    assert isinstance(told.end(), JobNotFoundError)
    assert wait_until(lambda: not held(watchers), 30)


def test_who_comes_later_hides_nothing_from_those_before(world: World, watchers: Watchers) -> None:
    claim = world.running()
    first = watch(watchers, claim.job_id)
    first.times(1)
    world.work.hand_over(claim)
    watch(watchers, claim.job_id).times(1)
    watchers.changed([claim.job_id])
    first.until(lambda: len(first.events) == 3)
    world.work.cancel_all([claim.job_id])
    assert watch(watchers, claim.job_id).end() is None
    watchers.changed([claim.job_id])
    assert first.end() is None
    assert tuple(first.events) == world.info(claim.job_id).events


def test_the_points_of_a_sweep_are_told(world: World, watchers: Watchers) -> None:
    claim = world.running()
    told = watch(watchers, claim.job_id)
    told.times(1)
    world.work.progress(claim, 3)
    watchers.changed([claim.job_id])
    told.times(2)
    update = told.updates[1]
    assert isinstance(update, JobUpdate)
    assert (update.job.points_done, update.events) == (3, ())


# -- batches


def test_a_batch_is_watched_to_its_end(world: World, watchers: Watchers) -> None:
    kept = world.jobs.submit_many([bell()] * 3, request_id="r")
    jobs = [UUID(each) for each in kept.job_ids]
    told = watch_batch(watchers, kept.batch.id)
    told.times(1)
    world.work.finish(world.claim(jobs[1]), finished())
    watchers.changed([jobs[1]])
    told.times(2)
    update = told.updates[1]
    assert isinstance(update, BatchUpdate)
    assert (update.batch.pending, update.batch.finished) == (2, 1)
    world.jobs.cancel_batch(kept.batch.id)
    assert told.end() is None
    for place, job_id in enumerate(jobs):
        assert tuple(told.events_at(place)) == world.info(job_id).events
    last = told.updates[-1]
    assert isinstance(last, BatchUpdate)
    assert last.batch == world.jobs.batch(kept.batch.id).batch
    assert wait_until(lambda: not held(watchers), 30)


def test_who_comes_again_to_a_batch_is_told_what_is_left(world: World, watchers: Watchers) -> None:
    kept = world.jobs.submit_many([bell()] * 3, request_id="r")
    world.work.finish(world.claim(UUID(kept.job_ids[1])), finished())
    world.jobs.cancel(kept.job_ids[2])
    told = watch_batch(watchers, kept.batch.id, (1, 2))
    told.times(1)
    assert [statuses(told.events_at(place)) for place in range(3)] == [
        [],
        ["finished"],
        ["pending", "canceled"],
    ]


def test_a_batch_that_does_not_exist(watchers: Watchers) -> None:
    error = watch_batch(watchers, str(uuid4())).end()
    assert isinstance(error, BatchNotFoundError)
    assert error.field == "batch_id"
    assert not held(watchers)


def test_jobs_that_are_deleted_while_their_batch_is_watched(
    world: World, watchers: Watchers
) -> None:
    kept = world.jobs.submit_many([bell()] * 2, request_id="r")
    first, second = (UUID(each) for each in kept.job_ids)
    told = watch_batch(watchers, kept.batch.id)
    told.times(1)
    for job_id, number in ((first, 2), (second, 3)):
        world.work.cancel_all([job_id])
        world.jobs.delete(str(job_id))
        watchers.changed([job_id])
        told.times(number)
    assert told.end() is None
    batches = [each.batch for each in told.updates if isinstance(each, BatchUpdate)]
    assert [each.pending for each in batches] == [2, 1, 0]
    assert {each.size for each in batches} == {2}


# -- outlooks


@SOON
def test_an_outlook_is_told_when_it_changes_and_not_otherwise(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_OUTLOOK_S", 0.0)
    monkeypatch.setattr(watching, "_SOON_S", 0.0)
    watchers = world.watchers
    looks = 0
    of = watchers._outlooks.of

    def counted(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        return of(*args)

    monkeypatch.setattr(watchers._outlooks, "of", counted)
    watchers.start()
    first, second = world.submit(), world.submit()
    told = watch(watchers, second)
    told.times(2)
    assert told.updates[1].outlook == Outlook(queue_position=2)
    before = looks
    assert wait_until(lambda: looks > before + 5, 10)
    assert len(told.updates) == 2
    world.jobs.cancel(str(first))
    told.times(3)
    before = looks
    assert wait_until(lambda: looks > before + 5, 10)
    assert [each.outlook.queue_position for each in told.updates] == [None, 2, 1]
    assert [len(each.events) for each in told.updates] == [1, 0, 0]
    watchers.close()


# -- the database is away


@SOON
def test_a_database_that_is_away_for_a_while_loses_nothing(
    world: World, watchers: Watchers
) -> None:
    elsewhere = WorkService(
        store=world.store.inner,
        programs=world.programs,
        clock=world.clock,
        settings=world.settings.jobs,
    )
    job_id = world.submit()
    told = watch(watchers, job_id)
    told.times(1)
    world.store.away = True
    claim = elsewhere.claim(job_id, "aer@host")
    assert claim is not None
    watchers.changed([job_id])
    late, unknown = watch(watchers, job_id), watch(watchers, uuid4())
    elsewhere.finish(claim, finished())
    # It has taken them, and has found nobody to ask.
    assert wait_until(lambda: watchers._new, 30)
    assert not late.updates
    assert not unknown.ended
    world.store.away = False
    assert told.end() is late.end() is None
    assert tuple(told.events) == tuple(late.events) == world.info(job_id).events
    assert isinstance(unknown.end(), JobNotFoundError)


# -- many


def questions(asked: list[str]) -> list[str]:
    return [each for each in asked if each.startswith("SELECT")]


@ON_DATABASES
def test_thousands_of_watchers_cost_one_question_a_look(world: World, watchers: Watchers) -> None:
    kept = world.jobs.submit_many([bell()] * 20, request_id="r")
    jobs = [UUID(each) for each in kept.job_ids]
    all_told = [watch(watchers, jobs[each % 20]) for each in range(3000)]
    for told in all_told:
        told.times(1)
    # Once a later watcher is told, the look before is over, and asks nothing more.
    other = world.submit()
    watch(watchers, other).times(1)
    with statements(world) as asked:
        watchers.changed(jobs)
        assert wait_until(lambda: questions(asked), 30)
        # This look must not see the cancellation already.
        watch(watchers, other).times(1)
        # The look's, and the new watcher's.
        assert len(questions(asked)) == 2
        world.work.cancel_all(jobs[:1])
        asked.clear()
        watchers.changed(jobs[:1])
        for told in all_told[::20]:
            assert told.end() is None
        # Of a few jobs, how they are now is asked at once.
        assert len(questions(asked)) == 1
    assert [len(each.updates) for each in all_told] == [
        2 if n % 20 == 0 else 1 for n in range(3000)
    ]


@ON_DATABASES
def test_many_jobs_are_asked_for_piece_by_piece(
    world: World, watchers: Watchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_MANY", 4)
    kept = world.jobs.submit_many([bell()] * 10, request_id="r")
    told = watch_batch(watchers, kept.batch.id)
    told.times(1)
    world.jobs.cancel_batch(kept.batch.id)
    assert told.end() is None
    assert all(statuses(told.events_at(place)) == ["pending", "canceled"] for place in range(10))


# -- the end of watching


def test_who_leaves_is_forgotten(world: World, watchers: Watchers) -> None:
    kept = world.jobs.submit_many([bell()] * 2, request_id="r")
    told, batch_told = Told(), Told()
    one = watchers.watch_job(UUID(kept.job_ids[0]), EVERYBODY, after=0, tell=told)
    other = watchers.watch_batch(UUID(kept.batch.id), EVERYBODY, after=(), tell=batch_told)
    told.times(1)
    batch_told.times(1)
    watchers.leave(one)
    watchers.changed([UUID(kept.job_ids[0])])
    assert wait_until(lambda: not watchers._left, 30)
    world.jobs.cancel(kept.job_ids[0])
    batch_told.times(2)
    assert len(told.updates) == 1
    watchers.leave(other)
    watchers.changed([UUID(kept.job_ids[1])])
    assert wait_until(lambda: not held(watchers), 30)
    world.jobs.cancel(kept.job_ids[1])
    assert not batch_told.ended


def test_who_leaves_before_it_was_noticed_is_never_kept(world: World) -> None:
    job_id = world.submit()
    watchers, told = world.watchers, Told()
    watchers.leave(watchers.watch_job(job_id, EVERYBODY, after=0, tell=told))
    other = watch(watchers, world.submit())
    watchers.start()
    other.times(1)
    assert job_id not in watchers._of_job
    assert told.updates == []
    watchers.close()


def test_a_stop_is_told_to_all(world: World) -> None:
    watchers = world.watchers
    watchers.start()
    kept = world.jobs.submit_many([bell()] * 2, request_id="r")
    begun = [watch(watchers, UUID(kept.job_ids[0])), watch_batch(watchers, kept.batch.id)]
    for told in begun:
        told.times(1)
    fresh = watch(watchers, UUID(kept.job_ids[1]))
    watchers.close()
    late = watch(watchers, UUID(kept.job_ids[1]))
    for told in (*begun, fresh, late):
        assert isinstance(told.end(), UnavailableError)


def test_one_row_that_cannot_be_read_ends_only_its_watchers(
    world: World,
    watchers: Watchers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damaged, fine = world.submit(), world.submit()
    events_of = app.watches.events_of

    def read(row: Any) -> Any:
        if row.id == damaged:
            raise ValueError("no such status")
        return events_of(row)

    monkeypatch.setattr(app.watches, "events_of", read)
    told, other = watch(watchers, damaged), watch(watchers, fine)
    error = told.end()
    assert type(error) is QDispatchError
    assert "no such status" not in str(error)
    assert f"cannot tell of {damaged}" in caplog.text
    world.jobs.cancel(str(fine))
    assert other.end() is None


# -- whatever happens


class Reader:
    """A client that watches, breaks off now and then, and goes on from where it was."""

    def __init__(
        self, begin: Callable[[list[int], Told], Any], leave: Callable[[Any], None]
    ) -> None:
        self._begin, self._leave = begin, leave
        self.events: dict[int, list[JobEvent]] = {0: [], 1: []}
        self.connect()

    def connect(self) -> None:
        self.told = Told()
        seen = [len(self.events[place]) for place in (0, 1)]
        self._watcher = self._begin(seen, self.told)

    def disconnect(self) -> None:
        self._leave(self._watcher)
        # What comes later goes into the void.
        for update in list(self.told.updates):
            for each in update.events:
                if isinstance(each, JobEvent):
                    self.events[0].append(each)
                else:
                    self.events[each.batch_index].append(each.event)


DO = st.sampled_from(["claim", "claim", "hand over", "finish", "cancel", "break", "hiccup", "wake"])


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(DO, st.integers(0, 1)), max_size=25))
def test_all_that_is_told_together_is_what_has_happened(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = {"watch_interval_s": 0.003, "cancel_wait_s": 0}
        world = make_world(make_settings(Path(folder), database_url=NO_DATABASE, server=server))
        world.watchers.start()
        try:
            _live(world, steps)
        finally:
            world.watchers.close()


def _live(world: World, steps: list[tuple[str, int]]) -> None:
    kept = world.jobs.submit_many([bell(), bell()], request_id="r")
    jobs = [UUID(each) for each in kept.job_ids]
    watchers = world.watchers
    readers = [
        Reader(
            lambda seen, told: watchers.watch_job(jobs[0], EVERYBODY, after=seen[0], tell=told),
            watchers.leave,
        ),
        Reader(
            lambda seen, told: watchers.watch_batch(
                UUID(kept.batch.id), EVERYBODY, after=seen, tell=told
            ),
            watchers.leave,
        ),
    ]
    claims: dict[UUID, Any] = {}
    for step, number in steps:
        job_id = jobs[number]
        with suppress(UnavailableError):
            if step == "claim":
                claims[job_id] = world.work.claim(job_id, "aer@host") or claims.get(job_id)
            elif step == "hand over" and claims.get(job_id):
                world.work.hand_over(claims[job_id])
            elif step == "finish" and claims.get(job_id):
                world.work.finish(claims[job_id], finished())
            elif step == "cancel":
                world.jobs.cancel(str(job_id))
            elif step == "break":
                readers[number].disconnect()
                readers[number].connect()
            elif step == "hiccup":
                world.store.trouble = Trouble.AWAY
            elif step == "wake":
                watchers.changed(jobs)
    world.store.trouble = None
    world.jobs.cancel_all(kept.job_ids)
    for reader in readers:
        assert reader.told.end() is None
        reader.disconnect()
    for reader, places in zip(readers, ((0,), (0, 1)), strict=True):
        for place in places:
            assert tuple(reader.events[place]) == world.info(jobs[place]).events
