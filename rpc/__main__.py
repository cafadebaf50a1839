"""The server process: wires the parts together and serves until it is told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from threading import Event
from typing import Final

from app.database import START_PATIENCE_S, open_store
from app.logs import set_up_logging
from app.outlooks import OutlookSource
from app.ports import utc_now
from app.programs import Programs
from app.service import JobService
from app.settings import Settings, load_settings
from app.watching import Watchers
from qdispatch.errors import QDispatchError
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
    store = open_store(settings, patience_s=START_PATIENCE_S)
    dispatcher = BackgroundDispatcher(make_celery(settings, results=False))
    watchers = Watchers(
        store=store,
        clock=utc_now,
        outlooks=OutlookSource(store),
        interval_s=settings.server.watch_interval_s,
    )
    service = JobService(
        settings=settings,
        store=store,
        programs=Programs(settings.programs),
        dispatcher=dispatcher,
        clock=utc_now,
        changed=watchers.changed,
    )
    server = Server(service, watchers, settings.server)
    listener = Listener(make_celery(settings, results=False), on_job=watchers.changed)
    dispatcher.start(on_sent=service.mark_sent)
    listener.start()
    server.start()
    _log.info("serving on %s", settings.server.address)
    stop.wait()
    server.stop(settings.server.grace_s)
    listener.close()
    dispatcher.close(settings.server.grace_s)
    store.close()


def main() -> int:
    """Runs the server; returns the exit code."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = load_settings()
        set_up_logging(times=settings.log_times)
        serve(settings, stop)
    except QDispatchError as error:
        sys.stderr.write(f"qdispatch: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
