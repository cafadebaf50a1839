"""Tokens: what they look like, what is kept of them, and whose the one is that somebody shows.

A token is `qd_ID_SECRET`. The id is public, and names the row in the database. The
secret is 32 random bytes; of it, a salted hash is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from app.identity import Caller, check_owner
from app.store_tokens import StoredToken
from qdispatch.errors import AuthenticationError

_FORM: Final = re.compile(r"qd_([A-Z2-7]{10})_([A-Za-z0-9_-]{43})")
_ID: Final = re.compile(r"[A-Z2-7]{10}")

# Of a whole token.
_CHARS: Final = 57
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16
# Another use of the same secret would have another hash.
_PURPOSE: Final = b"qdispatch token"

_ASK: Final = "ask who runs the server for a new one (python -m app token create)"


class UnknownTokenError(AuthenticationError):
    """No token is known by that id, so far."""


def make_token(
    *, owner: str, is_admin: bool, now: datetime, expires_at: datetime | None = None
) -> tuple[str, StoredToken]:
    """A new token.

    Args:
        owner: Whose jobs are submitted with it.
        is_admin: Whether it sees everybody's jobs.
        now: The time.
        expires_at: When it ends; None for never.

    Returns:
        The token itself, which is kept nowhere, and what is kept.

    Raises:
        RequestError: That is no name of an owner.
    """
    check_owner(owner)
    token_id = b32encode(secrets.token_bytes(7)).decode()[:10]
    secret = urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=")
    salt = secrets.token_bytes(_SALT_BYTES)
    stored = StoredToken(
        id=token_id,
        owner=owner,
        is_admin=is_admin,
        salt=salt,
        digest=_digest(secret, salt),
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
    )
    return f"qd_{token_id}_{secret}", stored


def token_id(text: str) -> str | None:
    """The id that a text is, or that the token has which it is; None if it is neither."""
    whole = _FORM.fullmatch(text)
    if whole is not None:
        return whole[1]
    return text if _ID.fullmatch(text) else None


def caller_of(
    text: str, tokens: Mapping[str, StoredToken], *, now: datetime, peer: str = ""
) -> Caller:
    """Who shows a token.

    Args:
        text: The token, or what is said to be one.
        tokens: All that there are, by their ids.
        now: The time.
        peer: Where they call from.

    Raises:
        UnknownTokenError: None of them has its id.
        AuthenticationError: It is none, or not valid; no text of an error has it.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise AuthenticationError(f"the token is malformed: {_flaw(text)}")
    token = tokens.get(form[1])
    if token is None:
        raise UnknownTokenError(_unknown())
    if not hmac.compare_digest(_digest(form[2], token.salt), token.digest):
        # In the words for an id that does not exist: who only tries learns nothing.
        raise AuthenticationError(_unknown())
    if token.revoked_at is not None:
        raise AuthenticationError(f"token {token.id} was revoked: {_ASK}")
    if token.expires_at is not None and token.expires_at <= now:
        moment = f"{token.expires_at:%Y-%m-%d %H:%M} UTC"
        raise AuthenticationError(f"token {token.id} expired at {moment}: {_ASK}")
    return Caller(owner=token.owner, is_admin=token.is_admin, token_id=token.id, peer=peer)


def _flaw(text: str) -> str:
    """What is wrong with the form of a token; of the token itself it has nothing."""
    if text.startswith("qd_") and len(text) == _CHARS:
        return (
            "it has the length of one, but is none that was made here: see that it was not"
            f" mistyped, or {_ASK}"
        )
    return f"it begins with qd_ and has {_CHARS} characters; see that it was copied as a whole"


def _unknown() -> str:
    return f"no such token is known here: see that it is of this server, or {_ASK}"


def _digest(secret: str, salt: bytes) -> bytes:
    # A slow hash is for words that people choose; nobody tries 2^256 secrets.
    return hashlib.blake2b(
        secret.encode(), salt=salt, person=_PURPOSE, digest_size=_SECRET_BYTES
    ).digest()
