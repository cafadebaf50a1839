"""Bars: where there is somebody to see them."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr
from datetime import UTC, datetime, timedelta

import pytest

from qdispatch import progress
from qdispatch.model import JobStatus
from qdispatch.updates import BatchInfo, BatchUpdate, Estimate, JobUpdate, Outlook
from tests.client.answers import LIFE, info
from tests.specs import bell

NOW = datetime.now(UTC)
SOON = Outlook(
    queue_position=3,
    # Far enough that a slow run of the tests does not get there.
    finish=Estimate(lower=NOW, expected=NOW + timedelta(days=1), upper=NOW + timedelta(days=2)),
)
BATCH = BatchInfo(
    id="018f0000-0000-7000-8000-0000000000ba",
    owner="anonymous",
    request_id="r",
    created_at=NOW,
    size=4,
    pending=1,
    finished=2,
    failed=1,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def job_shown(
    points: int, done: int, status: JobStatus = JobStatus.RUNNING, *, where: io.StringIO
) -> str:
    spec = bell(parameters=("a",), parameter_values=((0.0,),) * points)
    job = info(status, spec=spec, points_done=done)
    with redirect_stderr(where), progress.of_job(job, show=True) as tell:
        tell(JobUpdate(job=job, outlook=SOON))
    return where.getvalue()


def batch_shown(*, show: bool) -> str:
    where = Terminal()
    with redirect_stderr(where), progress.of_batch(BATCH, show=show) as tell:
        tell(BatchUpdate(batch=BATCH))
    return where.getvalue()


def test_a_sweep_shows_its_points() -> None:
    shown = job_shown(10, 4, where=Terminal())
    assert "4/10" in shown
    assert "running, number 3 in the queue, about " in shown


@pytest.mark.parametrize(("status", "done"), [(LIFE[0], "0/1"), (LIFE[2], "1/1")])
def test_a_single_job_shows_its_status(status: JobStatus, done: str) -> None:
    shown = job_shown(1, 0, status, where=Terminal())
    assert done in shown
    assert str(status) in shown


def test_a_batch_shows_its_jobs() -> None:
    shown = batch_shown(show=True)
    assert "3/4" in shown
    assert "1 failed" in shown


def test_no_bar_without_being_asked() -> None:
    assert batch_shown(show=False) == ""


def test_no_bar_where_nobody_looks() -> None:
    assert job_shown(10, 4, where=io.StringIO()) == ""


def test_no_bar_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert job_shown(10, 4, where=Terminal()) == ""


def test_a_bar_in_a_notebook_needs_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        """Named as the shell of a notebook is."""

    class IPython:
        get_ipython = ZMQInteractiveShell

    monkeypatch.setitem(sys.modules, "IPython", IPython)  # type: ignore[arg-type]
    assert "4/10" in job_shown(10, 4, where=io.StringIO())
