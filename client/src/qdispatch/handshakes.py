"""Why a connection is not made, where encryption or a certificate is the reason."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from typing import Final

import grpc

from qdispatch.address import tcp_of
from qdispatch.credentials import Credentials
from qdispatch.errors import HandshakeError

#: How long the server is looked at, in seconds.
_LOOK_S: Final = 2.0

_NO_TLS: Final = (
    "the server there does not encrypt, but this client does: leave tls, ca_file and cert_file"
    " out (QDISPATCH_USE_TLS=0), or have the server encrypt ([tls] in its settings)"
)
_TLS: Final = (
    "the server there encrypts, but this client does not: give tls=True, and ca_file=... unless"
    " its certificate is of a public authority (QDISPATCH_USE_TLS=1, QDISPATCH_CA_FILE)"
)
_WRONG_NAME: Final = (
    "the server's certificate is not made out to this host: use a name that is in it, or have"
    " it made out to this one as well"
)
# gRPC's words for it.
_NAME_TEXTS: Final = (
    "Hostname Verification",
    "not in peer certificate",
    "does not match SSL server name",
)
_WANTS_CERTIFICATE: Final = (
    "the server hangs up, most likely because it wants a certificate of the client: give"
    " cert_file=... and key_file=... (QDISPATCH_CERT_FILE, QDISPATCH_KEY_FILE)"
)
_REFUSES_CERTIFICATE: Final = (
    "the server hangs up, most likely because it does not accept the client's certificate: that"
    " has to be of an authority that the server trusts (client_ca in its settings), and not expired"
)


def told(error: grpc.RpcError, address: str, credentials: Credentials) -> HandshakeError | None:
    """The error that stands for one of gRPC's that says by itself what is wrong."""
    # By its words: a name that does not fit is UNAVAILABLE or UNAUTHENTICATED, as the
    # certificate is made.
    text = error.details() or ""
    if not credentials.tls:
        return None
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return _error(address, _unverified(text, credentials))
    if "WRONG_VERSION_NUMBER" in text:
        return _error(address, _NO_TLS)
    if any(each in text for each in _NAME_TEXTS):
        return _error(address, _WRONG_NAME)
    return None


def is_unexplained(error: grpc.RpcError) -> bool:
    """Whether somebody is there who has hung up: perhaps the connection was not to their taste."""
    text = error.details() or ""
    return (
        error.code() is grpc.StatusCode.UNAVAILABLE
        and "failed to connect" in text
        and re.search(r"Socket closed|Connection reset|SETTINGS frame", text) is not None
    )


def look(address: str, credentials: Credentials) -> Callable[[], HandshakeError | None]:
    """What looks for the reason by a connection of its own; it blocks."""

    def reason() -> HandshakeError | None:
        place = tcp_of(address)
        text = "" if place is None else _seen(place, credentials)
        return _error(address, text) if text else None

    return reason


def _seen(place: tuple[str, int], credentials: Credentials) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent that anybody may not read, and nothing is believed.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    encrypts = goes_on = False
    try:
        if credentials.tls and credentials.cert_file is not None:
            context.load_cert_chain(credentials.cert_file, credentials.key_file, password="")
        with (
            socket.create_connection(place, timeout=_LOOK_S) as plain,
            context.wrap_socket(plain, server_hostname=place[0]) as encrypted,
        ):
            encrypts = True
            # A server of HTTP/2 speaks first, unless it hangs up.
            goes_on = bool(encrypted.recv(1))
    except TimeoutError:
        goes_on = True
    except ssl.SSLError as error:
        # Not everybody tells before they hang up; who does, encrypts.
        encrypts |= "ALERT" in (error.reason or "")
    except OSError:
        pass
    if not encrypts or (credentials.tls and goes_on):
        return ""
    return _of_certificate(credentials) if credentials.tls else _TLS


def _of_certificate(credentials: Credentials) -> str:
    return _WANTS_CERTIFICATE if credentials.cert_file is None else _REFUSES_CERTIFICATE


def _unverified(text: str, credentials: Credentials) -> str:
    found = re.search(r"CERTIFICATE_VERIFY_FAILED: ([\w ]+)", text)
    why = f" ({found[1].strip()})" if found else ""
    if "expired" in text:
        return f"the server's certificate has expired{why}: it needs a new one"
    if credentials.ca_file is None:
        return (
            f"the server's certificate is of no authority that is trusted here{why}: give that of"
            " its authority, ca_file=... (QDISPATCH_CA_FILE)"
        )
    return (
        f"the server's certificate is of no authority in {credentials.ca_file}{why}: give the"
        " file of its authority, ca_file=... (QDISPATCH_CA_FILE); or it is not this server"
    )


def _error(address: str, text: str) -> HandshakeError:
    return HandshakeError(f"no connection to {address}: {text}")
