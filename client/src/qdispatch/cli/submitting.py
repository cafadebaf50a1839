"""``qdispatch submit`` and ``qdispatch batch``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qdispatch.cli import options as given
from qdispatch.cli.exits import Exit, InputError
from qdispatch.cli.session import Session, session
from qdispatch.errors import QDispatchError, RequestError
from qdispatch.model import JobInfo, JobSpec, JobStatus

if TYPE_CHECKING:
    from rich.console import RenderableType

    from qdispatch.batch import Batch
    from qdispatch.cli.files import Source
    from qdispatch.job import Job
    from qdispatch.result import JobResult

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Write the id and nothing else.")]


def submit(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="FILE.qasm: a program in OpenQASM 2 or 3. FILE.py:NAME: a circuit in a Python "
            "file, or a function without arguments that returns one.",
            show_default=False,
        ),
    ],
    *,
    target: given.Target = "",
    shots: given.Shots = None,
    seed: given.Seed = None,
    result: given.Results = None,
    observable: given.Observables = None,
    param: given.Parameters = None,
    tag: given.Tags = None,
    time_limit: given.TimeLimit = None,
    extra: given.Extra = "",
    no_cache: given.NoCache = False,
    priority: given.Priority = 0,
    quota_wait: given.QuotaWait = None,
    qubits: given.Qubits = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait, and show the results.")] = False,
    timeout: given.Timeout = None,
    quiet: Quiet = False,
    address: given.Address = None,
    as_json: given.AsJson = False,
) -> None:
    """Submit a circuit; with --wait, show its results."""
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.files import load
        from qdispatch.job import Job

        options = given.wishes(
            target=target,
            shots=shots,
            seed=seed,
            results=result,
            observables=observable,
            parameters=param,
            tags=tag,
            time_limit=time_limit,
            extra=extra,
            no_cache=no_cache,
            priority=priority,
        )
        source = load(file, n_qubits=qubits)
        spec = prepared(opened, source, options)
        job = Job(opened.client, opened.client.create_job(spec, quota_wait_s=quota_wait))
        opened.pick_up = f"watch {job.id}"
        if wait:
            show_result(opened, job, timeout)
        else:
            _show_submitted(opened, job, quiet=quiet)


def prepared(opened: Session, source: Source, options: dict[str, Any]) -> JobSpec:
    """What is sent for a circuit; the errors name its file."""
    parameters = options["parameters"] or {}
    for name in getattr(source.circuit, "parameters", ()):
        if isinstance(name, str) and name not in parameters:
            raise InputError(
                f"{source.name}: {name} needs a value, such as --param {name}=0:2pi:50"
            )
    try:
        return opened.client.prepare(source.circuit, **options)
    except QDispatchError as error:
        raise InputError(f"{source.name}: {error}") from error


def _submitted(
    opened: Session,
    specs: Sequence[JobSpec],
    sources: Sequence[Source],
    quota_wait_s: float | None,
) -> Batch:
    try:
        return opened.client.submit_batch(specs, quota_wait_s=quota_wait_s)
    except RequestError as error:
        index = re.search(r"\[(\d+)\]", error.field)
        if index is not None and int(index[1]) < len(sources):
            opened.note(f"{error.field} is of {sources[int(index[1])].name}")
        raise


def _show_submitted(opened: Session, job: Job, *, quiet: bool) -> None:
    from qdispatch.cli.documents import job_document
    from qdispatch.display.terminal import job_view

    if quiet and not opened.as_json:
        opened.write(f"{job.id}\n")
        return
    opened.show(job_view(job.info), {"job": job_document(job.info)})
    if opened.out.is_terminal and not opened.as_json:
        opened.note(f"\nFollow it: qdispatch watch {job.id}")


def show_result(opened: Session, job: Job, timeout_s: float | None) -> None:
    """Waits for a job, and shows its results or why there are none."""
    from rich.console import Group
    from rich.text import Text

    from qdispatch.cli.documents import job_document, points_document
    from qdispatch.display.terminal import job_view, result_view
    from qdispatch.errors import JobEndedError

    try:
        result = await_result(opened, job, timeout_s)
    except JobEndedError as error:
        opened.show(job_view(error.info), {"job": job_document(error.info), "points": []})
        opened.code = Exit.ENDED
        return
    opened.show(
        Group(job_view(result.info), Text(), result_view(result)),
        {"job": job_document(result.info), "points": points_document(result)},
    )


def await_result(opened: Session, job: Job, timeout_s: float | None) -> JobResult:
    """Waits for a job, with a view of it if a person watches."""
    if opened.is_live and not job.info.status.is_final:
        if timeout_s is None:
            from qdispatch.cli.live import follow_job

            follow_job(opened, job.watch())
        else:
            with opened.err.status(f"waiting for job {job.id}"):
                return job.result(timeout_s)
    return job.result(timeout_s)


def batch(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Files as for submit; NAME may also be a list of circuits. Of a folder: its "
            ".qasm files, and its .py files that have a 'circuit'.",
        ),
    ],
    *,
    target: given.Target = "",
    shots: given.Shots = None,
    seed: given.Seed = None,
    result: given.Results = None,
    observable: given.Observables = None,
    param: given.Parameters = None,
    tag: given.Tags = None,
    time_limit: given.TimeLimit = None,
    extra: given.Extra = "",
    no_cache: given.NoCache = False,
    priority: given.Priority = 0,
    quota_wait: given.QuotaWait = None,
    qubits: given.Qubits = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Submit, and do not wait.")] = False,
    timeout: given.Timeout = None,
    quiet: Quiet = False,
    address: given.Address = None,
    as_json: given.AsJson = False,
) -> None:
    """Submit many circuits as one batch and wait.

    Shows a bar over all of them, and a table of the results at the end.
    """
    with session(address, as_json=as_json) as opened:
        from qdispatch.cli.files import load_all

        options = given.wishes(
            target=target,
            shots=shots,
            seed=seed,
            results=result,
            observables=observable,
            parameters=param,
            tags=tag,
            time_limit=time_limit,
            extra=extra,
            no_cache=no_cache,
            priority=priority,
        )
        sources = load_all(files, n_qubits=qubits)
        if not sources:
            raise InputError("there is no circuit in these files")
        specs = [prepared(opened, each, options) for each in sources]
        submitted = _submitted(opened, specs, sources, quota_wait)
        opened.pick_up = f"watch --batch {submitted.id}"
        names = [each.name for each in sources]
        if no_wait:
            _show_batch(opened, submitted, names, quiet=quiet)
        else:
            _run_batch(opened, submitted, names, timeout)


def _show_batch(opened: Session, submitted: Batch, names: Sequence[str], *, quiet: bool) -> None:
    from qdispatch.cli.documents import batch_document
    from qdispatch.display.terminal import batch_view

    if quiet and not opened.as_json:
        opened.write(f"{submitted.id}\n")
        return
    pairs = zip(names, submitted.job_ids, strict=True)
    jobs = [{"file": name, "id": job_id} for name, job_id in pairs]
    opened.show(batch_view(submitted.info), {"batch": batch_document(submitted.info), "jobs": jobs})
    if opened.out.is_terminal and not opened.as_json:
        opened.note(f"\nFollow it: qdispatch watch --batch {submitted.id}")


def _run_batch(
    opened: Session, submitted: Batch, names: Sequence[str], timeout_s: float | None
) -> None:
    from qdispatch.cli.documents import batch_document, job_document, points_document

    ended = {job.id: job for job in _with_bar(opened, submitted, timeout_s)}
    rows = [
        (name, *_outcome(ended[job_id]))
        for name, job_id in zip(names, submitted.job_ids, strict=True)
        # One that was deleted meanwhile has nothing to tell.
        if job_id in ended
    ]
    documents: list[dict[str, Any]] = [
        {
            "file": name,
            "job": job_document(info),
            "points": [] if result is None else points_document(result),
        }
        for name, info, result in rows
    ]
    summary = submitted.status()
    opened.show(_table(rows, summary), {"batch": batch_document(summary), "jobs": documents})
    if summary.finished < summary.size:
        opened.code = Exit.ENDED


def _outcome(job: Job) -> tuple[JobInfo, JobResult | None]:
    """A job that has ended, with its result if it has one."""
    if job.info.status is not JobStatus.FINISHED:
        return job.info, None
    result = job.result()
    return result.info, result


def _with_bar(opened: Session, submitted: Batch, timeout_s: float | None) -> Iterable[Job]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=opened.err, transient=True, disable=not opened.is_live)
    with progress:
        task = progress.add_task("jobs", total=len(submitted))
        for job in submitted.as_completed(timeout_s):
            progress.advance(task)
            yield job


def _table(rows: Iterable[tuple[str, JobInfo, JobResult | None]], summary: Any) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from qdispatch.display import words
    from qdispatch.display.tables import summary as in_short
    from qdispatch.display.terminal import listing, status_text, tally

    table = listing("FILE", "STATUS", "TOOK", "RESULT", right=("TOOK",), wrapped="RESULT")
    for name, info, result in rows:
        seconds = info.timings.simulating_s
        if result is not None:
            text = in_short(result)
        else:
            text = f"{info.error.kind}: {info.error.message}" if info.error else ""
        table.add_row(
            Text(words.shortened(name, 28)),
            status_text(info.status),
            "" if seconds is None else words.duration(seconds),
            Text(text),
        )
    end = Text(f"\nbatch {summary.id}: ").append_text(tally(summary))
    return Group(table, end)
