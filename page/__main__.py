"""The page's process: wires the parts together and serves until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from app.database import START_PATIENCE_S, open_store
from app.logs import set_up_logging
from app.ports import utc_now
from app.programs import Programs
from app.settings import Settings, SettingsError, load_settings
from page.reading import Reader
from page.site import build_site
from qdispatch.errors import QDispatchError

_log = logging.getLogger(__name__)

# How long answers under way may take when the page is told to stop, in seconds.
_GRACE_S: Final = 3


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    listener = _listen(*settings.page.listens_on)
    store = open_store(settings, patience_s=START_PATIENCE_S, read_only=True)
    reader = Reader(
        settings=settings, store=store, programs=Programs(settings.programs), clock=utc_now
    )
    server = make_server(build_site(reader, hosts=settings.page.hosts))
    _log.info("the page is on http://%s", settings.page.address)
    server.run(sockets=[listener])
    store.close()


def make_server(site: ASGIApp) -> uvicorn.Server:
    """A server that logs what goes wrong and nothing else."""
    config = uvicorn.Config(
        site,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise SettingsError(
            f"the page cannot listen on {host}:{port} ({reason}); set page.address"
        ) from error


def main() -> int:
    """Runs the page; returns the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at these, and raises them again when it has.
        signal.signal(number, lambda *_: None)
    try:
        settings = load_settings()
        set_up_logging(times=settings.log_times)
        serve(settings)
    except QDispatchError as error:
        sys.stderr.write(f"qdispatch: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
