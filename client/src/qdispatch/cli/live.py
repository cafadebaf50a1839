"""Jobs and batches while they go on: a view that is drawn over, or a line for each change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from qdispatch.cli.session import Session
from qdispatch.display import words
from qdispatch.display.terminal import (
    STATUS_STYLE,
    batch_view,
    job_view,
    status_text,
)
from qdispatch.errors import ServerError
from qdispatch.model import JobStatus
from qdispatch.updates import BatchUpdate, JobUpdate, Outlook

_Update = TypeVar("_Update", JobUpdate, BatchUpdate)

_BAR_WIDTH = 40


def follow_job(opened: Session, updates: Iterable[JobUpdate]) -> JobUpdate:
    """Shows a job until it is final; returns what was heard last."""
    return _follow(opened, updates, live_job, job_line)


def follow_batch(opened: Session, updates: Iterable[BatchUpdate]) -> BatchUpdate:
    """Shows a batch until all its jobs are final; returns what was heard last."""
    return _follow(opened, updates, live_batch, batch_line)


def _follow(
    opened: Session,
    updates: Iterable[_Update],
    view: Callable[[_Update], RenderableType],
    line: Callable[[_Update, datetime], Text],
) -> _Update:
    last: _Update | None = None
    if opened.is_live:
        last = _draw(opened.err, updates, view)
    else:
        for update in updates:
            text = line(update, words.utc_now())
            if not opened.as_json and (last is None or _is_news(last, update)):
                opened.err.print(text)
            last = update
    if last is None:
        raise ServerError("the server told nothing about it")
    return last


def _draw(
    console: Console, updates: Iterable[_Update], view: Callable[[_Update], RenderableType]
) -> _Update | None:
    last: _Update | None = None

    def now() -> RenderableType:
        # Drawn again and again: "in 12 s" is to become "in 11 s" by itself.
        return Text("waiting for the server", style="dim") if last is None else view(last)

    with Live(console=console, get_renderable=now, transient=True, refresh_per_second=8) as live:
        for update in updates:
            last = update
            live.refresh()
    return last


def _is_news(last: _Update, update: _Update) -> bool:
    """Whether something has changed that is worth a line; estimates always do."""
    if isinstance(last, JobUpdate) and isinstance(update, JobUpdate):
        return (
            last.job.status is not update.job.status
            or last.job.attempt != update.job.attempt
            or last.outlook.queue_position != update.outlook.queue_position
            or _tenth(update) != _tenth(last)
        )
    if isinstance(last, BatchUpdate) and isinstance(update, BatchUpdate):
        # A line for each job of a large batch would be too many.
        step = max(update.batch.size // 20, 1)
        return (
            last.batch.done // step != update.batch.done // step
            or last.batch.is_final != update.batch.is_final
        )
    return True


def _tenth(update: JobUpdate) -> int:
    job = update.job
    return 10 * job.points_done // job.n_points if job.n_points else 0


def live_job(update: JobUpdate) -> RenderableType:
    """A job that goes on, with a bar."""
    job = update.job
    running = job.status is JobStatus.RUNNING
    if job.n_points:
        bar = _bar(job.points_done, job.n_points, f"{job.points_done:,}/{job.n_points:,} points")
    elif running and job.started_at is not None:
        spent = (words.utc_now() - job.started_at).total_seconds()
        bar = _bar(None, None, f"running for {words.duration(spent)}")
    else:
        bar = Text(job.status.value, style=STATUS_STYLE[job.status])
    return Group(job_view(job, update.outlook), Text(), bar)


def live_batch(update: BatchUpdate) -> RenderableType:
    """A batch that goes on, with a bar and what happened last."""
    batch = update.batch
    rows: list[RenderableType] = [
        batch_view(batch, update.outlook),
        Text(),
        _bar(batch.done, batch.size, f"{batch.done:,}/{batch.size:,} jobs"),
    ]
    if update.events:
        rows.append(Text())
    for each in update.events[-5:]:
        head = Text(f"{words.clock(each.event.at)[11:]}  {each.job_id}  ", style="dim")
        rows.append(head.append_text(status_text(each.event.status)))
    return Group(*rows)


def _bar(done: int | None, total: int | None, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=_BAR_WIDTH)
    grid.add_column(no_wrap=True)
    bar = ProgressBar(
        total=total or None,
        completed=done or 0,
        width=_BAR_WIDTH,
        pulse=total is None,
        complete_style="cyan",
        finished_style="green",
    )
    grid.add_row(bar, text)
    return grid


def job_line(update: JobUpdate, now: datetime) -> Text:
    """A change of a job, on one line."""
    job = update.job
    parts = []
    if job.n_points and not job.status.is_final:
        parts.append(f"{job.points_done:,}/{job.n_points:,} points")
    parts += _expected(update.outlook, now)
    if job.error is not None:
        parts.append(f"{job.error.kind}: {job.error.message}")
    return _line(now, Text(f"{job.status.value:9}", style=STATUS_STYLE[job.status]), parts)


def batch_line(update: BatchUpdate, now: datetime) -> Text:
    """How far a batch is, on one line."""
    batch = update.batch
    bad = [
        f"{number:,} {name}" for name in ("canceled", "failed") if (number := getattr(batch, name))
    ]
    head = Text(f"{batch.done:,}/{batch.size:,} done")
    return _line(now, head, [*bad, *_expected(Outlook(finish=update.outlook.finish), now)])


def _line(now: datetime, head: Text, parts: Iterable[str]) -> Text:
    text = Text(f"{words.clock(now)[11:]}  ", style="").append_text(head)
    for part in parts:
        text.append(f"  {part}")
    text.rstrip()
    return text


def _expected(outlook: Outlook, now: datetime) -> list[str]:
    parts = []
    if outlook.queue_position is not None:
        parts.append(f"position {outlook.queue_position}")
    if outlook.finish is not None:
        parts.append(f"ends {words.estimate(outlook.finish, now)}")
    return parts
