"""Encryption of the links to broker and result backend, as their URLs say it.

    amqps://USER:PASSWORD@HOST:5671/VHOST?cafile=/etc/qdispatch/ca.pem
    rediss://:PASSWORD@HOST:6379/0?ssl_ca_certs=/etc/qdispatch/ca.pem

The other side is verified, by its host's name too, unless the URL says otherwise. Who
connects would ignore what is misspelt, and know other schemes, whose encryption this
does not: here that is refused. No text has the password.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

Verify: TypeAlias = Literal["full", "ca", "none"]

_BROKERS: Final = ("amqp", "amqps")
_BACKENDS: Final = ("redis", "rediss", "sentinel", "redis+socket")
_BROKER: Final = {"cafile": "cafile", "certfile": "certfile", "keyfile": "keyfile"}
_REDIS: Final = {
    "ssl_ca_certs": "cafile",
    "ssl_certfile": "certfile",
    "ssl_keyfile": "keyfile",
}
_VERIFY: Final[Mapping[str, Verify]] = {"full": "full", "ca": "ca", "none": "none"}


@dataclass(frozen=True, kw_only=True)
class LinkTls:
    """How one side of an encrypted link knows the other, and is known by it."""

    verify: Verify = "full"
    """By authority and name, by authority only, or not at all."""
    cafile: str = ""
    """The authorities that are trusted; empty for the system's."""
    certfile: str = ""
    """What this side is known by; empty for nothing."""
    keyfile: str = ""

    def check_files(self) -> None:
        """Reads the files, which whoever connects would do much later.

        Raises:
            ValueError: One is missing, or not what it should be; the text says which.
        """
        # Only here: engines read settings as well, and have no use for it.
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.cafile:
            _read(self.cafile)
            try:
                context.load_verify_locations(self.cafile)
            except ssl.SSLError as error:
                raise ValueError(f"{self.cafile} has no certificate in PEM") from error
        if self.certfile:
            _read(self.certfile)
            _read(self.keyfile)
            try:
                # Without a password: nobody is there to be asked for one.
                context.load_cert_chain(self.certfile, self.keyfile, password="")
            except ssl.SSLError as error:
                raise ValueError(
                    f"{self.certfile} and {self.keyfile} are no certificate and its key, in PEM"
                    " and without a password"
                ) from error


def _read(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def broker_link(url: str) -> tuple[str, LinkTls | None]:
    """What Celery is to be told about a broker.

    Args:
        url: One URL, or several with semicolons between them.

    Returns:
        The same without what is said of encryption, and that; None for a plain link.

    Raises:
        ValueError: It says what it cannot.
    """
    if not url:
        return url, None
    each = [_broker_link(one) for one in url.split(";")]
    if len({tls for _, tls in each}) > 1:
        raise ValueError("all of its URLs must say the same about encryption")
    return ";".join(one for one, _ in each), each[0][1]


def _broker_link(url: str) -> tuple[str, LinkTls | None]:
    scheme, bare, query = _parts(url, _BROKERS)
    if scheme == "amqp":
        _refuse(query, (), "an amqp:// URL has none; an encrypted link is amqps://")
        return bare, None
    known = {**_BROKER, "verify": "verify"}
    _refuse(query, known, f"those of an amqps:// URL are {', '.join(known)}")
    word = query.pop("verify", "full")
    if word not in _VERIFY:
        raise ValueError(f"verify is {', '.join(_VERIFY)}, not {word[:20]!r}")
    return bare, _link(query, _BROKER, _VERIFY[word])


def redis_link(url: str) -> tuple[str, LinkTls | None]:
    """What Celery is to be told about a result backend.

    Returns:
        The URL without what is said of encryption, and that; None for a plain link.

    Raises:
        ValueError: It says what it cannot.
    """
    if not url:
        return url, None
    scheme, bare, query = _parts(url, _BACKENDS)
    if scheme != "rediss":
        encrypting = {key: value for key, value in query.items() if key.startswith("ssl")}
        _refuse(encrypting, (), f"a {scheme}:// URL has none; an encrypted link is rediss://")
        return f"{bare}?{url.partition('?')[2]}" if query else bare, None
    known = (*_REDIS, "ssl_cert_reqs", "ssl_check_hostname")
    _refuse(query, known, f"those of a rediss:// URL are {', '.join(known)}")
    required = query.pop("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    named = query.pop("ssl_check_hostname", "true").lower()
    if required not in {"required", "none"} or named not in {"true", "false"}:
        raise ValueError("ssl_cert_reqs is required or none, ssl_check_hostname true or false")
    # Without the authority, a name proves nothing.
    verify: Verify = "none" if required == "none" else "full" if named == "true" else "ca"
    return bare, _link(query, _REDIS, verify)


def _parts(url: str, known: Collection[str]) -> tuple[str, str, dict[str, str]]:
    """The scheme, in lower case as Celery needs it; the URL without its query; that."""
    parts = urlsplit(url)
    rest = url.partition("://")[2].partition("?")[0]
    if parts.scheme not in known or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError(f"has to begin with {' or '.join(f'{each}://' for each in known)}")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        raise ValueError("a key of its query is there twice")
    return parts.scheme, f"{parts.scheme}://{rest}", query


def _refuse(query: Mapping[str, str], known: Collection[str], hint: str) -> None:
    unknown = [key for key in query if key not in known]
    if unknown:
        raise ValueError(f"unknown key {unknown[0][:40]!r} in its query: {hint}")


def _link(query: Mapping[str, str], names: Mapping[str, str], verify: Verify) -> LinkTls:
    for key, path in query.items():
        if not Path(path).is_absolute():
            raise ValueError(f"{key} has to be a whole path, such as /etc/qdispatch/{key}.pem")
    given = {names[key]: path for key, path in query.items()}
    if ("certfile" in given) != ("keyfile" in given):
        raise ValueError("a certificate and its key need each other")
    return LinkTls(verify=verify, **given)
