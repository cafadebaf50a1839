"""The page as a web application: addresses, templates, and answers to what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.audit import Audit
from app.ids import known_id
from app.token_lookup import TokenLookup
from page import formats
from page.asking import AskingError, asked, before, number
from page.charts import slices
from page.gate import METHOD, OPEN, Gate, caller_of, note_refused
from page.outcomes import curves, of_point
from page.reading import MOST_RESULT_BYTES, Reader
from qdispatch.errors import JobNotFoundError, UnavailableError
from qdispatch.model import JobInfo, JobStatus
from qdispatch.updates import BatchInfo

_log = logging.getLogger(__name__)

# How often a page in a browser brings itself up to date, in seconds; 0 is never.
_LIST_S: Final = 3
_ACTIVE_S: Final = 1
_FINAL_S: Final = 0

_HEADERS: Final = {
    # Nothing but the page's own files; what others wrote is never run.
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def build_site(
    reader: Reader, *, hosts: Sequence[str], lookup: TokenLookup | None, audit: Audit
) -> ASGIApp:
    """The web application.

    Args:
        reader: What it shows.
        hosts: Names under which it answers, besides addresses; ``*`` is any.
        lookup: Knows the tokens by which callers are known; None if nobody has to say
            who they are.
        audit: Told of requests that are refused.
    """
    site = _Site(reader, audit)
    return Starlette(
        routes=[
            Route("/", site.jobs, methods=["GET"]),
            Route("/jobs/{job_id}", site.job, methods=["GET"]),
            Route("/batches", site.batches, methods=["GET"]),
            Route("/batches/{batch_id}", site.batch, methods=["GET"]),
            Route("/targets", site.targets, methods=["GET"]),
            Route("/health", site.health, methods=["GET"]),
            Mount("/static", StaticFiles(packages=[("page", "static")])),
        ],
        middleware=[
            Middleware(_Headers),
            Middleware(_Hosts, hosts=hosts, audit=audit),
            Middleware(Gate, lookup=lookup, audit=audit),
        ],
        exception_handlers={
            HTTPException: site.refused,
            AskingError: site.asked_wrongly,
            JobNotFoundError: site.not_found,
            UnavailableError: site.unavailable,
            Exception: site.broken,
        },
    )


class _Site:
    # Endpoints are plain functions: each runs in a thread of Starlette's pool.

    def __init__(self, reader: Reader, audit: Audit) -> None:
        self._reader = reader
        self._audit = audit
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("page"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        filters: dict[str, Callable[..., str]] = {
            name: getattr(formats, name)
            for name in (
                "moment", "observable", "real", "seconds", "short_id", "shortened", "size", "whole",
            )
        }  # fmt: skip
        self._templates.filters.update(filters)
        self._templates.globals.update(statuses=tuple(JobStatus), ran_s=_ran_s)

    def _show(
        self, template: str, *, code: int = 200, every_s: int = _LIST_S, **values: Any
    ) -> Response:
        text = self._templates.get_template(template).render(
            now=self._reader.now(), every_s=every_s, **values
        )
        return HTMLResponse(text, code)

    # -- pages

    def jobs(self, request: Request) -> Response:
        wish = asked(request.query_params)
        leaf = self._reader.jobs(wish, caller_of(request).sees)
        return self._show(
            "jobs.html",
            asked=wish,
            jobs=leaf.entries,
            older=None if leaf.last is None else wish.older(leaf.last).address(),
            targets=self._reader.targets,
        )

    def job(self, request: Request) -> Response:
        detail = self._reader.job(request.path_params["job_id"], caller_of(request).sees)
        job = detail.job
        point = number(request.query_params, "point", max(job.n_points - 1, 0))
        return self._show(
            "job.html",
            every_s=_FINAL_S if job.status.is_final else _ACTIVE_S,
            job=job,
            detail=detail,
            point=point,
            values=detail.points[point] if point < len(detail.points) else (),
            curves=curves(detail),
            outcomes=of_point(detail, point),
            too_large=detail.result_bytes > MOST_RESULT_BYTES,
            times=_times(job),
        )

    def batches(self, request: Request) -> Response:
        leaf = self._reader.batches(before(request.query_params), caller_of(request).sees)
        older = None if leaf.last is None else f"/batches?before={leaf.last}"
        batches = [(each, _shares(each)) for each in leaf.entries]
        return self._show("batches.html", batches=batches, older=older)

    def batch(self, request: Request) -> Response:
        sees = caller_of(request).sees
        batch = self._reader.batch(request.path_params["batch_id"], sees)
        wish = asked(request.query_params)
        jobs = self._reader.jobs(wish.of_batch(batch.id), sees)
        older = None
        if jobs.last is not None:
            older = wish.older(jobs.last).address(f"/batches/{batch.id}")
        return self._show(
            "batch.html",
            every_s=_FINAL_S if batch.is_final else _ACTIVE_S,
            batch=batch,
            shares=_shares(batch),
            jobs=jobs.entries,
            older=older,
        )

    def targets(self, _: Request) -> Response:
        loads = self._reader.loads()
        return self._show("targets.html", loads=[(each, _occupied(each)) for each in loads])

    def health(self, _: Request) -> Response:
        self._reader.check()
        return PlainTextResponse("ok\n")

    # -- what goes wrong

    def _trouble(self, code: int, title: str, text: str, *, every_s: int = 0) -> Response:
        return self._show("trouble.html", code=code, every_s=every_s, title=title, text=text)

    def refused(self, request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 400
        note_refused(self._audit, request, code)
        if code == HTTPStatus.NOT_FOUND:
            return self._trouble(code, "Not found", "There is no such page.")
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            text = "This page only shows. To submit and to cancel, use the client."
            return self._trouble(code, "Read only", text)
        return self._trouble(code, HTTPStatus(code).phrase, "The request was refused.")

    def asked_wrongly(self, request: Request, error: Exception) -> Response:
        note_refused(self._audit, request, 400)
        return self._trouble(400, "Not understood", f"{error}.")

    def not_found(self, request: Request, error: Exception) -> Response:
        note_refused(self._audit, request, 404)
        return self._trouble(404, "Not found", f"{error}. It may have been deleted.")

    def unavailable(self, request: Request, error: Exception) -> Response:
        # Of a health check it is the answer.
        if request.url.path != OPEN:
            note_refused(self._audit, request, 503)
        response = self._trouble(503, "Not available", f"{error}.", every_s=_LIST_S)
        response.headers["retry-after"] = str(_LIST_S)
        return response

    def broken(self, request: Request, error: Exception) -> Response:
        # Starlette raises it again afterwards: the server's log has the traceback.
        _log.error("%s: %s", _named(request), type(error).__name__)
        note_refused(self._audit, request, 500)
        text = "A defect of the page; its log tells more."
        response = self._trouble(500, "Something broke", text)
        # This answer goes past the middleware.
        response.headers.update(_HEADERS)
        return response


def _named(request: Request) -> str:
    """Names a request in the log: by its path, unless that may be any text."""
    ids = list(map(known_id, request.path_params.values()))
    return request.url.path if ids and all(ids) else METHOD


def _ran_s(job: JobInfo, now: Any) -> float | None:
    """How long a job ran, or has run so far."""
    if job.started_at is None:
        return None
    if job.status is JobStatus.PENDING:
        return None
    end = job.finish_time or now
    return max(float((end - job.started_at).total_seconds()), 0.0)


def _times(job: JobInfo) -> Any:
    timings = job.timings
    names = ("queued", "parsing", "simulating", "saving")
    return slices([(name, max(getattr(timings, f"{name}_s") or 0.0, 0.0)) for name in names])


def _shares(batch: BatchInfo) -> Any:
    order = ("finished", "failed", "canceled", "running", "pending")
    return slices([(name, getattr(batch, name)) for name in order], whole=batch.size)


def _occupied(load: Any) -> Any:
    return slices([("running", load.running)], whole=load.slots)


class _Headers:
    """Adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), text.encode()) for name, text in _HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Hosts:
    """Refuses what was sent to another name.

    Else a foreign web site could have its visitors' browsers read this page, by
    giving this machine's address for a name of its own (DNS rebinding). An
    address instead of a name is nobody else's.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], audit: Audit) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        host = _host_name(headers.get(b"host", b"").decode("latin-1"))
        if scope["type"] != "http" or "*" in self._hosts or self._is_own(host):
            await self._app(scope, receive, send)
            return
        note_refused(self._audit, Request(scope), 400, field="host")
        text = f"This page does not answer as {host!r}: see page.hosts in settings.toml.\n"
        await PlainTextResponse(text, 400)(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        return host in self._hosts or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
