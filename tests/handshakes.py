"""Which versions of TLS a server speaks."""

import socket
import ssl
import warnings
from typing import Final

#: What is offered, and whether it may be taken.
VERSIONS: Final = (("TLSv1", False), ("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True))
_TIMEOUT_S: Final = 20


def is_spoken(version: str, port: int) -> bool:
    """Whether the server at a port of this machine takes an offer of one version alone.

    Args:
        version: As `ssl.TLSVersion` names it.
        port: Where it listens.
    """
    offer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    offer.check_hostname = False
    offer.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        # Python knows as well that some are old.
        warnings.simplefilter("ignore", DeprecationWarning)
        offer.minimum_version = offer.maximum_version = ssl.TLSVersion[version]
    # Or this side would not even offer them.
    offer.set_ciphers("ALL:@SECLEVEL=0")
    offer.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S) as plain,
            offer.wrap_socket(plain) as wrapped,
        ):
            return wrapped.version() == version.replace("_", ".")
    except (ssl.SSLError, ConnectionError):
        return False
