"""How jobs, batches, results and targets look in a terminal and in a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from qdispatch.cli.live import batch_line, job_line, live_batch, live_job
from qdispatch.display import html, tables, terminal, words
from qdispatch.model import (
    Cancellation,
    CancelVerdict,
    JobError,
    JobEvent,
    JobStatus,
    ProgramFormat,
    ResultType,
    TargetInfo,
    Timings,
)
from qdispatch.targets import TargetList
from qdispatch.updates import BatchEvent, BatchInfo, BatchUpdate, Estimate, JobUpdate, Outlook
from tests import display_samples as samples

NOW = samples.CREATED
SOON = Estimate(
    lower=NOW + timedelta(seconds=8),
    expected=NOW + timedelta(seconds=12.4),
    upper=NOW + timedelta(seconds=130),
)
PENDING = samples.info(status=JobStatus.PENDING, attempt=0)
SWEEP = samples.info(
    samples.sweep(n_points=200).info.spec, status=JobStatus.RUNNING, points_done=120
)
FAILED = samples.info(
    status=JobStatus.FAILED, error=JobError(kind="out_of_memory", message="needs <b>4 GiB</b>")
)
ANSWERED = samples.info(
    attempt=0, cached_from="01a1fa06-0000-7000-8000-000000000001", timings=Timings()
)
OWNED = samples.info(samples.spec(priority=3), owner="a" * 60 + ".org", cpu_s=75.2)
BATCH = BatchInfo(
    id=samples.JOB_ID,
    owner="anonymous",
    request_id="r",
    created_at=NOW,
    size=500,
    pending=300,
    running=2,
    finished=190,
    canceled=3,
    failed=5,
)
TARGET = TargetInfo(
    name="a-target-with-a-name-that-is-very-long",
    simulator="aer",
    program_formats=tuple(ProgramFormat),
    max_qubits=1000,
    result_types=tuple(ResultType),
)
EVENT = BatchEvent(
    job_id=samples.JOB_ID,
    batch_index=0,
    event=JobEvent(number=3, status=JobStatus.FINISHED, at=NOW),
)


def drawn(view: RenderableType, encoding: str = "utf-8") -> str:
    """What is written into a pipe of 80 columns."""

    class Pipe(StringIO):
        pass

    Pipe.encoding = encoding  # type: ignore[misc, assignment]
    pipe = Pipe()
    Console(file=pipe, width=80, markup=False, highlight=False).print(view)
    return pipe.getvalue()


VIEWS: dict[str, Callable[[], RenderableType]] = {
    "job": lambda: terminal.job_view(FAILED),
    "answered job": lambda: terminal.job_view(ANSWERED),
    "result": lambda: terminal.result_view(samples.everything()),
    "sweep": lambda: terminal.result_view(samples.sweep(n_points=40)),
    "many outcomes": lambda: terminal.result_view(samples.many_outcomes(100, 1000)),
    "batch": lambda: terminal.batch_view(BATCH),
    "jobs": lambda: terminal.jobs_view(
        [PENDING, FAILED, samples.info(samples.spec(target=TARGET.name, shots=10_000_000))]
    ),
    "jobs of several owners": lambda: terminal.jobs_view([PENDING, OWNED]),
    "owned job": lambda: terminal.job_view(OWNED),
    "targets": lambda: TargetList([TARGET]),
    "cancellations": lambda: terminal.cancellations_view(
        [Cancellation(id=samples.JOB_ID, verdict=CancelVerdict.NOT_FOUND)]
    ),
    "live job": lambda: live_job(JobUpdate(job=PENDING, outlook=Outlook(start=SOON, finish=SOON))),
    "live sweep": lambda: live_job(JobUpdate(job=SWEEP)),
    "live batch": lambda: live_batch(BatchUpdate(batch=BATCH, events=(EVENT,) * 9)),
}


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_view_fits_80_columns_without_colour(view: str) -> None:
    text = drawn(VIEWS[view]())
    assert text.strip()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_method_is_shown_with_its_reason() -> None:
    text = " ".join(drawn(terminal.job_view(samples.info())).split())
    assert "method statevector: up to 16 qubits nothing is as fast" in text
    page = html.job_html(samples.info(method="stabilizer", method_reason="all is <Clifford>"))
    assert "stabilizer: all is &lt;Clifford&gt;" in page
    assert words.method(samples.info(method_reason="")) == "statevector"


def test_owner_priority_and_processor_time_are_shown_where_there_are_any() -> None:
    lines = drawn(terminal.job_view(OWNED)).splitlines()
    facts = dict(line.split(None, 1) for line in lines)
    assert facts["owner"].strip() == OWNED.owner
    assert (facts["priority"].strip(), facts["processor"].strip()) == ("+3", "1 min 15 s")
    assert all(text in html.job_html(OWNED) for text in (OWNED.owner, "1 min 15 s"))
    plain = drawn(terminal.job_view(samples.info()))
    assert not any(word in plain for word in ("owner", "priority", "processor"))
    of_several = drawn(terminal.jobs_view([PENDING, OWNED]))
    assert "OWNER" in of_several
    assert samples.JOB_ID in of_several
    assert "OWNER" not in drawn(terminal.jobs_view([OWNED, OWNED]))


def test_a_long_text_leaves_other_columns_their_room() -> None:
    table = terminal.listing("FILE", "STATUS", "RESULT", wrapped="RESULT")
    table.add_row("circuits/bell.qasm", "failed", "a word " * 20)
    lines = drawn(table).splitlines()
    assert lines[1].startswith("circuits/bell.qasm  failed  a word")
    assert "".join(lines).count("word") == 20


def test_bars_of_a_terminal_without_unicode() -> None:
    text = drawn(terminal.HistogramBar(1.0), encoding="ascii")
    assert set(text.strip()) == {"#"}


def test_a_histogram() -> None:
    text = drawn(terminal.result_view(samples.result(samples.BELL)))
    title, zeros, ones = (line.split() for line in text.splitlines())
    assert title == ["counts", "of", "1,000", "shots"]
    assert (zeros[:2], ones[:2]) == (["00", "494"], ["11", "506"])
    assert (len(ones[2]), len(zeros[2])) == (40, 39)


def test_of_many_outcomes_the_most_frequent_are_shown() -> None:
    result = samples.many_outcomes(100, 40)
    (part,) = tables.parts_of(result)
    assert isinstance(part, tables.Histogram)
    shown = [int(bar.value) for bar in part.bars]
    assert sorted(shown, reverse=True) == sorted(result.counts.values(), reverse=True)[:16]
    assert part.rest == f"84 more outcomes: {result.info.spec.shots - sum(shown):,}"


def test_every_result_type_is_shown() -> None:
    text = drawn(terminal.result_view(samples.everything()))
    for expected in (
        "counts of 1,000 shots",
        "0.494000",
        "0.5 XI - 0.25 IZ  +0.123 \u00b1 0.018",
        "ZZ                +0.000000",
        "00 11 11 00",
        "236 more",
        "+0.000000 +0.707107i     0.500000",
        "basis states, before measurement",
    ):
        assert expected in text


def test_a_sweep_is_a_table() -> None:
    text = drawn(terminal.result_view(samples.sweep(n_points=30)))
    lines = text.splitlines()
    assert lines[1].split() == ["point", "theta", "Z"]
    assert lines[3].split() == ["1", "0.433323", "+0.908", "\u00b1", "0.019"]
    assert lines[-1].strip() == "10 more points"


def test_what_is_expected_of_a_job() -> None:
    assert words.estimate(SOON, NOW) == "in 12 s (8 s to 2 min 10 s)"
    assert words.estimate(SOON, NOW + timedelta(seconds=60)) == "any moment, within 1 min 10 s"
    assert words.estimate(SOON, NOW + timedelta(hours=1)) == "any moment"
    late = Estimate(lower=NOW, expected=SOON.expected, upper=NOW + timedelta(days=200))
    assert words.estimate(late, NOW) == "in 12 s, or much later"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0123, "12.3 ms"), (59.9, "59.9 s"), (125, "2 min 5 s"), (7200, "2 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_lines_of_changes() -> None:
    update = JobUpdate(job=PENDING, outlook=Outlook(queue_position=3, finish=SOON))
    clock = words.clock(NOW)[11:]
    line = job_line(update, NOW).plain
    assert line == f"{clock}  pending    position 3  ends in 12 s (8 s to 2 min 10 s)"
    assert job_line(JobUpdate(job=SWEEP), NOW).plain == f"{clock}  running    120/200 points"
    batch = batch_line(BatchUpdate(batch=BATCH), NOW).plain
    assert batch == f"{clock}  198/500 done  3 canceled  5 failed"


class _Balance(HTMLParser):
    """Counts tags that are not closed, and keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


PAGES = {
    "job": (lambda: html.job_html(FAILED), "needs <b>4 GiB</b>"),
    "answered job": (lambda: html.job_html(ANSWERED), f"the equal job {ANSWERED.cached_from}"),
    "batch": (lambda: html.batch_html(BATCH), "198 of 500 done"),
    "result": (lambda: samples.everything()._repr_html_(), "counts of 1,000 shots"),
    "sweep": (lambda: html.result_html(samples.sweep(n_points=40)), "20 more points"),
    "targets": (lambda: TargetList([TARGET])._repr_html_(), TARGET.name),
}


@pytest.mark.parametrize("page", list(PAGES))
def test_a_page_of_a_notebook(page: str) -> None:
    make, expected = PAGES[page]
    text = make()
    parser = _Balance()
    parser.feed(text)
    assert parser.open == []
    assert expected in parser.text
    assert not re.search(r"https?:|<script|<style|<link|<b>4", text)
