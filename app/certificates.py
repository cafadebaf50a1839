"""The files of [tls]: checked as they are read, and read again when they change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final, Generic, TypeAlias, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from app.ports import utc_now
from app.settings import SettingsError, TlsSettings

_log = logging.getLogger(__name__)

# What tells that a file is another, or may be read by others: when it was changed, when
# anything about it was, how long it is, which it is.
_State: TypeAlias = tuple[tuple[int, int, int, int] | None, ...]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Pems:
    """What a server is known by, and knows its clients by; all in PEM."""

    chain: bytes
    key: bytes
    client_ca: bytes | None
    ends: datetime
    """When the first certificate of the chain expires."""
    client_ca_ends: datetime | None
    """When the first of the authorities does."""


class Renewing(Generic[_T]):
    """What was made of the files, and is made anew once they have changed.

    A certificate that has expired is taken, with a warning, unless there is one that
    has not: with neither of them any client connects, and the clock may be wrong.

    Args:
        settings: Where they are.
        make: Makes it of what was read, or raises SettingsError.
        part: Who goes on with what it has if they are wrong, such as "the server".

    Raises:
        SettingsError: They are wrong now.
    """

    def __init__(self, settings: TlsSettings, make: Callable[[Pems], _T], part: str) -> None:
        self._settings = settings
        self._files = [
            Path(each) for each in (settings.certificate, settings.key, settings.client_ca) if each
        ]
        self._make = make
        self._part = part
        self._lock = Lock()
        # Before the files are read: they may change meanwhile.
        self._good = self._state()
        self._told: _State | None = None
        pems = read_pems(settings)
        self.first: Final = make(pems)
        self._accept(pems)

    def renewed(self) -> _T | None:
        """What is new since this was last asked, or made; None if nothing is.

        Any thread may ask. Files that are wrong are tried again at the next call, since
        what was wrong need not be seen in them; that they are is logged once.
        """
        with self._lock:
            state = self._state()
            if state == self._good:
                return None
            try:
                pems = read_pems(self._settings)
                self._check_no_loss(pems)
                made = self._make(pems)
            except SettingsError as error:
                if state != self._told:
                    _log.error("%s; %s goes on with the certificate that it has", error, self._part)
                self._told = state
                return None
            self._good, self._told = state, None
            _log.info("the certificate was read anew: %s", self._files[0])
            self._accept(pems)
        return made

    def _check_no_loss(self, pems: Pems) -> None:
        if pems.ends <= utc_now() < self._ends:
            raise SettingsError(_expired("tls.certificate", self._settings.certificate, pems.ends))

    def _accept(self, pems: Pems) -> None:
        self._ends = pems.ends
        tls = self._settings
        for name, path, ends in (
            ("tls.certificate", tls.certificate, pems.ends),
            ("tls.client_ca", tls.client_ca, pems.client_ca_ends),
        ):
            if ends is not None and ends <= utc_now():
                _log.warning("%s", _expired(name, path, ends))

    def _state(self) -> _State:
        return tuple(map(_stamp, self._files))


def read_pems(settings: TlsSettings) -> Pems:
    """Reads the files.

    Raises:
        SettingsError: One is missing or wrong, or the certificate names no host.
    """
    name_in(settings.certificate)
    check_pair(settings.certificate, settings.key, "tls")
    authorities = settings.client_ca or None
    return Pems(
        chain=_read(settings.certificate, "tls.certificate"),
        key=_read(settings.key, "tls.key"),
        client_ca=authorities and _read(authorities, "tls.client_ca"),
        ends=_ends(settings.certificate, "tls.certificate"),
        client_ca_ends=authorities and _ends(authorities, "tls.client_ca"),
    )


def name_in(path: str) -> str:
    """A host that the server's certificate is made out to, the first that it names.

    Args:
        path: The file.

    Raises:
        SettingsError: It cannot be read, has no certificate, or that names no host:
            clients look nowhere else than in its subjectAltName.
    """
    first = read_certificates(path, "tls.certificate")[0]
    try:
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        hosts = []
    except ValueError as error:
        raise SettingsError(f"tls.certificate: {path} cannot be read: {error}") from error
    else:
        hosts = [
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ]
    if not hosts:
        raise SettingsError(
            f"tls.certificate: {path} has no name of a server (subjectAltName), so that no"
            " client would trust it: have one made with the names and addresses that clients"
            " connect to"
        )
    # Any host that a wildcard is for.
    return hosts[0].replace("*", "any", 1)


def read_certificates(path: str, name: str) -> Sequence[x509.Certificate]:
    """The certificates in a file, one or more.

    Args:
        path: The file.
        name: Of the setting, such as "tls.certificate".

    Raises:
        SettingsError: It cannot be read, or has none.
    """
    try:
        return x509.load_pem_x509_certificates(_read(path, name))
    except ValueError as error:
        raise SettingsError(f"{name}: {path} is no certificate in PEM") from error


def check_pair(certificate: str, key: str, section: str) -> None:
    """Checks that a key is that of the first certificate in a file.

    Args:
        certificate: The file with the certificate.
        key: The file with the key.
        section: Of the settings, such as "tls".

    Raises:
        SettingsError: It is not, or one of them is missing or wrong.
    """
    public = read_certificates(certificate, f"{section}.certificate")[0].public_key()
    try:
        private = load_pem_private_key(_read(key, f"{section}.key"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"{section}.key: {key} is no private key in PEM, or is one with a password"
        ) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != public.public_bytes(*form):
        raise SettingsError(
            f"{section}.key: {key} is not the key of the first certificate in {certificate}"
        )


def _stamp(file: Path) -> tuple[int, int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    # Modes and owners are changed at the second of these moments.
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def _read(path: str, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {path}: {error.strerror}") from error


def _ends(path: str, name: str) -> datetime:
    return min(each.not_valid_after_utc for each in read_certificates(path, name))


def _expired(name: str, path: str, ends: datetime) -> str:
    return f"{name}: {path} has expired, at {ends:%Y-%m-%d %H:%M} UTC"
