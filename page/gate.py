"""Who looks at the page: by a token, as the password of HTTP's Basic authentication."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.audit import Audit, RefusedCall, code_of_http, peer_name
from app.identity import EVERYBODY, Caller
from app.token_lookup import TokenLookup
from qdispatch.errors import AuthenticationError, QDispatchError, UnavailableError

#: In place of a method of the server's, in the audit.
METHOD: Final = "page"

#: What everybody may ask for: a supervisor has no token.
OPEN: Final = "/health"
_CHALLENGE: Final = {"www-authenticate": 'Basic realm="qdispatch", charset="UTF-8"'}


class Gate:
    """Lets requests in, and notes whose they are.

    Args:
        app: What it lets them in to.
        lookup: Knows the tokens; None if nobody has to say who they are.
        audit: Told of those that are refused.
    """

    def __init__(self, app: ASGIApp, lookup: TokenLookup | None, audit: Audit) -> None:
        self._app = app
        self._lookup = lookup
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets it in."""
        if scope["type"] != "http" or scope["path"] == OPEN:
            await self._app(scope, receive, send)
            return
        try:
            scope["caller"] = await self._caller(Request(scope))
        except AuthenticationError as error:
            await self._refuse(scope, receive, send, 401, error)
        except UnavailableError as error:
            await self._refuse(scope, receive, send, 503, error)
        else:
            await self._app(scope, receive, send)

    async def _caller(self, request: Request) -> Caller:
        if self._lookup is None:
            return EVERYBODY
        return await self._lookup.caller(_password(request), peer_of(request))

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, code: int, error: QDispatchError
    ) -> None:
        note_refused(self._audit, Request(scope), code)
        headers = _CHALLENGE if code == 401 else {"retry-after": "3"}
        await PlainTextResponse(f"{error}\n", code, headers)(scope, receive, send)


def note_refused(audit: Audit, request: Request, status: int, *, field: str = "") -> None:
    """Tells the audit of a request that is not answered with what it asked for.

    Args:
        audit: What is told.
        request: The request; it may not have been let in.
        status: What it is answered with, such as 404.
        field: The part of it that is to blame; empty for none.
    """
    call = RefusedCall(
        method=METHOD,
        code=code_of_http(status),
        field=field,
        wanted=next(iter(request.path_params.values()), ""),
    )
    audit.refused(request.scope.get("caller"), peer_of(request), call)


def caller_of(request: Request) -> Caller:
    """Who has sent a request that was let in."""
    caller: Caller = request.scope["caller"]
    return caller


def peer_of(request: Request) -> str:
    """Where a request came from, as gRPC would write it."""
    if request.client is None:
        return ""
    return peer_name(*request.client)


def _password(request: Request) -> str:
    given = request.headers.getlist("authorization")
    scheme, _, encoded = (given[0] if len(given) == 1 else "").partition(" ")
    if scheme.lower() != "basic":
        raise AuthenticationError("this page asks for a token: as the password, with any name")
    try:
        return b64decode(encoded.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise AuthenticationError("the name and the password cannot be read") from error
