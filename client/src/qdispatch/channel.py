"""How a client connects; the same whether it blocks or awaits."""

from __future__ import annotations

import os
from typing import Any, Final

from qdispatch.errors import QDispatchError

#: Where a client connects to when it is not told.
ADDRESS_VARIABLE: Final = "QDISPATCH_ADDRESS"
DEFAULT_ADDRESS: Final = "127.0.0.1:50051"

_OPTIONS: Final = (
    # As soon as it is back, and not up to two minutes later.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
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
    """The address as given, of the environment, or else of this machine."""
    return address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS


def options(max_message_bytes: int) -> tuple[tuple[str, Any], ...]:
    """Options of the channel."""
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        *_OPTIONS,
    )


def closed() -> QDispatchError:
    """The error of a call after the end."""
    return QDispatchError("this client has been closed; make a new one")
