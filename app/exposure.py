"""Who can reach an address, and whether the settings have thought of it."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from app.addresses import bracketed
from app.settings import Settings, SettingsError

# gRPC's names for sockets that only this machine has.
_LOCAL: Final = ("unix:", "unix-abstract:")
_NAMED: Final = ("dns:", "ipv4:", "ipv6:")


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address.

    Args:
        address: As gRPC takes it: HOST:PORT, [HOST]:PORT, unix:PATH and the like.
            A host's name is looked up; all that it means must be loopback.
    """
    if address.startswith(_LOCAL):
        return True
    scheme = next((each for each in _NAMED if address.startswith(each)), "")
    places = address.removeprefix(scheme).rpartition("/")[2].split(",")
    return all(map(_is_loopback_host, map(_host, places)))


def _host(place: str) -> str:
    if place.startswith("["):
        return place[1:].partition("]")[0]
    # A bare address of IPv6 has no port.
    return place if place.count(":") > 1 else place.partition(":")[0]


def _is_loopback_host(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else []
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_loopback_ip(str(each[4][0])) for each in found)


def _is_loopback_ip(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def check_exposure(settings: Settings) -> None:
    """Refuses to let others reach a server that knows nobody, or whose words all can read.

    Raises:
        SettingsError: The server would listen so, and no setting says that it may.
    """
    server = settings.server
    _check(settings, "server", server.address, server.published)


def check_page_exposure(settings: Settings) -> None:
    """The same for the page, where a token is the password.

    Raises:
        SettingsError: The page would listen so, and no setting says that it may.
    """
    host, port = settings.page.listens_on
    _check(settings, "page", f"{bracketed(host)}:{port}", settings.page.published)


def _check(settings: Settings, section: str, address: str, published: str) -> None:
    port = address.rpartition(":")[2]
    key = f"{section}.published" if published else f"{section}.address"
    address = f"{bracketed(published)}:{port}" if published else address
    if is_loopback(address):
        return
    server = settings.server
    wrong = []
    if settings.auth.mode == "none" and not server.allow_anonymous:
        wrong.append(
            "nobody would have to say who they are: set auth.mode to token"
            " (then: python -m app token create) or to certificate, or"
            " server.allow_anonymous = true"
        )
    if not settings.tls.is_on and not server.allow_unencrypted:
        wrong.append(
            "what is said could be read and changed on the way: set tls.certificate and"
            " tls.key, or server.allow_unencrypted = true"
        )
    if wrong:
        raise SettingsError(
            f"{key} is {address}, which other machines can reach:"
            f" {'. And '.join(wrong)}. An address that only this machine reaches, such as"
            f" 127.0.0.1:{port}, needs none of it"
        )
