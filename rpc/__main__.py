"""The server process: wires the parts together and serves until it is told to stop."""

from __future__ import annotations

import app.native_log  # noqa: F401 - before grpc

# isort: split
import logging
import signal
import sys
from collections.abc import Sequence
from threading import Event
from typing import Final
from uuid import UUID

import grpc

from app.database import START_PATIENCE_S, open_store
from app.exposure import check_exposure
from app.feeding import Backlogs, Feeder
from app.known_quotas import KnownQuotas
from app.known_tokens import KnownTokens
from app.logs import set_up_logging, tell_end
from app.outlooks import OutlookSource
from app.ports import utc_now
from app.programs import Programs
from app.quotas import Quotas
from app.service import JobService
from app.settings import Settings, TlsSettings, load_settings
from app.watching import Watchers
from qdispatch.errors import QDispatchError
from rpc.gate import make_gate
from rpc.server import Server
from tasks.celery import make_celery
from tasks.dispatch import BackgroundDispatcher
from tasks.listen import Listener

_log = logging.getLogger(__name__)

# How long a thread may work while others wait for it, in seconds.
_SWITCH_S: Final = 0.0005


def serve(settings: Settings, stop: Event) -> None:
    """Serves until ``stop`` is set."""
    # Who only passes an answer on is not to wait for 5 ms, Python's default, behind a
    # thread that works on another call.
    sys.setswitchinterval(_SWITCH_S)
    check_exposure(settings)
    credentials = _credentials(settings.tls)
    store = open_store(settings, patience_s=START_PATIENCE_S)
    dispatcher = BackgroundDispatcher(make_celery(settings, results=False))
    own = KnownQuotas(store=store, refresh_s=settings.auth.refresh_s)
    quotas = Quotas(settings=settings, store=store, clock=utc_now, own=own)
    backlogs = Backlogs(
        store=store,
        clock=utc_now,
        targets={name: each.concurrency for name, each in settings.targets.items()},
        resend_after_s=settings.jobs.resend_after_s,
        used_up=quotas.used_up,
    )
    feeder = Feeder(backlogs, dispatcher)
    watchers = Watchers(
        store=store,
        clock=utc_now,
        outlooks=OutlookSource(store),
        interval_s=settings.server.watch_interval_s,
    )

    def changed(job_ids: Sequence[UUID]) -> None:
        watchers.changed(job_ids)
        feeder.heard(job_ids)

    service = JobService(
        settings=settings,
        store=store,
        programs=Programs(settings.programs),
        dispatcher=feeder,
        clock=utc_now,
        changed=changed,
        quotas=quotas,
    )
    tokens = KnownTokens(store=store, clock=utc_now, refresh_s=settings.auth.refresh_s)
    server = Server(
        service,
        watchers,
        settings.server,
        gate=make_gate(settings.auth, tokens, utc_now),
        credentials=credentials,
    )
    listener = Listener(make_celery(settings, results=False), on_job=changed)
    dispatcher.start(on_sent=service.mark_sent)
    own.start()
    quotas.start()
    feeder.start()
    listener.start()
    if settings.auth.mode == "token":
        tokens.start()
    server.start()
    _log.info("serving on %s", settings.server.address)
    stop.wait()
    server.stop(settings.server.grace_s)
    tokens.close()
    quotas.close()
    own.close()
    listener.close()
    feeder.close()
    dispatcher.close(settings.server.grace_s)
    store.close()


def _credentials(tls: TlsSettings) -> grpc.ServerCredentials | None:
    if not tls.is_on:
        return None
    # Only here: what reads certificates is not small.
    from rpc.tls import ServerCertificates

    return ServerCertificates(tls).credentials()


def main() -> int:
    """Runs the server; returns the exit code."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        set_up_logging(settings.log_format, times=settings.log_times)
        serve(settings, stop)
    except QDispatchError as error:
        tell_end(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
