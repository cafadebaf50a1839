"""Addresses of servers, as they are written."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

from qdispatch.errors import ConfigurationError

# Of gRPC's names; what else has a colon is a host with its port.
_SCHEME: Final = re.compile(r"(?P<scheme>dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):(?!\d+$)")
_HOST_AND_PORT: Final = re.compile(
    r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<host>[^\[\]:/\s]+)):(?P<port>\d{1,5})"
)


def checked(address: str) -> str:
    """An address that has all its parts.

    Raises:
        ConfigurationError: It has no port, or is none.
    """
    if _SCHEME.match(address) or tcp_of(address) is not None:
        return address
    # Without a port, gRPC would take that of HTTPS, and try until the time is over.
    raise ConfigurationError(
        f"the address {address!r} is not HOST:PORT; write one such as localhost:50051, or"
        " [::1]:50051"
    )


def tcp_of(address: str) -> tuple[str, int] | None:
    """Host and port; None of what is reached in another way, or is no address."""
    match = _HOST_AND_PORT.fullmatch(re.sub(r"^(dns:(///)?|ipv4:|ipv6:)(?!\d+$)", "", address))
    if match is None or not 0 < int(match["port"]) < 65536:
        return None
    return match["bracketed"] or match["host"], int(match["port"])


def is_loopback(address: str) -> bool:
    """Whether what is sent there does not leave this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host, _ = tcp_of(address) or ("", 0)
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
