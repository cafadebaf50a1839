"""Whether the server and the page of these settings answer: for health checks, and for `up`.

They are no callers: they need no token, and of a server with TLS they trust the
certificate that its own settings name, and so of the page.
"""

from __future__ import annotations

import ssl
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from app.addresses import address_for_clients, bracketed, host_for_clients
from app.settings import Settings, SettingsError, TlsSettings
from qdispatch.serving import Trust, is_serving


def server_address(settings: Settings) -> str:
    """The address of the server, for a client on its own machine."""
    return address_for_clients(settings.server.address)


def answers(settings: Settings, address: str, *, timeout_s: float) -> bool:
    """Whether the server is serving.

    Args:
        settings: Of the server.
        address: Where to ask.
        timeout_s: How long it may take, in seconds.

    Raises:
        SettingsError: A file of [tls] cannot be read, or is missing for this.
    """
    return is_serving(
        address,
        timeout_s=timeout_s,
        trust=trust_of(settings.tls),
        has_health=settings.server.health,
    )


def page_url(settings: Settings) -> str:
    """The address of the page, for a browser on its own machine."""
    host, port = _page(settings)
    scheme = "https" if settings.tls.is_on else "http"
    return f"{scheme}://{bracketed(host)}:{port}"


def page_answers(settings: Settings, *, timeout_s: float) -> bool:
    """Whether the page is serving.

    Args:
        settings: Of the page.
        timeout_s: How long it may take, in seconds.

    Raises:
        SettingsError: A file of [tls] cannot be read.
    """
    host, port = _page(settings)
    connection: HTTPConnection = HTTPConnection(host, port, timeout=timeout_s)
    if settings.tls.is_on:
        connection = HTTPSConnection(
            host, port, timeout=timeout_s, context=_trusting(settings.tls.certificate)
        )
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _page(settings: Settings) -> tuple[str, int]:
    host, port = settings.page.listens_on
    return host_for_clients(host), port


def _trusting(certificate: str) -> ssl.SSLContext:
    """Believes who has this very certificate, by whatever address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=_read(certificate, "certificate").decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise SettingsError(f"tls.certificate: {certificate} is no certificate in PEM") from error
    return context


def trust_of(tls: TlsSettings) -> Trust | None:
    """How the server is known by its own settings; None if it has no TLS.

    Raises:
        SettingsError: A file cannot be read, is wrong, or is missing for this.
    """
    if not tls.is_on:
        return None
    if tls.client_ca and not tls.check_certificate:
        raise SettingsError(
            "tls.client_ca has the server ask every client for a certificate, this check too:"
            " set tls.check_certificate and tls.check_key"
        )
    # Only here: most installations have no TLS of their own, and this is not small.
    from app.certificates import name_in

    roots = _read(tls.certificate, "certificate")
    return Trust(
        roots=roots,
        name=name_in(tls.certificate),
        certificate=_read(tls.check_certificate, "check_certificate") or None,
        key=_read(tls.check_key, "check_key") or None,
    )


def _read(path: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise SettingsError(f"tls.{name}: cannot read {path}: {error.strerror}") from error
