"""Jobs, batches, results and targets in a terminal, by rich (the extra ``cli``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from qdispatch.display import tables, words
from qdispatch.model import Cancellation, JobInfo, JobStatus, TargetInfo, TargetState
from qdispatch.updates import BatchInfo, Outlook

if TYPE_CHECKING:
    from qdispatch.result import JobResult

STATUS_STYLE: Final = {
    JobStatus.PENDING: "yellow",
    JobStatus.RUNNING: "cyan",
    JobStatus.FINISHED: "green",
    JobStatus.CANCELED: "magenta",
    JobStatus.FAILED: "bold red",
}
_STATE_STYLE: Final = {
    TargetState.ACTIVE: "green",
    TargetState.PAUSED: "yellow",
    TargetState.DRAINED: "magenta",
}
_EIGHTHS: Final = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589"


class HistogramBar:
    """A bar that is as long as its share of the room it gets."""

    def __init__(self, share: float, style: str = "cyan") -> None:
        self._share = min(max(share, 0.0), 1.0)
        self._style = style

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        eighths = round(self._share * options.max_width * 8)
        if options.ascii_only:
            text = "#" * round(eighths / 8)
        else:
            whole, part = divmod(eighths, 8)
            text = "\u2588" * whole + (_EIGHTHS[part] if part else "")
        yield Segment(text, Style.parse(self._style))

    def __rich_measure__(self, _: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, max(4, min(40, options.max_width)))


def status_text(status: JobStatus) -> Text:
    """A status in its colour."""
    return Text(status.value, style=STATUS_STYLE[status])


def facts(rows: Sequence[tuple[str, RenderableType]]) -> Table:
    """Names and values, a line each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        # What users and simulators wrote is no markup.
        grid.add_row(name, Text(value) if isinstance(value, str) else value)
    return grid


