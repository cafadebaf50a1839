"""``qdispatch status``, ``result``, ``watch``, ``jobs``, ``targets`` and ``cancel``."""

from __future__ import annotations

import sys
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from qdispatch.cli import options as given
from qdispatch.cli.exits import Exit, InputError
from qdispatch.cli.session import Session, session
from qdispatch.model import CancelVerdict, JobInfo, JobStatus, ResultType, TargetState
from qdispatch.updates import Outlook

if TYPE_CHECKING:
    from qdispatch.job import Job

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", show_default=False)]
BatchId = Annotated[str, typer.Option("--batch", metavar="ID", help="The id of a batch.")]

# What is to be expected comes within this time, or not at all, in seconds.
_OUTLOOK_S = 1.5


def status(job: JobId, address: given.Address = None, as_json: given.AsJson = False) -> None:
    """Show a job, and what is to be expected of it."""
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.documents import job_document, outlook_document
        from qdispatch.display.terminal import job_view

        info = opened.client.get_job(job)
        outlook = None if info.status.is_final else _outlook(opened, job)
        opened.show(
            job_view(info, outlook),
            {"job": job_document(info), "outlook": outlook_document(outlook)},
        )


def _outlook(opened: Session, job_id: str) -> Outlook:
    """What is to be expected of a job: empty if nothing is known, or it ends meanwhile."""
    from qdispatch.errors import ServerError, WaitTimeoutError

    try:
        # A watcher is told first where the job is, and then what to expect.
        for update in opened.client.watch_job(job_id, timeout_s=_OUTLOOK_S):
            if update.outlook != Outlook():
                return update.outlook
    except (ServerError, WaitTimeoutError):
        # A server of the version before does not tell.
        pass
    return Outlook()


def result(
    job: JobId,
    *,
    timeout: given.Timeout = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Write one value a line, with a header.")
    ] = False,
    plot: Annotated[
        str,
        typer.Option(
            metavar="FILE.png",
            help="Draw into a file; .pdf and .svg work as well. Needs matplotlib.",
        ),
    ] = "",
    kind: Annotated[
        ResultType | None,
        typer.Option(
            "--result",
            metavar="TYPE",
            help="What to draw; the first that was asked for if not given.",
        ),
    ] = None,
    address: given.Address = None,
    as_json: given.AsJson = False,
) -> None:
    """Wait for the end of a job, and show its results."""
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.submitting import show_result

        if as_json + as_csv + bool(plot) > 1:
            raise InputError("--json, --csv and --plot exclude each other")
        opened.pick_up = f"watch {job}"
        found = opened.client.job(job)
        if plot:
            _draw(opened, found, timeout, plot, kind)
        elif as_csv:
            _write_csv(opened, found, timeout)
        else:
            show_result(opened, found, timeout)


def _draw(
    opened: Session, job: Job, timeout_s: float | None, path: str, kind: ResultType | None
) -> None:
    from qdispatch.cli.submitting import await_result
    from qdispatch.plot import save

    save(await_result(opened, job, timeout_s), path, kind=kind)
    opened.note(f"drawn into {path}")


def _write_csv(opened: Session, job: Job, timeout_s: float | None) -> None:
    from qdispatch.cli.csv_form import write_csv
    from qdispatch.cli.session import leave_pipe
    from qdispatch.cli.submitting import await_result

    found = await_result(opened, job, timeout_s)
    try:
        write_csv(found, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        leave_pipe()


def watch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")] = "",
    batch: BatchId = "",
    address: given.Address = None,
    as_json: given.AsJson = False,
) -> None:
    """Follow a job or a batch until its end.

    Ctrl-C ends the watching only; the job goes on.
    """
    with session(address, as_json=as_json) as opened:
        if bool(job) is bool(batch):
            raise InputError("watch what? give the id of a job, or --batch ID")
        opened.pick_up = f"watch --batch {batch}" if batch else f"watch {job}"
        if batch:
            _watch_batch(opened, batch)
        else:
            _watch_job(opened, job)


