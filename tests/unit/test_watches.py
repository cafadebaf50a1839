"""What one watcher is told of a history, however often it looks or comes again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.events import events_of, line
from app.jobs import TRANSITIONS
from app.rows import BatchRow, JobRow
from app.watches import BatchWatch, JobWatch
from qdispatch.model import JobEvent, JobStatus
from qdispatch.updates import BatchEvent, Outlook

START = datetime(2026, 1, 2, tzinfo=UTC)
SPEC = {
    "owner": "me",
    "framework": "custom",
    "target": "aer",
    "n_qubits": 2,
    "depth": 3,
    "program_format": "openqasm2",
    "result_types": ["counts"],
    "shots": 1,
    "observables": [],
    "extra": "",
    "time_limit_s": 1.0,
    "tags": [],
    "created_at": START,
}
BATCH = BatchRow(id=UUID(int=1), owner="me", request_id="r", created_at=START, size=3, digest=b"")
FIRST = Outlook(queue_position=1)


def lives() -> st.SearchStrategy[list[JobStatus]]:
    """Ways that a job may go, up to its end or not."""

    def way(choices: list[int]) -> list[JobStatus]:
        walked = [JobStatus.PENDING]
        for choice in choices:
            after = sorted(TRANSITIONS[walked[-1]])
            if not after:
                break
            walked.append(after[choice % len(after)])
        return walked

    return st.lists(st.integers(0, 11), max_size=8).map(way)


def row_at(life: Sequence[JobStatus], moment: int, number: int = 0) -> JobRow:
    """A job at a moment of its life."""
    so_far = life[: moment + 1]
    return JobRow(
        id=UUID(int=100 + number),
        request_id=f"r{number}",
        batch_id=BATCH.id,
        batch_index=number,
        status=so_far[-1],
        attempt=so_far.count(JobStatus.RUNNING),
        life="".join(
            line(each, START + timedelta(seconds=place)) for place, each in enumerate(so_far)
        ),
        **SPEC,
    )


def test_lives_are_those_that_a_job_may_have() -> None:
    @given(lives())
    def check(life: list[JobStatus]) -> None:
        assert all(after in TRANSITIONS[before] for before, after in pairwise(life))
        assert [each.status for each in events_of(row_at(life, len(life)))] == life

    check()


# -- one job


@given(lives(), st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=12))
def test_a_watcher_is_told_every_event_once(
    life: list[JobStatus], looks: list[tuple[int, bool]]
) -> None:
    """At whatever moments it looks, and whenever its connection breaks."""
    moments = sorted(moment for moment, _ in looks)
    watch, told = JobWatch(job_id=UUID(int=100)), list[JobEvent]()
    for moment, (_, breaks) in zip([*moments, len(life)], [*looks, (0, False)], strict=True):
        update = watch.update([row_at(life, moment)], None)
        if update is not None:
            told += update.events
        if breaks:
            watch = JobWatch(job_id=UUID(int=100), seen=told[-1].number if told else 0)
    assert tuple(told) == events_of(row_at(life, len(life)))
    assert bool(watch.keys) is not life[-1].is_final


def test_the_first_update_tells_where_the_job_is() -> None:
    life = [JobStatus.PENDING, JobStatus.RUNNING]
    update = JobWatch(job_id=UUID(int=100), seen=2).update([row_at(life, 1)], None)
    assert update is not None
    assert (update.job.status, update.job.events, update.events) == ("running", (), ())


def test_nothing_new_is_not_told() -> None:
    watch, row = JobWatch(job_id=UUID(int=100)), row_at([JobStatus.PENDING], 0)
    assert watch.update([], None) is None
    assert watch.update([row], {row.id: FIRST}) is not None
    assert watch.update([row], {row.id: FIRST}) is None
    assert watch.update([row], None) is None
    assert watch.update([], None) is None


def test_an_outlook_is_told_when_it_changes() -> None:
    watch, row = JobWatch(job_id=UUID(int=100)), row_at([JobStatus.PENDING], 0)
    watch.update([row], {row.id: Outlook(queue_position=2)})
    update = watch.update([], {row.id: FIRST})
    assert update is not None
    assert (update.outlook, update.events, update.job.status) == (FIRST, (), "pending")
    gone = watch.update([], {})
    assert gone is not None
    assert gone.outlook == Outlook()


def test_the_points_of_a_sweep_are_told() -> None:
    life = [JobStatus.PENDING, JobStatus.RUNNING]
    watch, row = JobWatch(job_id=UUID(int=100)), row_at(life, 1)
    watch.update([row], None)
    further = JobRow(**(row.model_dump() | {"points_done": 7}))
    update = watch.update([further], None)
    assert update is not None
    assert (update.job.points_done, update.events) == (7, ())
    assert watch.update([further], None) is None


def test_the_end_has_no_outlook() -> None:
    life = [JobStatus.PENDING, JobStatus.CANCELED]
    watch = JobWatch(job_id=UUID(int=100))
    watch.update([row_at(life, 0)], {UUID(int=100): FIRST})
    update = watch.update([row_at(life, 1)], None)
    assert update is not None
    assert update.outlook == Outlook()


def test_who_knows_more_than_there_is_hears_of_what_follows() -> None:
    """The database was put back to an earlier moment, by a backup."""
    life = [JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FINISHED]
    watch = JobWatch(job_id=UUID(int=100), seen=7)
    first = watch.update([row_at(life, 0)], None)
    last = watch.update([row_at(life, 2)], None)
    assert first is not None
    assert last is not None
    assert [each.number for each in last.events] == [2, 3]
    assert not watch.keys


def test_a_status_without_an_event_of_its_own_is_told() -> None:
    """What a process of the version before did, it did not keep."""
    watch = JobWatch(job_id=UUID(int=100))
    watch.update([row_at([JobStatus.PENDING, JobStatus.RUNNING], 1)], None)
    back = JobRow(**(row_at([JobStatus.PENDING], 0).model_dump() | {"attempt": 1}))
    update = watch.update([back], None)
    assert update is not None
    assert (update.job.status, update.events) == ("pending", ())


# -- a batch


def batch_watch(seen: dict[int, int], jobs: int = 3) -> BatchWatch:
    return BatchWatch(BATCH, {UUID(int=100 + each): each for each in range(jobs)}, seen)


@given(
    st.lists(lives(), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=3, max_size=3), st.booleans()), max_size=6
    ),
)
def test_a_watcher_of_a_batch_is_told_every_event_of_every_job_once(
    every: list[list[JobStatus]], looks: list[tuple[list[int], bool]]
) -> None:
    moments = [-1, -1, -1]
    watch, told, seen = batch_watch({}), list[BatchEvent](), dict[int, int]()
    for steps, breaks in [*looks, ([9, 9, 9], False)]:
        moments = [each + step for each, step in zip(moments, steps, strict=True)]
        rows = [row_at(life, max(0, moments[n]), n) for n, life in enumerate(every)]
        update = watch.update([row for row in rows if row.id in watch.keys], None)
        if update is not None:
            told += update.events
            seen |= {each.batch_index: each.event.number for each in update.events}
            assert Counter(row.status.value for row in rows) == {
                name: number for name in JobStatus if (number := getattr(update.batch, name))
            }
        if breaks:
            watch = batch_watch(seen)
    for number, life in enumerate(every):
        events = events_of(row_at(life, len(life), number))
        own = [each for each in told if each.batch_index == number]
        assert tuple(each.event for each in own) == events
        assert {each.job_id for each in own} == {str(UUID(int=100 + number))}
    assert bool(watch.keys) is not all(life[-1].is_final for life in every)


def test_an_empty_batch_is_told_once() -> None:
    watch = batch_watch({}, jobs=0)
    update = watch.update([], None)
    assert update is not None
    assert (update.batch.size, update.batch.is_final) == (3, True)
    assert watch.update([], None) is None


def test_deleted_jobs_are_not_counted_any_more() -> None:
    watch = batch_watch({}, jobs=2)
    watch.update([row_at([JobStatus.PENDING], 0, number) for number in range(2)], None)
    watch.gone([UUID(int=100)])
    update = watch.update([], None)
    assert update is not None
    assert (update.batch.pending, update.batch.size) == (1, 3)
    assert set(watch.keys) == {UUID(int=101)}


def test_the_outlook_of_a_batch_is_its_first_start_and_its_last_end() -> None:
    watch = batch_watch({})
    rows = [row_at([JobStatus.PENDING], 0, number) for number in range(3)]
    outlooks = {
        UUID(int=100 + number): Outlook(queue_position=position)
        for number, position in enumerate((5, 4, 9))
    }
    update = watch.update(rows, outlooks)
    assert update is not None
    assert update.outlook == Outlook(queue_position=4)
    assert watch.update([], outlooks) is None
