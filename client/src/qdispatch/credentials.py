"""Who calls, and how it is made sure that nobody listens: from arguments and the environment."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from qdispatch.address import is_loopback
from qdispatch.errors import ConfigurationError

TOKEN_VARIABLE: Final = "QDISPATCH_TOKEN"  # noqa: S105
TOKEN_FILE_VARIABLE: Final = "QDISPATCH_TOKEN_FILE"  # noqa: S105
TLS_VARIABLE: Final = "QDISPATCH_USE_TLS"
CA_FILE_VARIABLE: Final = "QDISPATCH_CA_FILE"
CERT_FILE_VARIABLE: Final = "QDISPATCH_CERT_FILE"
KEY_FILE_VARIABLE: Final = "QDISPATCH_KEY_FILE"

#: A path, as `Client` takes it.
File = str | os.PathLike[str] | None

_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("0", "false", "no", "off")
# gRPC tells the whole of what it cannot send, in its error.
_SENDABLE: Final = frozenset(string.ascii_letters + string.digits + string.punctuation)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a client shows of itself, and what it wants to see of the server."""

    token: str = field(default="", repr=False)
    """Sent with every call; empty for none."""
    tls: bool = False
    """Whether the connection is encrypted."""
    ca_file: Path | None = None
    """PEM, of the authorities that the server's certificate may come from; None for
    those that gRPC trusts."""
    cert_file: Path | None = None
    """PEM, the client's own certificate with its chain."""
    key_file: Path | None = None
    """PEM, the key of the client's certificate."""

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with every call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client's credentials are not pickled: they may hold a token")


def find(
    address: str,
    *,
    token: str | None = None,
    tls: bool | None = None,
    ca_file: File = None,
    cert_file: File = None,
    key_file: File = None,
    environment: Mapping[str, str] | None = None,
) -> Credentials:
    """The credentials as given, or else of the environment.

    Args:
        address: Where they are to be shown.
        token: As `Client` takes it, like all that follow.
        tls: Whether to encrypt.
        ca_file: Of the authorities.
        cert_file: Of the client's certificate.
        key_file: Of its key.
        environment: In place of that of the process.

    Raises:
        ConfigurationError: They do not fit together, a file is of no use, or a token
            would be sent for everybody to read.
    """
    known = os.environ if environment is None else environment
    ca, cert, key = (
        _path(given, name, known)
        for given, name in (
            (ca_file, CA_FILE_VARIABLE),
            (cert_file, CERT_FILE_VARIABLE),
            (key_file, KEY_FILE_VARIABLE),
        )
    )
    wanted = _switch(known) if tls is None else tls
    if tls is False and (ca_file or cert_file or key_file):
        raise ConfigurationError("tls=False, but there are certificates: leave one of them out")
    found = Credentials(
        token=_checked_token(_token(known) if token is None else token),
        tls=bool(ca or cert) if wanted is None else wanted,
        ca_file=ca,
        cert_file=cert,
        key_file=key,
    )
    if found.token and not found.tls and wanted is None and not is_loopback(address):
        raise ConfigurationError(
            f"the token would go to {address} unencrypted, for everybody on the way to read; "
            "encrypt with tls=True or ca_file=... (QDISPATCH_USE_TLS=1, QDISPATCH_CA_FILE), or say "
            "tls=False (QDISPATCH_USE_TLS=0) if nobody can listen there"
        )
    _check_files(found)
    return found


def _path(given: File, name: str, environment: Mapping[str, str]) -> Path | None:
    path = given or environment.get(name)
    return Path(path).expanduser() if path else None


def _switch(environment: Mapping[str, str]) -> bool | None:
    text = environment.get(TLS_VARIABLE, "").strip().lower()
    if text and text not in (*_YES, *_NO):
        raise ConfigurationError(f"{TLS_VARIABLE} is {text!r}; write 1 or 0")
    return text in _YES if text else None


def _token(environment: Mapping[str, str]) -> str:
    if token := environment.get(TOKEN_VARIABLE):
        return token
    file = environment.get(TOKEN_FILE_VARIABLE)
    return token_of_file(Path(file).expanduser()) if file else ""


def token_of_file(path: Path) -> str:
    """The token that a file holds, and nothing else.

    Raises:
        ConfigurationError: It cannot be read, or is empty.
    """
    try:
        token = path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"the token cannot be read: {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without the cause, which holds what was read.
        raise ConfigurationError(f"the token cannot be read: {path} is not text") from None
    if not token:
        raise ConfigurationError(f"there is no token in {path}: it is empty")
    return token


def _checked_token(given: str) -> str:
    token = given.strip()
    if not _SENDABLE.issuperset(token):
        raise ConfigurationError(
            "the token has a character that none has, such as a space or a line break; give it"
            " as `python -m app token create` wrote it"
        )
    return token


def _check_files(found: Credentials) -> None:
    """Tries the files: of what is wrong with them, gRPC tells on standard error only."""
    if found.key_file is not None and found.cert_file is None:
        raise ConfigurationError(f"{found.key_file} is a key without its certificate: cert_file")
    if not found.tls or not (found.ca_file or found.cert_file):
        return
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    path = found.ca_file
    try:
        if found.ca_file is not None:
            context.load_verify_locations(found.ca_file)
        if found.cert_file is not None:
            path = found.cert_file
            # The empty password keeps a key that has one from asking the terminal for it.
            context.load_cert_chain(found.cert_file, found.key_file, password="")
    except ssl.SSLError as error:
        if path == found.cert_file and _lacks_key(found):
            raise ConfigurationError(
                f"there is no key in {path}: give the file of its key, key_file=..."
                f" ({KEY_FILE_VARIABLE}, or --key-file of the command)"
            ) from error
        raise ConfigurationError(
            f"{path} is of no use for TLS ({error.reason or 'not PEM'}): certificates and keys"
            " are PEM, the key is that of the certificate, and has no password"
        ) from error
    except OSError as error:
        key = f" or {found.key_file}" if path == found.cert_file and found.key_file else ""
        raise ConfigurationError(f"{path}{key} cannot be read: {error.strerror}") from error


def _lacks_key(found: Credentials) -> bool:
    """Whether there is a certificate, and no key beside it or with it."""
    if found.cert_file is None or found.key_file is not None:
        return False
    text = found.cert_file.read_bytes()
    return b"-----BEGIN CERTIFICATE-----" in text and b"PRIVATE KEY-----" not in text