def _watch_job(opened: Session, job_id: str) -> None:
    from qdispatch.cli.documents import job_document
    from qdispatch.cli.live import follow_job
    from qdispatch.display.terminal import job_view

    follow_job(opened, opened.client.watch_job(job_id))
    info = opened.client.get_job(job_id)
    opened.show(job_view(info), {"job": job_document(info)})
    if info.status is not JobStatus.FINISHED:
        opened.code = Exit.ENDED


def _watch_batch(opened: Session, batch_id: str) -> None:
    from qdispatch.cli.documents import batch_document
    from qdispatch.cli.live import follow_batch
    from qdispatch.display.terminal import batch_view

    last = follow_batch(opened, opened.client.watch_batch(batch_id)).batch
    opened.show(batch_view(last), {"batch": batch_document(last)})
    if last.failed or last.canceled:
        opened.code = Exit.ENDED


def jobs(
    *,
    status: Annotated[
        list[JobStatus] | None,
        typer.Option(
            metavar="STATUS",
            help=f"Only in this status: {', '.join(JobStatus)}; may be repeated.",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Only on this target.", autocompletion=given.complete_target
        ),
    ] = "",
    tag: Annotated[str, typer.Option(metavar="WORD", help="Only with this tag.")] = "",
    batch: BatchId = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Only from then on: 30min, 2h, 7d, or 2026-05-01.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="WHEN", help="Only before then.")] = "",
    owner: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only of this owner; administrators see everybody's."),
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    address: given.Address = None,
    as_json: given.AsJson = False,
) -> None:
    """List jobs, the newest first."""
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.documents import job_document

        found = opened.client.jobs(
            status=tuple(status) if status else None,
            target=target,
            tag=tag,
            batch=batch,
            created_after=_moment("--since", since),
            created_before=_moment("--until", until),
            owner=owner,
            limit=limit + 1,
        )
        infos = list(islice(found, limit + 1))
        shown, more = infos[:limit], len(infos) > limit
        _show_jobs(opened, shown, {"jobs": [job_document(each) for each in shown], "more": more})
        if more and not as_json:
            opened.note(f"There are more; see them with --limit {10 * limit}")


def _show_jobs(opened: Session, shown: list[JobInfo], document: dict[str, object]) -> None:
    from qdispatch.display.terminal import jobs_view

    if not shown and not opened.as_json:
        opened.note("No jobs.")
        return
    opened.show(jobs_view(shown), document)


def _moment(option: str, text: str) -> datetime | None:
    from qdispatch.cli.values import moment_of
    from qdispatch.display.words import utc_now

    return moment_of(option, text, utc_now()) if text else None


def targets(address: given.Address = None, as_json: given.AsJson = False) -> None:
    """List the targets, with their load."""
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.documents import target_document
        from qdispatch.display.terminal import targets_view

        found = opened.client.targets()
        opened.show(targets_view(found), {"targets": [target_document(each) for each in found]})
        for each in found:
            if each.state is TargetState.ACTIVE and not each.workers_online:
                opened.note(f"No worker of {each.name} has reported lately: its jobs wait.")


def cancel(
    jobs: Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Ids of jobs.")] = None,
    batch: BatchId = "",
    address: given.Address = None,
    as_json: given.AsJson = False,
) -> None:
    """Cancel jobs, or all of a batch.

    What has ended stays as it is.
    """
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.documents import cancellation_document
        from qdispatch.display.terminal import cancellations_view

        if bool(jobs) is bool(batch):
            raise InputError("cancel what? give ids of jobs, or --batch ID")
        client = opened.client
        done = client.cancel_batch(batch) if batch else client.cancel_jobs(jobs or ())
        opened.show(
            cancellations_view(done),
            {"cancellations": [cancellation_document(each) for each in done]},
        )
        verdicts = {each.verdict for each in done}
        # What of a batch has ended before is none of a cancellation's business.
        if CancelVerdict.NOT_FOUND in verdicts:
            opened.code = Exit.REFUSED
        elif not batch and CancelVerdict.TOO_LATE in verdicts:
            opened.code = Exit.ENDED
