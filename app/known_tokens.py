"""The tokens of an installation: as its server knows them, and as its operators do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from app.identity import Caller
from app.ports import Clock
from app.snapshot import PATIENCE_S, Snapshot
from app.store import Store
from app.store_tokens import StoredToken
from app.tokens import caller_of, make_token
from qdispatch.errors import RequestError

# For so long, who shows a token that has ended is told how it did.
_TOLD: Final = timedelta(days=30)


class KnownTokens:
    """The tokens that a server lets in, without a question to the database for each call.

    Args:
        store: The database.
        clock: Tells the time.
        refresh_s: How often they are read, in seconds: how long one that was revoked
            may still be shown.
        patience_s: How long they are good for while the database is away, in seconds.
    """

    def __init__(
        self, *, store: Store, clock: Clock, refresh_s: float, patience_s: float = PATIENCE_S
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = Snapshot(
            self._read, name="the tokens", every_s=refresh_s, patience_s=patience_s
        )

    def start(self) -> None:
        """Reads them, and goes on doing so."""
        self._tokens.start()

    def close(self) -> None:
        """Ends the reading."""
        self._tokens.close()

    def caller(self, text: str, peer: str = "") -> Caller:
        """Who shows a token.

        Args:
            text: The token.
            peer: Where they call from.

        Raises:
            UnknownTokenError: There was none of its id when they were read.
            AuthenticationError: It is none, or not valid (any more).
            UnavailableError: They could not be read for too long.
        """
        return caller_of(text, self._tokens.value(), now=self._clock(), peer=peer)

    @property
    def are_fresh(self) -> bool:
        """Whether they could be read when that was last tried."""
        return self._tokens.is_fresh

    def renew(self, then: Callable[[], None]) -> None:
        """Has them read anew; see `Snapshot.renew`."""
        self._tokens.renew(then)

    def _read(self) -> Mapping[str, StoredToken]:
        with self._store.read() as tx:
            tokens = tx.tokens.every(valid_after=self._clock() - _TOLD)
        return {each.id: each for each in tokens}


class TokenControl:
    """What operators do with tokens.

    Args:
        store: The database.
        clock: Tells the time.
    """

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def create(
        self, owner: str, *, is_admin: bool = False, expires_at: datetime | None = None
    ) -> tuple[str, StoredToken]:
        """Makes a token.

        Args:
            owner: Whose jobs are submitted with it.
            is_admin: Whether it sees everybody's jobs.
            expires_at: When it ends; None for never.

        Returns:
            The token itself, which nobody can be shown again, and what is kept of it.

        Raises:
            RequestError: That is no name of an owner, or the token would have ended.
        """
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise RequestError(f"{expires_at:%Y-%m-%d %H:%M} UTC is past", field="expires")
        text, token = make_token(owner=owner, is_admin=is_admin, now=now, expires_at=expires_at)
        with self._store.write() as tx:
            tx.tokens.insert(token)
        return text, token

    def tokens(self, owner: str | None = None) -> list[StoredToken]:
        """All tokens, oldest first, also those that have ended.

        Args:
            owner: Only those of this owner.
        """
        with self._store.read() as tx:
            return [each for each in tx.tokens.every() if owner in (None, each.owner)]

    def revoke(self, ids: Collection[str]) -> tuple[set[str], set[str]]:
        """Revokes tokens, for good.

        Returns:
            Those that were valid until now, and those that there are not.
        """
        with self._store.write() as tx:
            known = {each.id for each in tx.tokens.every()}
            return tx.tokens.revoke(ids, self._clock()), set(ids) - known

    def revoke_owner(self, owner: str) -> set[str]:
        """Revokes all tokens of an owner; returns those that were valid until now."""
        with self._store.write() as tx:
            ids = {each.id for each in tx.tokens.every() if each.owner == owner}
            return tx.tokens.revoke(ids, self._clock())
