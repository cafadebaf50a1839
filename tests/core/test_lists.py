"""Lists of jobs, page by page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app import reading
from app.identity import Caller
from app.rows import JobRow
from app.store_lists import ListStatements
from app.visible_jobs import MAX_PAGE, PAGE
from qdispatch.errors import BatchNotFoundError, InvalidJobError
from qdispatch.model import JobStatus
from qdispatch.updates import JobFilter
from tests.core.databases import ON_DATABASES
from tests.fake_lists import FakeListStatements
from tests.world import World, bell, finished

EVERY = JobFilter()
# A list that looks for text within JSON text would find some of these in others.
TAGS = ("a", "A", "aa", "a b", '"', '\\"', "%", "_", "'", "ü", "🎲", "null", "[]", " a", "1")


def found(world: World, **wanted: Any) -> list[UUID]:
    return [UUID(each.id) for each in world.jobs.page(JobFilter(**wanted)).jobs]


def walk(world: World, size: int, wanted: JobFilter = EVERY) -> list[UUID]:
    """All pages, one after the other."""
    ids: list[UUID] = []
    token = ""
    while True:
        page = world.jobs.page(wanted, size=size, token=token)
        ids += [UUID(each.id) for each in page.jobs]
        assert len(page.jobs) == size or not page.next_token
        token = page.next_token
        if not token:
            return ids


def test_a_list_is_of_jobs_newest_first(world: World) -> None:
    ids = [world.job_in(status) for status in JobStatus]
    page = world.jobs.page(EVERY)
    assert page.jobs == tuple(world.info(each) for each in reversed(ids))
    assert page.next_token == ""


def test_without_jobs_there_is_one_empty_page(world: World) -> None:
    page = world.jobs.page(EVERY, size=5)
    assert (page.jobs, page.next_token) == ((), "")


def test_what_is_much_is_read_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FIRST_PIECE", 3)
    monkeypatch.setattr(reading, "PIECE_BYTES", 30_000)
    extra = json.dumps({"note": "x" * 10_000})
    ids = [str(world.submit(extra=extra)) for _ in range(9)]
    pieces: list[int] = []
    for statements in (ListStatements, FakeListStatements):
        jobs = statements.jobs

        def read(self: Any, *args: Any, limit: int, jobs: Any = jobs, **named: Any) -> list[JobRow]:
            pieces.append(limit)
            rows: list[JobRow] = jobs(self, *args, limit=limit, **named)
            return rows

        monkeypatch.setattr(statements, "jobs", read)
    page = world.jobs.page(EVERY, size=8)
    assert [each.id for each in page.jobs] == ids[:0:-1]
    assert page.next_token == ids[1]
    # Of about 14,000 bytes each.
    assert pieces == [3, 2, 2, 2]


def test_what_is_not_taken_is_on_the_next_page(world: World) -> None:
    ids = [str(world.submit()) for _ in range(4)]
    some = set(ids[2:])
    page = world.jobs.page(EVERY, takes=lambda job: job.id in some)
    assert ([each.id for each in page.jobs], page.next_token) == (ids[:1:-1], ids[2])
    rest = world.jobs.page(EVERY, token=page.next_token)
    assert [each.id for each in rest.jobs] == ids[1::-1]


# -- filters


@pytest.mark.parametrize(
    "statuses",
    [(), (JobStatus.FINISHED,), (JobStatus.PENDING, JobStatus.FAILED), tuple(JobStatus)],
    ids=["none", "one", "two", "all"],
)
def test_by_status(world: World, statuses: tuple[JobStatus, ...]) -> None:
    ids = {status: world.job_in(status) for status in JobStatus}
    wanted = {ids[each] for each in statuses or JobStatus}
    assert set(found(world, statuses=statuses)) == wanted


def test_by_target(world: World) -> None:
    ids = {name: world.submit(target=name) for name in ("aer", "cirq")}
    assert found(world, target="aer") == [ids["aer"]]
    assert found(world, target="AER") == found(world, target="a%") == []


def test_by_tag(world: World) -> None:
    ids = {tag: world.submit(tags=(tag,)) for tag in TAGS}
    both = world.submit(tags=("first", "second", "first"))
    world.submit()
    for tag, job_id in ids.items():
        assert found(world, tag=tag) == [job_id], tag
    assert found(world, tag="first") == found(world, tag="second") == [both]
    assert found(world, tag="third") == []


@pytest.mark.parametrize("field", ["tag", "target"])
def test_what_no_text_can_have_is_refused(world: World, field: str) -> None:
    with pytest.raises(InvalidJobError, match="NUL") as caught:
        found(world, **{field: "a\0b"})
    assert caught.value.field == field


def test_by_batch(world: World) -> None:
    world.submit()
    first = world.jobs.submit_many([bell()] * 3, request_id="r")
    world.jobs.submit_many([bell()], request_id="s")
    assert found(world, batch_id=first.batch.id) == [UUID(each) for each in first.job_ids[::-1]]
    assert found(world, batch_id=str(uuid4())) == []
    with pytest.raises(BatchNotFoundError):
        found(world, batch_id="no-uuid")


def test_by_time(world: World) -> None:
    start = world.clock()
    ids = [world.submit() for _ in range(4)]
    moments = [world.info(each).created_at for each in ids]
    assert moments[0] == start + timedelta(milliseconds=1)
    # At or after the one, and before the other.
    assert found(world, created_after=moments[1], created_before=moments[3]) == ids[1:3][::-1]
    later = moments[1] + timedelta(microseconds=1)
    assert found(world, created_after=later) == ids[2:][::-1]
    assert found(world, created_before=moments[0]) == []
    far = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert found(world, created_after=far[0], created_before=far[1]) == ids[::-1]


def test_filters_hold_together(world: World) -> None:
    kept = world.jobs.submit_many(
        [bell(tags=("x",)), bell(tags=("x",), target="cirq"), bell()], request_id="r"
    )
    ids = [UUID(each) for each in kept.job_ids]
    world.submit(tags=("x",))
    wanted = {"batch_id": kept.batch.id, "tag": "x", "target": "aer"}
    assert found(world, **wanted, statuses=(JobStatus.PENDING,)) == [ids[0]]
    world.claim(ids[0])
    assert found(world, **wanted, statuses=(JobStatus.PENDING,)) == []


def test_a_list_is_of_its_owners_jobs(world: World) -> None:
    me = world.service.by(Caller(owner="me"))
    mine = me.submit(bell(), request_id="r")
    world.service.by(Caller(owner="you")).submit(bell(), request_id="r")
    assert [each.id for each in me.page(EVERY).jobs] == [mine.id]
    assert world.service.by(Caller(owner="nobody")).page(EVERY).jobs == ()
    assert len(world.jobs.page(EVERY).jobs) == 2


# -- pages


@pytest.mark.parametrize("size", [1, 3, 7, 8])
def test_pages_have_every_job_once(world: World, size: int) -> None:
    ids = [world.submit() for _ in range(7)]
    assert walk(world, size) == ids[::-1]


def test_pages_of_what_passes_a_filter(world: World) -> None:
    ids = [world.submit(tags=("even", "odd")[each % 2 : each % 2 + 1]) for each in range(8)]
    assert walk(world, 2, JobFilter(tag="odd")) == ids[1::2][::-1]


def test_pages_stay_while_jobs_come_and_go(world: World) -> None:
    ids = [world.job_in(JobStatus.FINISHED) for _ in range(9)]
    first = world.jobs.page(EVERY, size=3)
    world.submit()
    # The last of the page, which names the next one; one that was seen; one that was not.
    for each in (ids[6], ids[8], ids[2]):
        world.jobs.delete(str(each))
    second = world.jobs.page(EVERY, size=3, token=first.next_token)
    assert [UUID(each.id) for each in second.jobs] == ids[3:6][::-1]
    third = world.jobs.page(EVERY, size=3, token=second.next_token)
    assert [UUID(each.id) for each in third.jobs] == ids[:2][::-1]
    assert third.next_token == ""


def test_pages_have_a_usual_and_a_largest_size(world: World) -> None:
    kept = world.jobs.submit_many([bell()] * (MAX_PAGE + 1), request_id="r")
    for asked, given in ((0, PAGE), (MAX_PAGE + 1, MAX_PAGE), (2**31, MAX_PAGE)):
        page = world.jobs.page(EVERY, size=asked)
        assert len(page.jobs) == given
        assert page.next_token == kept.job_ids[-given]


@pytest.mark.parametrize("token", ["x", "0", "' OR 1=1", "\0"], ids=["letter", "0", "sql", "nul"])
def test_a_token_that_is_none_is_refused(world: World, token: str) -> None:
    with pytest.raises(InvalidJobError) as caught:
        world.jobs.page(EVERY, token=token)
    assert caught.value.field == "page_token"


def test_jobs_in_a_list_have_no_results(world: World) -> None:
    claim = world.running()
    world.work.finish(claim, finished())
    (info,) = world.jobs.page(EVERY).jobs
    assert (info.results, info.events[-1].status) == ((), JobStatus.FINISHED)


@ON_DATABASES
def test_a_list_of_a_time_goes_on_after_a_job_that_is_gone(world: World) -> None:
    ids = [world.job_in(JobStatus.CANCELED) for _ in range(5)]
    wanted = JobFilter(created_before=world.clock() + timedelta(days=1))
    page = world.jobs.page(wanted, size=2)
    assert [UUID(each.id) for each in page.jobs] == ids[:2:-1]
    world.jobs.delete(page.next_token)
    rest = world.jobs.page(wanted, token=page.next_token)
    assert [UUID(each.id) for each in rest.jobs] == ids[2::-1]


@ON_DATABASES
def test_a_list_of_a_time_is_in_its_order_whatever_clocks_say(world: World) -> None:
    """Of two servers, one may be late: its jobs have higher ids than those created after them."""
    ids = []
    for seconds in (0, 10, -5, 2):
        world.clock.advance(seconds)
        ids.append(world.submit())
    wanted = JobFilter(created_before=world.clock() + timedelta(days=1))
    assert walk(world, 1, wanted) == [ids[1], ids[3], ids[2], ids[0]]