def listing(*heads: str, right: Sequence[str] = (), wrapped: str = "") -> Table:
    """A table without lines, with room for 80 columns.

    Args:
        heads: Of the columns.
        right: Those whose columns have figures.
        wrapped: That of the column whose texts take several lines if they must;
            else all columns are cut to fit.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(
            head,
            justify="right" if head in right else "left",
            no_wrap=head != wrapped,
            overflow="fold" if head == wrapped else "ellipsis",
        )
    return table


def job_view(info: JobInfo, outlook: Outlook | None = None) -> RenderableType:
    """All that is worth knowing about a job."""
    return facts(list(job_facts(info, outlook or Outlook(), words.utc_now())))


def job_facts(
    info: JobInfo, outlook: Outlook, now: datetime
) -> Iterator[tuple[str, RenderableType]]:
    """Name and value of each thing that is known of a job."""
    yield "job", info.id
    if words.has_owner(info):
        yield "owner", info.owner
    if info.batch_id:
        yield "batch", f"{info.batch_id}, place {info.batch_index}"
    yield "target", _target(info)
    if info.method:
        yield "method", words.method(info)
    yield "status", _status(info)
    if info.cached_from:
        yield "results", words.origin(info)
    yield from _expected(outlook, now)
    yield "circuit", words.circuit(info.spec)
    yield "asked for", _asked(info)
    if info.spec.priority:
        yield "priority", f"{info.spec.priority:+d}"
    if info.spec.tags:
        yield "tags", ", ".join(info.spec.tags)
    yield "submitted", words.clock(info.created_at)
    yield from _times(info)
    if info.error is not None:
        yield "error", Text(f"{info.error.kind}: {info.error.message}", style="red")


def _target(info: JobInfo) -> str:
    version = info.simulator_version
    return f"{info.spec.target}: {version}" if version else info.spec.target


def _status(info: JobInfo) -> Text:
    text = status_text(info.status)
    if info.n_points and not info.status.is_final:
        text.append(
            f", {info.points_done} of {info.n_points} points done", style="not bold default"
        )
    if info.attempt > 1:
        text.append(f", attempt {info.attempt}", style="not bold default")
    return text


def _expected(outlook: Outlook, now: datetime) -> Iterator[tuple[str, RenderableType]]:
    if outlook.queue_position is not None:
        yield "position", f"{outlook.queue_position} in the queue"
    if outlook.start is not None:
        yield "starts", words.estimate(outlook.start, now)
    if outlook.finish is not None:
        yield "ends", words.estimate(outlook.finish, now)


def _asked(info: JobInfo) -> str:
    spec = info.spec
    shots = f"{spec.shots:,} shot{'s' if spec.shots != 1 else ''}" if spec.shots else "exact"
    seed = "" if spec.seed is None else f", seed {spec.seed}"
    points = f", {info.n_points:,} points of {', '.join(spec.parameters)}" if info.n_points else ""
    return f"{', '.join(spec.result_types)}; {shots}{seed}{points}"


def _times(info: JobInfo) -> Iterator[tuple[str, RenderableType]]:
    timings = info.timings
    parts = [
        f"{words.duration(seconds)} {name}"
        for name, seconds in (
            ("queued", timings.queued_s),
            ("parsing", timings.parsing_s),
            ("simulating", timings.simulating_s),
            ("saving", timings.saving_s),
        )
        if seconds is not None
    ]
    if parts:
        yield "took", ", ".join(parts)
    if info.cpu_s:
        yield "processor", words.duration(info.cpu_s)
    if info.peak_memory_bytes:
        yield "memory", f"{words.size(info.peak_memory_bytes)} at most"


def batch_view(batch: BatchInfo, outlook: Outlook | None = None) -> RenderableType:
    """How far a batch is."""
    return facts(
        [
            ("batch", batch.id),
            ("jobs", f"{batch.done:,} of {batch.size:,} done"),
            ("status", tally(batch)),
            ("submitted", words.clock(batch.created_at)),
            *_expected(outlook or Outlook(), words.utc_now()),
        ]
    )


def tally(batch: BatchInfo) -> Text:
    """How many jobs of a batch are in which status."""
    numbers = ((status, getattr(batch, status.value)) for status in JobStatus)
    parts = [
        Text(f"{number:,} {status.value}", style=STATUS_STYLE[status])
        for status, number in numbers
        if number
    ]
    return Text(", ").join(parts) if parts else Text("no jobs left")


def result_view(result: JobResult) -> RenderableType:
    """The results, each as a histogram or a table."""
    shown: list[RenderableType] = []
    for part in tables.parts_of(result):
        if shown:
            shown.append(Text())
        shown += [Text(part.title, style="bold"), Padding(_part(part), (0, 0, 0, 2))]
        if not isinstance(part, tables.Line) and part.rest:
            shown.append(Text(f"  {part.rest}", style="dim"))
    return Group(*shown)


def _part(part: tables.Part) -> RenderableType:
    if isinstance(part, tables.Line):
        return Text(part.text)
    if isinstance(part, tables.Histogram):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column()
        for bar in part.bars:
            grid.add_row(Text(bar.label), bar.value, HistogramBar(bar.share))
        return grid
    table = listing(*part.heads, right=part.heads[1:])
    for row in part.rows:
        table.add_row(*map(Text, row))
    return table


def jobs_view(jobs: Sequence[JobInfo]) -> RenderableType:
    """A line per job."""
    now = words.utc_now()
    # Who sees the jobs of several wants to know whose they are; there is no room for all.
    fifth = "OWNER" if len({info.owner for info in jobs}) > 1 else "SHOTS"
    table = listing("JOB", "STATUS", "TARGET", "QUBITS", fifth, "AGE", right=("QUBITS", "SHOTS"))
    # It is the names that are cut where room is scarce.
    for column, width in zip(table.columns, (36, 8, 6, 6, 6, 6), strict=True):
        column.min_width = width
    for info in jobs:
        shots = str(info.spec.shots) if info.spec.shots else "exact"
        table.add_row(
            info.id,
            status_text(info.status),
            Text(info.spec.target),
            str(info.spec.n_qubits),
            Text(info.owner) if fifth == "OWNER" else shots,
            words.age(info.created_at, now),
        )
    return table


def targets_view(targets: Sequence[TargetInfo]) -> RenderableType:
    """A line per target, and which results they give."""
    heads = ("TARGET", "STATE", "QUBITS", "WORKERS", "WAITING", "RUNNING", "TIME LIMIT")
    table = listing(*heads, right=heads[2:])
    gives: dict[str, list[str]] = {}
    for each in targets:
        limit = each.max_time_limit_s
        table.add_row(
            Text(each.name),
            Text(each.state.value, style=_STATE_STYLE[each.state]),
            f"{each.max_qubits:,}",
            str(each.workers_online) if each.workers_online else Text("0", style="red"),
            f"{each.queue_length:,}",
            f"{each.running:,}",
            "none" if limit == float("inf") else words.duration(limit),
        )
        gives.setdefault(", ".join(each.result_types), []).append(each.name)
    offers = facts([(", ".join(names), results) for results, names in gives.items()])
    return Group(table, Text(), Text("Results", style="bold"), offers)


def cancellations_view(cancellations: Sequence[Cancellation]) -> RenderableType:
    """A line per job that was to be canceled."""
    table = listing("JOB", "VERDICT", "STATUS")
    table.columns[0].overflow = "fold"
    for each in cancellations:
        known = Text() if each.status is None else status_text(each.status)
        table.add_row(Text(each.id), each.verdict.value.replace("_", " "), known)
    return table
