"""How callers are known: by a token, or by their certificate; see `rpc.edge.Gate`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, Final

from app.identity import Caller, is_owner
from app.known_tokens import KnownTokens
from app.ports import Clock
from app.settings import AuthSettings
from app.token_lookup import TokenLookup
from qdispatch.errors import AuthenticationError
from rpc.edge import OPEN, Context, Gate

#: Where a token comes, in the metadata of a call.
KEY: Final = "authorization"
_SCHEME: Final = "bearer"

_ONE: Final = "send one, as `authorization: Bearer TOKEN` in the metadata of the call"


def make_gate(settings: AuthSettings, tokens: KnownTokens, clock: Clock) -> Gate:
    """What tells who calls, as the settings say.

    Args:
        settings: How.
        tokens: Those that there are; read only if tokens tell it.
        clock: Tells the time.
    """
    if settings.mode == "token":
        return TokenGate(tokens)
    if settings.mode == "certificate":
        return CertificateGate(settings.admins, clock)
    return OPEN


class TokenGate:
    """Lets in who shows a valid token.

    Args:
        tokens: Those that there are.
    """

    def __init__(self, tokens: KnownTokens) -> None:
        self._lookup = TokenLookup(tokens)

    async def admit(self, context: Context) -> Caller:
        """Lets a call in.

        Raises:
            AuthenticationError: It has no token, or none that is valid.
            UnavailableError: That cannot be told for now.
        """
        text = bearer(context.invocation_metadata() or ())
        return await self._lookup.caller(text, context.peer())


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token in the metadata of a call.

    Raises:
        AuthenticationError: There is none, or more than one.
    """
    found = [value for key, value in metadata if key == KEY]
    if not found:
        raise AuthenticationError(f"this server asks for a token: {_ONE}")
    scheme, _, token = str(found[0]).strip().partition(" ")
    if len(found) > 1 or scheme.lower() != _SCHEME or not token:
        raise AuthenticationError(f"the metadata's `{KEY}` is no single bearer token: {_ONE}")
    return token.strip()


class CertificateGate:
    """Lets in who has a certificate, whose common name is the owner.

    That an authority of ours has signed it was seen to as the connection was made.

    Args:
        admins: Owners who see everybody's jobs.
        clock: Tells the time.
    """

    def __init__(self, admins: Collection[str], clock: Clock) -> None:
        self._admins = frozenset(admins)
        self._clock = clock

    async def admit(self, context: Context) -> Caller:
        """Lets a call in.

        Raises:
            AuthenticationError: The certificate names no owner, or has expired meanwhile.
        """
        known: dict[str, Any] = dict(context.auth_context())
        owner, ends = _subject(b"".join(known.get("x509_pem_cert", ())))
        if ends <= self._clock().timestamp():
            raise AuthenticationError("the client's certificate has expired: renew it")
        return Caller(owner=owner, is_admin=owner in self._admins, peer=context.peer())


@lru_cache(maxsize=1024)
def _subject(pem: bytes) -> tuple[str, float]:
    """Whom a certificate is of, and when it ends, in seconds since the epoch."""
    if not pem:
        raise AuthenticationError("this server asks for a client's certificate")
    # Only here: a server without certificates does not import it.
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        ends = certificate.not_valid_after_utc.timestamp()
    except (ValueError, TypeError, OverflowError, x509.InvalidVersion) as error:
        raise AuthenticationError(f"the client's certificate cannot be read: {error}") from error
    name = str(names[0].value) if len(names) == 1 else ""
    if not is_owner(name):
        raise AuthenticationError(
            "the client's certificate names no owner: it needs one common name, of 1 to 64"
            " characters, which are letters of ASCII, digits, and . _ @ -"
        )
    return name, ends
