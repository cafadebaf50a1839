"""Where clients find who listens: an address that means every one is none to connect to."""

from __future__ import annotations

from ipaddress import ip_address

from qdispatch.address import tcp_of


def bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def host_for_clients(host: str) -> str:
    """The host that a client on this machine connects to.

    Args:
        host: That somebody listens on; of 0.0.0.0 and ::, it is the loopback interface's.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def address_for_clients(address: str) -> str:
    """The address that a client on this machine connects to.

    Args:
        address: That somebody listens on, as gRPC takes it.
    """
    place = tcp_of(address)
    if place is None or (host := host_for_clients(place[0])) == place[0]:
        return address
    return f"{bracketed(host)}:{place[1]}"
