"""Quotas of submissions: what they let through, what they refuse, and what they say then."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.identity import ANONYMOUS, Caller
from app.known_quotas import KnownQuotas, QuotaControl
from app.quotas import Quotas
from app.settings import Settings
from app.submission import Order
from app.visible_jobs import VisibleJobs
from qdispatch.errors import QuotaError, RequestError, UnavailableError
from qdispatch.model import JobSpec, JobStatus, ProgramFormat, TargetState
from tests.core.databases import ON_DATABASES
from tests.core.journal import journal
from tests.fakes import Trouble
from tests.specs import bell
from tests.waiting import wait_until
from tests.world import WORKER, World, finished, make_settings

QUOTAS = {"jobs_in_flight": 3, "submissions_per_minute": 0, "streams": 2}
SWEEP: dict[str, Any] = {
    "program": "OPENQASM 3.0;\ninput float a;\nqubit q;\nrx(a) q;\nbit c = measure q;\n",
    "program_format": ProgramFormat.OPENQASM3,
    "n_qubits": 1,
    "parameters": ("a",),
    "parameter_values": ((0.5,), (1.5,)),
}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(
        tmp_path,
        database_url=database_url,
        quotas=QUOTAS,
        server={"max_jobs_in_flight": 5, "max_streams": 3, "cancel_wait_s": 0},
    )


def of(world: World, owner: str) -> VisibleJobs:
    return world.service.by(Caller(owner=owner))


def batch(world: World, *specs: JobSpec, request_id: str = "b") -> tuple[str, ...]:
    return world.jobs.submit_many(specs, request_id=request_id).job_ids


def refused(call: Callable[[], object], name: str) -> QuotaError:
    """The refusal that a call meets, by this quota."""
    with pytest.raises(QuotaError, match=rf"\(quota {name}\)") as caught:
        call()
    assert caught.value.quota is not None
    assert caught.value.quota.name == name
    return caught.value


def figures(error: QuotaError) -> tuple[float, float, float | None]:
    assert error.quota is not None
    return error.quota.use, error.quota.limit, error.quota.retry_after_s


def stored(world: World) -> int:
    with world.store.read() as tx:
        return sum(tx.usage.in_flight().values())


# -- jobs in flight


def test_no_owner_has_more_jobs_in_flight_than_allowed(world: World) -> None:
    first, *_ = [world.submit() for _ in range(3)]
    error = refused(world.submit, "jobs_in_flight")
    assert figures(error) == (4, 3, 1.0)
    assert str(error) == (
        "4 jobs in flight, at most 3 are allowed (quota jobs_in_flight):"
        " wait until some have ended, or cancel some; come back in 1 s"
    )
    assert (stored(world), len(world.files())) == (3, 3)
    # Others have quotas of their own.
    of(world, "you").submit(bell(), request_id="r")
    # Once one has ended there is room for one.
    world.jobs.cancel(str(first))
    world.submit()
    refused(world.submit, "jobs_in_flight")


def test_of_those_who_come_together_as_many_are_let_in_as_there_is_room(world: World) -> None:
    world.submit()
    orders = [
        Order(spec=bell(), request_id=f"{owner}{number}", owner=owner)
        for number in range(3)
        for owner in (ANONYMOUS, "you")
    ]
    answers = world.service.submit_each(orders)
    ends = ["-" if isinstance(each, RequestError) else each.owner for each in answers]
    # The second of yours is the fifth of all.
    assert ends == [ANONYMOUS, "you", ANONYMOUS, "you", "-", "-"]
    assert [getattr(each, "quota", None) and each.quota.name for each in answers[4:]] == [
        "jobs_in_flight",
        "server.max_jobs_in_flight",
    ]
    assert stored(world) == 5


def test_a_batch_is_let_in_as_a_whole_or_not_at_all(world: World) -> None:
    world.submit()
    error = refused(lambda: batch(world, *[bell()] * 3), "jobs_in_flight")
    assert figures(error) == (4, 3, 1.0)
    assert (stored(world), len(world.files())) == (1, 1)
    batch(world, *[bell()] * 2)
    assert stored(world) == 3
    # There will never be room for one that is larger than the quota.
    error = refused(lambda: batch(world, *[bell()] * 4, request_id="c"), "jobs_in_flight")
    assert figures(error) == (7, 3, None)
    assert "submit fewer at once; administrators can raise it" in str(error)


def test_what_was_accepted_is_answered_again_whatever_is_used_up(world: World) -> None:
    job = world.jobs.submit(bell(), request_id="r").id
    jobs = batch(world, bell(), bell())
    assert world.work.finish(world.claim(UUID(jobs[0])), finished(cpu_s=5))
    world.quotas.look()
    for quota in ("jobs_in_flight", "shots", "cpu_s_per_day", "submissions_per_minute"):
        world.own_quotas[ANONYMOUS] = {quota: 1}
        assert world.jobs.submit(bell(), request_id="r").id == job
        assert batch(world, bell(), bell()) == jobs
        error = refused(lambda: world.jobs.submit(bell(shots=7), request_id="r"), quota)
        assert error.quota is not None
    # Such a repetition takes no room from others.
    world.own_quotas[ANONYMOUS] = {"jobs_in_flight": 3}
    for _ in range(5):
        world.jobs.submit(bell(), request_id="r")
        batch(world, bell(), bell())
    world.submit()
    assert stored(world) == 3


def test_a_job_that_the_cache_answers_is_not_in_flight(world: World) -> None:
    world.work.report(WORKER, "aer", 1, "a-fingerprint")
    claim = world.running(seed=1)
    world.work.finish(claim, finished(fingerprint="a-fingerprint"))
    for _ in range(5):
        assert world.status(world.submit(seed=1)) is JobStatus.FINISHED
    assert len(batch(world, *[bell(seed=1)] * 3)) == 3
    batch(world, *[bell()] * 3, request_id="c")


def test_concurrent_submissions_never_exceed_a_quota(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"jobs_in_flight": 4}

    def submit(number: int) -> str:
        try:
            if number % 2:
                world.jobs.submit_many([bell()] * 2, request_id=f"b{number}")
            else:
                world.jobs.submit(bell(), request_id=f"r{number}")
        except QuotaError:
            return "refused"
        assert stored(world) <= 4
        return "accepted"

    with ThreadPoolExecutor(4) as threads:
        ends = list(threads.map(submit, range(16)))
    assert 2 <= ends.count("accepted") <= 4
    assert 3 <= stored(world) <= 4


def test_what_failed_leaves_no_trace_in_the_use(world: World) -> None:
    for trouble in (Trouble.ROLLED_BACK, Trouble.ANSWER_LOST):
        for call in (
            lambda: world.jobs.submit(bell(), request_id="r"),
            lambda: batch(world, bell()),
        ):
            world.store.trouble = trouble
            with pytest.raises(UnavailableError):
                call()
            # The same again settles it.
            call()
    assert stored(world) == 2
    world.submit()
    refused(world.submit, "jobs_in_flight")


def test_refusals_of_other_kinds_take_no_room(world: World) -> None:
    batch(world, bell())
    for _ in range(5):
        with pytest.raises(RequestError):
            world.submit(n_qubits=0)
        with pytest.raises(RequestError):
            batch(world, bell(), bell(target="none"), request_id="c")
        with pytest.raises(RequestError, match="content differs"):
            batch(world, bell(shots=7), request_id="b")
    batch(world, bell(), bell(), request_id="d")


@ON_DATABASES
def test_no_submission_asks_how_many_there_are(world: World) -> None:
    with journal(world) as given:
        for _ in range(3):
            world.submit()
    assert "SELECT usage" not in given
    assert len([each for each in given if each in ("INSERT job", "WITH target")]) == 3
    assert "SELECT job" not in given
    with journal(world) as given:
        refused(world.submit, "jobs_in_flight")
    assert [each for each in given if each.startswith("SELECT")] == [
        "SELECT job",
        "SELECT usage",
        # Whether it was accepted before.
        "SELECT job",
    ]


@ON_DATABASES
def test_refusals_in_one_moment_are_looked_up_together(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"submissions_per_minute": 1}
    world.submit()
    orders = [Order(spec=bell(), request_id=f"s{each}", owner=ANONYMOUS) for each in range(9)]
    with journal(world) as given:
        assert {type(each) for each in world.service.submit_each(orders)} == {QuotaError}
    assert [each for each in given if each.startswith("SELECT")] == ["SELECT job"]


def test_counts_take_no_more_than_their_share_of_time(world: World) -> None:
    asked: list[float] = []
    now = [0.0]

    def slowly() -> float:
        now[0] += 0.5
        asked.append(now[0])
        return now[0]

    quotas = Quotas(settings=world.settings, store=world.store, clock=world.clock, timer=slowly)
    asked.clear()
    # Who looks asks what time it is; who counts asks again, and so takes half a second.
    for _ in range(40):
        quotas.look()
    assert len(asked) == 41
    now[0] += 25
    quotas.look()
    assert len(asked) == 43


# -- submissions per minute


def test_so_many_submissions_in_a_minute(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"submissions_per_minute": 4, "jobs_in_flight": 0}
    world.own_quotas["you"] = {"submissions_per_minute": 1}
    job_id = world.submit()
    world.jobs.cancel(str(job_id))
    world.clock.advance(20)
    # Each job of a batch.
    batch(world, bell(), bell())
    with pytest.raises(RequestError, match="at least 1"):
        world.submit(n_qubits=0)
    error = refused(world.submit, "submissions_per_minute")
    use, limit, after_s = figures(error)
    assert (use, limit) == (5, 4)
    assert after_s is not None
    assert 39 < after_s < 41
    of(world, "you").submit(bell(), request_id="r")
    # What was refused for this does not count, so that there is an end to it.
    world.clock.advance(after_s)
    world.submit()
    refused(world.submit, "submissions_per_minute")


def test_a_batch_counts_as_its_jobs(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"submissions_per_minute": 3, "jobs_in_flight": 0}
    world.submit()
    world.clock.advance(20)
    world.submit()
    error = refused(lambda: batch(world, *[bell()] * 2), "submissions_per_minute")
    use, limit, after_s = figures(error)
    assert (use, limit) == (4, 3)
    # When the first is a minute ago there is room for two; for three, once both are.
    assert after_s is not None
    assert 39 < after_s < 41
    _, _, after_s = figures(refused(lambda: batch(world, *[bell()] * 3), "submissions_per_minute"))
    assert after_s is not None
    assert 59 < after_s < 61
    world.clock.advance(after_s)
    batch(world, *[bell()] * 3)
    # There will never be room for one that is larger than the quota.
    error = refused(lambda: batch(world, *[bell()] * 4, request_id="c"), "submissions_per_minute")
    assert figures(error) == (7, 3, None)
    assert "cut the batch, submit fewer at once" in str(error)


def test_a_batch_that_comes_again_for_want_of_room_is_not_counted_again(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"submissions_per_minute": 9, "jobs_in_flight": 3}
    job_id = world.submit()
    for _ in range(5):
        refused(lambda: batch(world, *[bell()] * 3), "jobs_in_flight")
    world.jobs.cancel(str(job_id))
    # Six calls, and the jobs of this one: 1 + 5 + 3.
    batch(world, *[bell()] * 3)
    refused(world.submit, "submissions_per_minute")


@pytest.mark.parametrize("many", [False, True], ids=["job", "batch"])
def test_what_is_tried_again_within_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    """The target that was picked is drained before the commit: another one is."""
    world.work.report("cirq@host", "cirq", 8)
    write = world.programs.write

    def drain_first(*arguments: Any) -> None:
        world.targets.set_state("cirq", TargetState.DRAINED)
        write(*arguments)

    monkeypatch.setattr(world.programs, "write", drain_first)
    world.own_quotas[ANONYMOUS] = {"submissions_per_minute": 1}
    job_id = batch(world, bell(target=""))[0] if many else str(world.submit(target=""))
    assert world.info(UUID(job_id)).spec.target != "cirq"
    refused(world.submit, "submissions_per_minute")


# -- sizes


@pytest.mark.parametrize(
    ("quota", "limit", "changes", "field", "use"),
    [
        ("program_bytes", 200, {"program": bell().program + "// " + "ä" * 100}, "program", None),
        ("qubits", 1, {}, "n_qubits", 2),
        ("shots", 99, {"shots": 100}, "shots", 100),
        ("points", 1, SWEEP, "parameter_values", 2),
    ],
    ids=["program", "qubits", "shots", "points"],
)
def test_a_job_may_be_so_large(
    world: World, quota: str, limit: int, changes: Any, field: str, use: int | None
) -> None:
    spec = bell(**changes)
    use = use or len(spec.program.encode())
    world.own_quotas[ANONYMOUS] = {quota: use}
    world.jobs.submit(spec, request_id="r")
    world.own_quotas[ANONYMOUS] = {quota: limit}
    error = refused(lambda: world.jobs.submit(spec, request_id="s"), quota)
    assert error.field == f"spec.{field}"
    # To come back does not help.
    assert figures(error) == (use, limit, None)
    assert "administrators can raise it" in str(error)
    small = bell(program="OPENQASM 3.0;\nqubit q;\n", n_qubits=1, shots=1, **_plain())
    error = refused(lambda: batch(world, small, spec), quota)
    assert error.field == f"specs[1].{field}"
    assert stored(world) == 1


def _plain() -> dict[str, Any]:
    return {"program_format": ProgramFormat.OPENQASM3}


# -- processor time


def test_who_has_used_up_the_day_comes_back_on_the_next(world: World) -> None:
    world.own_quotas[ANONYMOUS] = {"cpu_s_per_day": 3}
    first, second = world.running(), world.running()
    world.work.finish(first, finished(cpu_s=2.0))
    world.quotas.look()
    third = world.running()
    # One that runs may go over it: what it takes is not known before its end.
    world.work.finish(second, finished(cpu_s=5.0))
    world.quotas.look()
    error = refused(world.submit, "cpu_s_per_day")
    use, limit, after_s = figures(error)
    assert (use, limit) == (7.0, 3.0)
    # It was 03:04 when this began.
    assert after_s is not None
    assert 20 * 3600 < after_s < 21 * 3600
    assert "a new day begins at 00:00 UTC" in str(error)
    refused(lambda: batch(world, bell()), "cpu_s_per_day")
    of(world, "you").submit(bell(), request_id="r")
    world.clock.advance(after_s)
    world.submit()
    # What runs over midnight is of the day on which it ends.
    world.work.finish(third, finished(cpu_s=4.0))
    world.quotas.look()
    refused(world.submit, "cpu_s_per_day")


# -- owners who have quotas of their own


@pytest.fixture
def control(world: World) -> QuotaControl:
    return QuotaControl(world.store)


def test_what_operators_set_is_known_to_servers(world: World, control: QuotaControl) -> None:
    assert control.give("you", {"jobs_in_flight": "1", "program_bytes": "1KiB"}) == {
        "jobs_in_flight": 1,
        "program_bytes": 1024,
    }
    control.give("you", {"jobs_in_flight": "2", "cpu_s_per_day": "0.5"})
    control.give("him", {"jobs_in_flight": "0"})
    known = KnownQuotas(store=world.store, refresh_s=0.3)
    known.start()
    try:
        assert known() == {
            "him": {"jobs_in_flight": 0},
            "you": {"jobs_in_flight": 2, "program_bytes": 1024, "cpu_s_per_day": 0.5},
        }
        assert known() == control.quotas()
        world.own_quotas.update({owner: dict(each) for owner, each in known().items()})
        for number in range(2):
            of(world, "you").submit(bell(), request_id=f"r{number}")
        refused(lambda: of(world, "you").submit(bell(), request_id="s"), "jobs_in_flight")
        # 0 is no limit, but that of all.
        for number in range(3):
            of(world, "him").submit(bell(), request_id=f"r{number}")
        refused(
            lambda: of(world, "him").submit(bell(), request_id="s"), "server.max_jobs_in_flight"
        )
        assert control.take_back("you", ["jobs_in_flight", "shots"]) == {"jobs_in_flight"}
        assert control.take_back("you", []) == {"program_bytes", "cpu_s_per_day"}
        assert wait_until(lambda: list(known()) == ["him"], 10)
    finally:
        known.close()


@pytest.mark.parametrize(
    ("quotas", "says"),
    [
        ({"jobs": "1"}, "there is no quota 'jobs'; there are: jobs_in_flight, "),
        ({"shots": "many"}, "shots cannot be 'many': .*integer.*; 0 is for no limit"),
        ({"shots": "-1"}, "shots cannot be '-1'"),
        ({"shots": "1.5"}, "shots cannot be '1.5'"),
        ({"shots": ""}, "shots cannot be ''"),
        ({"cpu_s_per_day": "nan"}, "cpu_s_per_day cannot be 'nan'"),
        ({"cpu_s_per_day": "inf"}, "cpu_s_per_day cannot be 'inf'"),
        ({"program_bytes": "1 cow"}, "program_bytes cannot be '1 cow'"),
    ],
    ids=["unknown", "word", "negative", "fraction", "empty", "nan", "infinite", "unit"],
)
def test_what_is_no_quota_is_refused(
    control: QuotaControl, quotas: dict[str, str], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        control.give("you", {"qubits": "5"} | quotas)
    with pytest.raises(RequestError, match="no name of an owner"):
        control.give("a b", {"qubits": "5"})
    assert control.quotas() == {}


# -- streams


def test_an_owner_has_so_many_streams_and_all_together(world: World) -> None:
    quotas = world.quotas
    with quotas.stream("me"), quotas.stream("me"):
        error = refused(lambda: quotas.stream("me").__enter__(), "streams")
        assert figures(error) == (3, 2, 1.0)
        with quotas.stream("you"):
            error = refused(lambda: quotas.stream("you").__enter__(), "server.max_streams")
            assert figures(error) == (4, 3, 1.0)
    with quotas.stream("me"), quotas.stream("me"), quotas.stream("you"):
        refused(lambda: quotas.stream("me").__enter__(), "streams")
