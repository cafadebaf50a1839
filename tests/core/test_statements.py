"""How often a use case goes to the database: a guard that does not depend on the clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.reading import FIRST_PIECE, Wanted
from app.submission import Order
from qdispatch.model import JobStatus, ProgramFormat
from qdispatch.updates import JobFilter
from tests.core.databases import ON_DATABASES
from tests.core.journal import journal
from tests.specs import bell
from tests.world import World, finished

pytestmark = ON_DATABASES

SUBMISSION = ["begin", "SELECT target", "INSERT job", "commit"]


def once(world: World, on_postgresql: str, *on_sqlite: str) -> list[str]:
    """The journeys of what PostgreSQL does in one, with its transaction."""
    sqlite = world.settings.database.startswith("sqlite")
    return ["begin", *on_sqlite, "commit"] if sqlite else [on_postgresql]


def read(world: World, *statements: str) -> list[str]:
    """The journeys of statements that only read: a snapshot of SQLite has a beginning."""
    sqlite = world.settings.database.startswith("sqlite")
    return [*(["begin"] if sqlite else []), *statements]


def orders(number: int) -> list[Order]:
    return [Order(spec=bell(), request_id=f"r{each}") for each in range(number)]


@pytest.mark.parametrize("number", [1, 32], ids=["one", "many"])
def test_a_group_of_submissions_is_one_transaction(world: World, number: int) -> None:
    with journal(world) as given:
        world.jobs.submit_each(orders(number))
    assert given == once(world, "WITH target", "SELECT target", "INSERT job")


def test_a_submission_that_is_repeated_asks_for_the_job(world: World) -> None:
    world.jobs.submit_each(orders(1))
    with journal(world) as given:
        world.jobs.submit_each(orders(2))
    expected = once(world, "WITH target", "SELECT target", "INSERT job")
    assert [each for each in given if each != "commit"] == [
        *(each for each in expected if each != "commit"),
        "SELECT job",
    ]


def test_a_sweep_has_its_values_in_the_same_transaction(world: World) -> None:
    program = "OPENQASM 3.0;\ninput float a;\nqubit q;\nrx(a) q;\nbit c = measure q;\n"
    spec = bell(
        program=program,
        program_format=ProgramFormat.OPENQASM3,
        parameters=("a",),
        parameter_values=((0.5,),),
    )
    with journal(world) as given:
        world.jobs.submit(spec, request_id="r")
    assert given == [*SUBMISSION[:-1], "INSERT sweep", "commit"]


def test_a_batch_is_one_statement_for_its_jobs(world: World) -> None:
    with journal(world) as given:
        world.jobs.submit_many([bell()] * 100, request_id="r")
    looked = ["begin", "SELECT target", "SELECT worker"]
    written = [*looked, "INSERT batch", "INSERT job", "commit"]
    assert given == written + read(world, "SELECT job")


@pytest.mark.parametrize(
    ("call", "statements"),
    [
        (lambda jobs, ids: jobs.get(ids[0]), ["SELECT job"]),
        (lambda jobs, ids: jobs.results(ids[0]), ["SELECT result"]),
        (lambda jobs, ids: jobs.get_each([Wanted(job_id=each) for each in ids]), ["SELECT job"]),
        (
            lambda jobs, ids: jobs.get_each([Wanted(job_id=each, results=True) for each in ids]),
            ["SELECT job", "SELECT result"],
        ),
        (lambda jobs, _: jobs.page(JobFilter()), ["SELECT job"]),
        (lambda jobs, _: jobs.targets(), ["SELECT job", "SELECT worker", "SELECT target"]),
    ],
    ids=["job", "results", "jobs", "jobs with results", "page", "targets"],
)
def test_what_is_read_is_no_transaction(
    world: World, call: Callable[..., object], statements: list[str]
) -> None:
    ids = [str(world.job_in(JobStatus.FINISHED)) for _ in range(3)]
    with journal(world) as given:
        call(world.jobs, ids)
    assert given == read(world, *statements)


def test_a_long_page_is_two_pieces(world: World) -> None:
    world.jobs.submit_many([bell()] * (3 * FIRST_PIECE), request_id="r")
    with journal(world) as given:
        assert len(world.jobs.page(JobFilter(), size=3 * FIRST_PIECE).jobs) == 3 * FIRST_PIECE
    assert given == read(world, "SELECT job", "SELECT job")


def test_a_worker_claims_and_finishes_by_one_journey_each(world: World) -> None:
    job_id = world.submit()
    with journal(world) as given:
        claim = world.claim(job_id)
    assert given == once(world, "UPDATE job", "UPDATE job")
    with journal(world) as given:
        assert world.work.finish(claim, finished())
    assert given == once(world, "WITH unnest(CAST(%(id)s", "UPDATE job", "INSERT result")
