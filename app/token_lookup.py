"""Who shows a token, for an edge that serves many callers by one thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from app.identity import Caller
from app.known_tokens import KnownTokens
from app.tokens import UnknownTokenError
from qdispatch.errors import UnavailableError

#: Calls with tokens that are not known, which wait for a reading, at the most: strangers
#: are not to fill the memory by waiting.
MOST_LOOKUPS: Final = 1000


class TokenLookup:
    """Looks tokens up; one that was made a moment ago is waited for.

    Args:
        tokens: Those that there are.
    """

    def __init__(self, tokens: KnownTokens) -> None:
        self._tokens = tokens
        self._lookups = 0

    async def caller(self, text: str, peer: str) -> Caller:
        """Who shows a token.

        Args:
            text: The token, or what is said to be one.
            peer: Where they call from.

        Raises:
            AuthenticationError: It is none that is valid.
            UnavailableError: That cannot be told for now.
        """
        try:
            return self._tokens.caller(text, peer)
        except UnknownTokenError:
            # It may have been made since.
            await self._renewed()
        try:
            return self._tokens.caller(text, peer)
        except UnknownTokenError:
            if self._tokens.are_fresh:
                raise
        raise UnavailableError("the tokens cannot be read for now; try again")

    async def _renewed(self) -> None:
        if self._lookups >= MOST_LOOKUPS:
            raise UnavailableError("too many unknown tokens come at once; try again")
        self._lookups += 1
        try:
            await self._read()
        finally:
            self._lookups -= 1

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        read = loop.create_future()

        def end() -> None:
            # The call may be over by then.
            if not read.done():
                read.set_result(None)

        def tell() -> None:
            # And the loop be closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(end)

        self._tokens.renew(tell)
        await read
