"""How often a use case goes to the database: a guard that does not depend on the clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from app.identity import ANONYMOUS, Caller
from app.known_tokens import KnownTokens, TokenControl
from app.reading import FIRST_PIECE, Found, Wanted
from app.submission import Order
from qdispatch.errors import RequestError
from qdispatch.model import JobSpec, JobStatus, ProgramFormat
from qdispatch.updates import JobFilter
from tests.core.databases import ON_DATABASES
from tests.core.journal import journal, rows_read
from tests.specs import bell
from tests.watching import Told
from tests.world import World, finished

pytestmark = ON_DATABASES

YOU = Caller(owner="you")
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
    return [Order(spec=bell(), request_id=f"r{each}", owner=ANONYMOUS) for each in range(number)]


@pytest.mark.parametrize("number", [1, 32], ids=["one", "many"])
def test_a_group_of_submissions_is_one_transaction(world: World, number: int) -> None:
    with journal(world) as given:
        world.service.submit_each(orders(number))
    assert given == once(world, "WITH target", "SELECT target", "INSERT job")


def test_a_submission_that_is_repeated_asks_for_the_job(world: World) -> None:
    world.service.submit_each(orders(1))
    with journal(world) as given:
        world.service.submit_each(orders(2))
    expected = once(world, "WITH target", "SELECT target", "INSERT job")
    assert [each for each in given if each != "commit"] == [
        *(each for each in expected if each != "commit"),
        "SELECT job",
    ]


def a_sweep() -> JobSpec:
    program = "OPENQASM 3.0;\ninput float a;\nqubit q;\nrx(a) q;\nbit c = measure q;\n"
    return bell(
        program=program,
        program_format=ProgramFormat.OPENQASM3,
        parameters=("a",),
        parameter_values=((0.5,),),
    )


def test_a_sweep_has_its_values_in_the_same_transaction(world: World) -> None:
    with journal(world) as given:
        world.jobs.submit(a_sweep(), request_id="r")
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
        (lambda world, ids: world.jobs.get(ids[0]), ["SELECT job"]),
        (lambda world, ids: world.jobs.results(ids[0]), ["SELECT result"]),
        (lambda world, ids: world.jobs.result_bytes(ids[0]), ["SELECT job"]),
        (
            lambda world, ids: world.service.get_each(
                [Wanted(job_id=each, sees=None) for each in ids]
            ),
            ["SELECT job"],
        ),
        (
            lambda world, ids: world.service.get_each(
                [Wanted(job_id=each, sees=None, results=True) for each in ids]
            ),
            ["SELECT job", "SELECT result"],
        ),
        (lambda world, _: world.jobs.page(JobFilter()), ["SELECT job"]),
        (
            lambda world, _: world.service.targets(),
            ["SELECT job", "SELECT worker", "SELECT target"],
        ),
    ],
    ids=["job", "results", "result bytes", "jobs", "jobs with results", "page", "targets"],
)
def test_what_is_read_is_no_transaction(
    world: World, call: Callable[..., object], statements: list[str]
) -> None:
    ids = [str(world.job_in(JobStatus.FINISHED)) for _ in range(3)]
    with journal(world) as given:
        call(world, ids)
    assert given == read(world, *statements)


READINGS: dict[str, Callable[[World, str], object]] = {
    "get": lambda world, key: world.service.by(YOU).get(key),
    "results": lambda world, key: world.service.by(YOU).results(key),
    "result_bytes": lambda world, key: world.service.by(YOU).result_bytes(key),
    "small_results": lambda world, key: world.service.by(YOU).small_results(key, 2**30),
    "get_each": lambda world, key: world.service.get_each(
        [Wanted(job_id=key, sees="you", results=True)]
    ),
    "cancel": lambda world, key: world.service.by(YOU).cancel(key),
    "delete": lambda world, key: world.service.by(YOU).delete(key),
    "batch": lambda world, key: world.service.by(YOU).batch(key),
    "cancel_batch": lambda world, key: world.service.by(YOU).cancel_batch(key),
    "watch_job": lambda world, key: told(world.watchers.watch_job, key, after=0),
    "watch_batch": lambda world, key: told(world.watchers.watch_batch, key, after=()),
}


def told(watch: Callable[..., object], key: str, after: object) -> None:
    """Watches for as long as there is something to tell."""
    told = Told()
    watch(UUID(key), YOU, after=after, tell=told)
    assert isinstance(told.end(), RequestError)


@pytest.mark.parametrize("reading", READINGS)
def test_of_anothers_no_more_is_read_than_of_nobodys(world: World, reading: str) -> None:
    # Else how long it takes would tell that it is there.
    mine = world.service.by(Caller(owner="me"))
    kept = mine.submit_many([a_sweep()] * 3, request_id="r")
    world.work.finish(world.claim(UUID(kept.job_ids[0])), finished())
    world.watchers.start()
    there = kept.batch.id if "batch" in reading else kept.job_ids[0]
    read: list[list[tuple[str, int]]] = []
    try:
        for key in (there, str(uuid4())):
            with rows_read(world) as each, suppress(RequestError):
                READINGS[reading](world, key)
            read.append(each)
    finally:
        world.watchers.close()
    assert read[0] == read[1] != []


def test_who_asks_beside_its_owner_has_no_results_read(world: World) -> None:
    job_id = UUID(world.service.by(Caller(owner="me")).submit(a_sweep(), request_id="r").id)
    world.work.finish(world.claim(job_id), finished())
    wanted = [
        Wanted(job_id=str(job_id), sees="you", results=True),
        Wanted(job_id=str(uuid4()), sees="me", results=True),
    ]
    with journal(world) as given:
        world.service.get_each(wanted)
    assert given == read(world, "SELECT job")
    wanted.append(replace(wanted[0], sees="me"))
    with journal(world) as given:
        assert [isinstance(each, Found) for each in world.service.get_each(wanted)] == [
            False,
            False,
            True,
        ]
    assert given == read(world, "SELECT job", "SELECT sweep", "SELECT result")


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


def test_who_calls_is_asked_of_the_database_once_for_all(world: World) -> None:
    text, _ = TokenControl(store=world.store, clock=world.clock).create("me")
    known = KnownTokens(store=world.store, clock=world.clock, refresh_s=3600)
    with journal(world) as given:
        known.start()
        for _ in range(100):
            assert known.caller(text).owner == "me"
        known.close()
    assert given == read(world, "SELECT token")
