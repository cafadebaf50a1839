"""AMQP with TLS that knows whom it speaks to.

kombu's own checks no host's name unless it is told one, and then the same for each of
several brokers.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, pyamqp

from app.tls_urls import LinkTls

# Of py-amqp: the name that the broker's certificate must have.
_NAME: Final = "server_hostname"


def register() -> None:
    """Takes the scheme's place in kombu."""
    TRANSPORT_ALIASES["amqps"] = "tasks.amqps:Transport"


def options(tls: LinkTls) -> dict[str, Any]:
    """Celery's `broker_use_ssl`."""
    given: dict[str, Any] = {
        "cert_reqs": ssl.CERT_NONE if tls.verify == "none" else ssl.CERT_REQUIRED,
        "ca_certs": tls.cafile or None,
        "certfile": tls.certfile or None,
        "keyfile": tls.keyfile or None,
        "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
    }
    return given | ({_NAME: None} if tls.verify == "full" else {})


class Transport(pyamqp.SSLTransport):
    """What `amqps://` means."""

    def establish_connection(self) -> Any:
        """Connects to the broker, whose certificate must be of the host in its URL."""
        host = self.client.hostname
        if isinstance(self.client.ssl, dict) and _NAME in self.client.ssl:
            self.client.ssl = self.client.ssl | {_NAME: host or "localhost"}
        try:
            return super().establish_connection()
        finally:
            # It turns localhost into an address, which the next certificate has not.
            self.client.hostname = host
