"""How a client connects; the same whether it blocks or awaits."""

from __future__ import annotations

import os
from typing import Any, Final

import grpc

from qdispatch.address import checked, is_loopback
from qdispatch.credentials import Credentials
from qdispatch.errors import QDispatchError

#: Where a client connects to when it is not told.
ADDRESS_VARIABLE: Final = "QDISPATCH_ADDRESS"
DEFAULT_ADDRESS: Final = "127.0.0.1:50051"

_OPTIONS: Final = (
    # As soon as it is back, and not up to two minutes later.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # It closes a connection that has had no call for long, before servers do it.
    ("grpc.client_idle_timeout_ms", 120_000),
    # A server that is frozen, or cut off in silence, is given up in between.
    ("grpc.keepalive_time_ms", 10_000),
    # Recent versions of gRPC go by the second name.
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Also one that has had nothing to say to a watcher for long.
    ("grpc.http2.max_pings_without_data", 0),
)

# Of gRPC's health protocol. An empty request asks for the server as a whole;
# the answer is field 1, status, with 1 for SERVING. So little needs no
# generated code.
HEALTH_METHOD: Final = "/grpc.health.v1.Health/Check"
HEALTH_REQUEST: Final = b""
SERVING: Final = b"\x08\x01"


def address_or_default(address: str | None) -> str:
    """The address as given, of the environment, or else of this machine.

    Raises:
        ConfigurationError: It has no port, or is none.
    """
    return checked(address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS)


def channel_credentials(credentials: Credentials) -> grpc.ChannelCredentials | None:
    """What gRPC encrypts with; None if it is not to."""
    if not credentials.tls:
        return None
    ca, cert, key = (
        None if path is None else path.read_bytes()
        for path in (credentials.ca_file, credentials.cert_file, credentials.key_file)
    )
    # One file may hold both.
    return grpc.ssl_channel_credentials(ca, (key or cert) if cert else None, cert)


def options(address: str, max_message_bytes: int) -> tuple[tuple[str, Any], ...]:
    """Options of the channel."""
    # What is sent to this machine, perhaps a token, is to stay on it; a proxy that
    # the environment names would get all of it, and call its own machine.
    direct = (("grpc.enable_http_proxy", 0),) if is_loopback(address) else ()
    return (
        *direct,
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        *_OPTIONS,
    )


def closed() -> QDispatchError:
    """The error of a call after the end."""
    return QDispatchError("this client has been closed; make a new one")
