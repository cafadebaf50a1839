"""The page's process: wires the parts together and serves until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from app.audit import LogAudit
from app.database import START_PATIENCE_S, open_store
from app.exposure import check_page_exposure
from app.known_tokens import KnownTokens
from app.logs import set_up_logging, tell_end
from app.ports import utc_now
from app.programs import Programs
from app.settings import Settings, SettingsError, TlsSettings, load_settings
from app.token_lookup import TokenLookup
from page.reading import Reader
from page.site import build_site
from qdispatch.errors import QDispatchError

_log = logging.getLogger(__name__)

# How long answers under way may take when the page is told to stop, in seconds.
_GRACE_S: Final = 3


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        SettingsError: The address cannot be listened on, or others would reach it, and
            no setting says that they may.
    """
    check_page_exposure(settings)
    context = _context(settings.tls)
    listener = _listen(*settings.page.listens_on)
    store = open_store(settings, patience_s=START_PATIENCE_S, read_only=True)
    reader = Reader(
        settings=settings, store=store, programs=Programs(settings.programs), clock=utc_now
    )
    tokens = KnownTokens(store=store, clock=utc_now, refresh_s=settings.auth.refresh_s)
    asks = settings.auth.mode != "none"
    site = build_site(
        reader,
        hosts=settings.page.hosts,
        lookup=TokenLookup(tokens) if asks else None,
        audit=LogAudit(),
    )
    server = make_server(site, context)
    if asks:
        tokens.start()
    _log.info("the page is on http%s://%s", "s" if context else "", settings.page.address)
    server.run(sockets=[listener])
    tokens.close()
    store.close()


def make_server(site: ASGIApp, context: ssl.SSLContext | None = None) -> uvicorn.Server:
    """A server that logs what goes wrong and nothing else.

    Args:
        site: What it serves.
        context: How it encrypts; None if it does not.
    """
    config = uvicorn.Config(
        site,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        # Where a request comes from is for the audit: not for the caller to say.
        proxy_headers=False,
        # Else a request for one goes past what notes the others.
        ws="none",
        lifespan="off",
        ssl_context_factory=None if context is None else lambda *_: context,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return uvicorn.Server(config)


def _context(tls: TlsSettings) -> ssl.SSLContext | None:
    if not tls.is_on:
        return None
    # Only here: what reads certificates is not small.
    from page.tls import PageCertificate

    return PageCertificate(tls).context()


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
        set_up_logging(settings.log_format, times=settings.log_times)
        serve(settings)
    except QDispatchError as error:
        tell_end(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
