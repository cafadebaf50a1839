"""Bars that show how far a job or a batch is, by tqdm where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from qdispatch.model import JobInfo, JobStatus
from qdispatch.updates import BatchInfo, BatchUpdate, JobUpdate, Outlook


@contextmanager
def of_job(info: JobInfo, *, show: bool) -> Iterator[Callable[[JobUpdate], None]]:
    """A bar of a job: points of its sweep, or none but its status.

    Args:
        info: The job.
        show: Whether there is to be one.

    Yields:
        What takes the updates.
    """
    total = info.n_points or len(info.spec.parameter_values) or 1
    with _bar(total, f"job {info.id[-6:]}", "point" if total > 1 else "job", show=show) as bar:

        def tell(update: JobUpdate) -> None:
            job = update.job
            is_done = job.status is JobStatus.FINISHED
            bar.set_postfix_str(_text(job.status, update.outlook), refresh=False)
            bar.update((total if is_done else min(job.points_done, total)) - bar.n)
            bar.refresh()

        yield _nothing if bar is None else tell


@contextmanager
def of_batch(info: BatchInfo, *, show: bool) -> Iterator[Callable[[BatchUpdate], None]]:
    """A bar of a batch: how many of its jobs are done.

    Args:
        info: The batch.
        show: Whether there is to be one.

    Yields:
        What takes the updates.
    """
    with _bar(info.size, f"batch {info.id[-6:]}", "job", show=show) as bar:

        def tell(update: BatchUpdate) -> None:
            batch = update.batch
            bad = [f"{n} {word}" for n, word in _bad(batch) if n]
            bar.set_postfix_str(
                ", ".join(filter(None, (*bad, _end(update.outlook)))), refresh=False
            )
            bar.update(batch.done - bar.n)
            bar.refresh()

        yield _nothing if bar is None else tell


def _bad(batch: BatchInfo) -> tuple[tuple[int, str], ...]:
    return ((batch.failed, "failed"), (batch.canceled, "canceled"))


def _nothing(_update: object) -> None:
    pass


@contextmanager
def _bar(total: int, name: str, unit: str, *, show: bool) -> Iterator[Any]:
    """A bar; None where there is nobody to see it, or no tqdm."""
    if not show or not (_in_notebook() or sys.stderr.isatty()):
        yield None
        return
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    except ImportError:
        yield None
        return
    with tqdm(total=total, desc=name, unit=unit, file=sys.stderr) as bar:
        yield bar


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return running is not None and type(running).__name__ == "ZMQInteractiveShell"


def _text(status: JobStatus, outlook: Outlook) -> str:
    place = f"number {outlook.queue_position} in the queue" if outlook.queue_position else ""
    return ", ".join(filter(None, (str(status), place, _end(outlook))))


def _end(outlook: Outlook) -> str:
    if outlook.finish is None:
        return ""
    left = (outlook.finish.expected - datetime.now(UTC)).total_seconds()
    return f"about {left:.0f} s left" if left >= 1 else ""
