"""The page, as an HTTP client sees it."""

from __future__ import annotations

import re
from html import unescape
from uuid import UUID

import pytest

from page.reading import MOST_PROGRAM
from qdispatch.errors import UnavailableError
from qdispatch.model import JobStatus, ProgramFormat, Result, ResultType
from tests.page.conftest import Exhibition, Served
from tests.page.gallery import stored
from tests.specs import BELL
from tests.world import World, failed, finished

EVIL = '<script>alert("1")</script>'


def listed(text: str) -> list[str]:
    """Ids of the jobs in a list, in order."""
    return re.findall(r'<a class="id" href="/jobs/([0-9a-f-]{36})"', text)


def plain(text: str) -> str:
    """What a reader sees."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


# -- jobs


def test_jobs_are_listed_newest_first(served: Served, world: World) -> None:
    ids = [str(world.submit()) for _ in range(3)]
    answer = served.get("/")
    assert answer.code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert listed(answer.text) == ids[::-1]


def test_an_empty_database_is_no_error(served: Served) -> None:
    assert "No jobs." in served.get("/").text
    assert "No batches." in served.get("/batches").text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=running", ["running"]),
        ("status=running&status=failed", ["running", "failed"]),
        ("tag=tomography", ["everything"]),
        ("target=cirq&status=canceled", ["canceled"]),
    ],
)
def test_filters(gallery: Exhibition, query: str, names: list[str]) -> None:
    found = listed(gallery.served.get(f"/?{query}").text)
    expected = {str(getattr(gallery.jobs, name)) for name in names}
    batch = set(listed(gallery.served.get(f"/batches/{gallery.jobs.batch}").text))
    assert set(found) - batch == expected


def test_the_filter_by_time_is_in_utc(served: Served, world: World) -> None:
    world.submit()
    world.clock.advance(3600)
    moment = world.clock().strftime("%Y-%m-%dT%H:%M")
    later = str(world.submit())
    assert listed(served.get(f"/?after={moment}").text) == [later]
    assert len(listed(served.get(f"/?until={moment}").text)) == 1


def test_the_form_keeps_what_was_chosen(served: Served) -> None:
    text = served.get("/?status=failed&target=cirq&tag=a+b&after=2026-01-01T10:00").text
    assert 'value="failed" checked' in text
    assert "<option selected>cirq</option>" in text
    assert 'value="a b"' in text
    assert 'value="2026-01-01T10:00"' in text


def test_pages_are_stable_while_jobs_come_in(served: Served, world: World) -> None:
    ids = [str(world.submit(tags=("x",))) for _ in range(120)]
    first = served.get("/?tag=x").text
    found = listed(first)
    world.submit(tags=("x",))
    text = first
    while older := re.search(r'href="([^"]*before=[^"]*)"', text):
        text = served.get(unescape(older[1])).text
        found += listed(text)
        assert 'href="/?tag=x">Newest' in text
    assert found == ids[::-1]


@pytest.mark.parametrize(
    "query",
    ["status=lost", "batch=7", "before=x", "after=yesterday", "tag=%00", "target=" + "a" * 300],
    ids=["status", "batch", "before", "after", "nul", "long"],
)
def test_what_makes_no_sense_is_told(served: Served, query: str) -> None:
    answer = served.get(f"/?{query}")
    assert answer.code == 400
    assert query.partition("=")[0] in plain(answer.text)


# -- one job


def test_a_job_shows_its_program_until_it_has_ended(served: Served, world: World) -> None:
    claim = world.running()
    assert unescape(served.get(f"/jobs/{claim.job_id}").text).count(BELL) == 1
    world.work.finish(claim, finished())
    text = served.get(f"/jobs/{claim.job_id}").text
    assert "OPENQASM" not in text
    assert "deleted when the job ended" in text


def test_of_a_long_program_the_beginning_is_shown(served: Served, world: World) -> None:
    job_id = world.submit(program=BELL + "// " + "x" * MOST_PROGRAM)
    text = served.get(f"/jobs/{job_id}").text
    assert "The first 100,000 of 100,0" in text
    assert len(text) < MOST_PROGRAM + 10_000


def test_a_program_file_that_is_not_there_is_told(served: Served, world: World) -> None:
    job_id = world.submit()
    world.programs.delete(job_id)
    assert "it was lost" in served.get(f"/jobs/{job_id}").text


def test_a_job_tells_its_story(gallery: Exhibition) -> None:
    text = plain(gallery.served.get(f"/jobs/{gallery.jobs.counts}").text)
    for part in (
        f"Job {gallery.jobs.counts} finished",
        "6 qubits, depth 8, written in qiskit",
        "4,096; seed 7",
        "queued 9 ms parsing 4.3 ms simulating 32.2 ms",
        "Worker aer@node-1",
        "Attempts 1",
        "Memory 96 MiB at most",
        "Counts 4,096 shots",
    ):
        assert part in text
    for event in gallery.world.info(gallery.jobs.counts).events:
        assert event.at.strftime("%Y-%m-%d %H:%M:%S.%f") in text


def test_why_a_job_failed_is_told(gallery: Exhibition) -> None:
    text = plain(gallery.served.get(f"/jobs/{gallery.jobs.failed}").text)
    assert "out_of_memory 34 qubits need 256 GiB" in text


def test_all_kinds_of_results_are_shown(gallery: Exhibition) -> None:
    text = plain(gallery.served.get(f"/jobs/{gallery.jobs.everything}").text)
    for part in (
        "Counts 5 shots",
        "11 3 60.00%",
        "Quasi-probabilities of the shots, 2 outcomes",
        "Expectation values with their standard errors",
        "ZZ + 0.5 X1 1 0",
        "Variances",
        "ZZ + 0.5 X1 0.25",
        "Memory 5 shots in their order",
        "State vector before the final measurements",
        "11 0.500000 0.0000 + 0.7071i",
        "Probabilities before the final measurements",
    ):
        assert part in text


def test_a_histogram_has_the_largest_outcomes(served: Served, world: World) -> None:
    claim = world.running()
    counts = {format(at, "07b"): at + 1 for at in range(100)}
    result = Result(type=ResultType.COUNTS, n_bits=7, counts=counts)
    world.work.finish(claim, finished(results=stored(result)))
    text = served.get(f"/jobs/{claim.job_id}").text
    assert len(re.findall(r'<td class="outcome"', text)) == 32
    assert f"{99:07b}" in text
    # 1 + 2 + ... + 68
    assert "68 others have 2,346 shots together" in text


def test_a_sweep_has_curves_and_a_histogram_for_each_point(gallery: Exhibition) -> None:
    text = gallery.served.get(f"/jobs/{gallery.jobs.sweep}?point=30").text
    assert len(re.findall(r'<svg class="chart"', text)) == 2
    curve = re.findall(r'<path class="line" d="(M[^"]*)"', text)
    assert [len(path.split("L")) for path in curve] == [120] * 4
    assert "duration = 3.16799" in text
    assert "point=29" in text
    assert "point=31" in text
    # Nearly pi: all shots are 1.
    assert re.search(r"11 500 100.00%", plain(text))


def test_a_sweep_of_many_bits_has_as_many_curves_as_can_be_told_apart(
    served: Served, world: World
) -> None:
    claim = world.running(
        program_format=ProgramFormat.OPENQASM3,
        parameters=("a", "b"),
        parameter_values=((0.0, 1.0), (0.5, 1.0), (1.0, 0.0)),
    )
    # At every second point all twelve bits are 1.
    counts = [{"0" * 12: 5}, {"1" * 12: 5}, {"0" * 12: 5}]
    results = [
        Result(type=ResultType.COUNTS, point=at, n_bits=12, counts=each)
        for at, each in enumerate(counts)
    ]
    world.work.finish(claim, finished(results=stored(*results)))
    text = served.get(f"/jobs/{claim.job_id}?point=1").text
    assert len(re.findall(r'<path class="line" d="M', text)) == 8
    assert "4 more are not drawn" in text
    assert "a = 0.5, b = 1" in plain(text)
    assert ">point</text>" in text


@pytest.mark.parametrize("point", ["120", "-1", "x"])
def test_a_point_that_is_not_there_is_told(gallery: Exhibition, point: str) -> None:
    assert gallery.served.get(f"/jobs/{gallery.jobs.sweep}?point={point}").code == 400


def test_results_that_are_too_large_are_not_loaded(
    served: Served, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = world.job_in(JobStatus.FINISHED)
    assert "Counts" in served.get(f"/jobs/{job_id}").text
    monkeypatch.setattr("page.reading.MOST_RESULT_BYTES", 1)
    monkeypatch.setattr("page.site.MOST_RESULT_BYTES", 1)
    text = served.get(f"/jobs/{job_id}").text
    assert "too much for this page" in text
    assert "<h2>Counts" not in text


def test_a_job_that_was_answered_says_by_which(served: Served, world: World) -> None:
    world.work.report("aer@host", "aer", 1, "fingerprint")
    first = world.running(seed=7)
    world.work.finish(first, finished(fingerprint="fingerprint"))
    text = served.get(f"/jobs/{world.submit(seed=7)}").text
    assert "from the cache" in text
    assert f'href="/jobs/{first.job_id}"' in text
    assert "Counts" in text


# -- targets and batches


def test_targets_show_their_load(gallery: Exhibition) -> None:
    text = plain(gallery.served.get("/targets").text)
    assert "aer active aer 100 1 1 1 of 2 1" in text
    assert re.search(r"pennylane paused since \S+ \S+ pennylane 20 none 0 0 of 0 1", text)


def test_a_batch_shows_how_far_it_is(gallery: Exhibition) -> None:
    text = gallery.served.get(f"/batches/{gallery.jobs.batch}").text
    assert "45 of 45 done" in plain(text)
    assert "finished 38 failed 2 canceled 3 deleted 2" in plain(text)
    assert len(listed(text)) == 43
    assert str(gallery.jobs.batch) in gallery.served.get("/batches").text
    assert len(listed(gallery.served.get(f"/?batch={gallery.jobs.batch}").text)) == 43


# -- what must not be


def test_what_users_wrote_is_shown_and_never_run(served: Served, world: World) -> None:
    job_id = world.submit(
        tags=(EVIL,),
        framework=EVIL,
        program=f"{BELL}// {EVIL}",
        extra=f'{{"x": "{EVIL[8:13]}<b>"}}',
    )
    broken = world.running(target="cirq")
    world.work.fail(broken, failed(message=EVIL))
    for path in (
        "/",
        f"/jobs/{job_id}",
        f"/jobs/{broken.job_id}",
        "/?tag=%3Cscript%3E&target=%3Cb%3E",
    ):
        text = served.get(path).text
        assert "<script>" not in text
        assert "<b>" not in text
        assert "&lt;script&gt;" in text


def test_nothing_can_be_changed(served: Served, world: World) -> None:
    job_id = world.submit()
    for path in ("/", f"/jobs/{job_id}", "/targets", "/batches"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = served.get(path, method=method)
            assert answer.code == 405
            assert "only shows" in answer.text
    assert world.status(job_id) is JobStatus.PENDING


@pytest.mark.parametrize("path", ["/", "/targets", "/static/style.css", "/nowhere", "/health"])
def test_every_answer_has_its_headers(served: Served, path: str) -> None:
    headers = served.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def test_nothing_comes_from_elsewhere(gallery: Exhibition) -> None:
    for path in ("/", f"/jobs/{gallery.jobs.sweep}", "/targets", "/static/style.css"):
        text = gallery.served.get(path).text
        assert not re.search(r"https?://|@import|url\(| style=| on\w+=", text)


@pytest.mark.parametrize(
    "path",
    ["/jobs/7", f"/jobs/{UUID(int=7)}", "/batches/x", f"/batches/{UUID(int=7)}", "/nowhere"],
)
def test_what_is_not_there_is_not_found(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.code == 404
    assert "Not found" in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "[::1"])
def test_a_name_that_is_not_its_own_is_refused(served: Served, host: str) -> None:
    answer = served.get("/", Host=host)
    assert answer.code == 400
    assert "page.hosts" in answer.text


@pytest.mark.parametrize("host", ["localhost:5556", "127.0.0.1", "[::1]:5556", "192.0.2.7"])
def test_its_own_names_are_answered(served: Served, host: str) -> None:
    assert served.get("/", Host=host).code == 200


def test_a_database_that_is_away_is_told(served: Served, world: World) -> None:
    job_id = world.submit()
    world.store.away = True
    for path in ("/", f"/jobs/{job_id}", "/targets", "/batches", "/health"):
        answer = served.get(path)
        assert answer.code == 503
        assert "database does not answer" in answer.text
        assert answer.headers["retry-after"] == "3"
    world.store.away = False
    assert served.get("/health").text == "ok\n"


def test_a_defect_shows_no_traceback(
    served: Served, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("secret")

    job_id = world.submit()
    monkeypatch.setattr("page.reading.info_of", fail)
    answer = served.get(f"/jobs/{job_id}")
    assert answer.code == 500
    assert "A defect of the page" in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "content-security-policy" in answer.headers
    assert f"/jobs/{job_id}: RuntimeError" in caplog.text


def test_programs_that_cannot_be_read_are_told(
    served: Served, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: UUID) -> str:
        raise UnavailableError("the program cannot be read for now; try again")

    job_id = world.submit()
    monkeypatch.setattr(world.programs, "read", away)
    answer = served.get(f"/jobs/{job_id}")
    assert answer.code == 200
    assert "cannot be read for now" in answer.text
