"""The SQL of tokens."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from app.rows import TOKEN


class StoredToken(NamedTuple):
    """A token as it is kept: what tells whether it is the one that somebody shows."""

    id: str
    owner: str
    is_admin: bool
    salt: bytes
    digest: bytes
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def insert(self, token: StoredToken) -> None:
        """Keeps a new token."""
        self._connection.execute(sa.insert(TOKEN).values(token._asdict()))

    def every(self, *, valid_after: datetime | None = None) -> list[StoredToken]:
        """Tokens, oldest first.

        Args:
            valid_after: Leaves out those that had ended by then; None for none.
        """
        columns = [TOKEN.c[name] for name in StoredToken._fields]
        statement = sa.select(*columns).order_by(TOKEN.c.created_at, TOKEN.c.id)
        if valid_after is not None:
            for end in (TOKEN.c.expires_at, TOKEN.c.revoked_at):
                statement = statement.where(end.is_(None) | (end > valid_after))
        return [StoredToken(*row) for row in self._connection.execute(statement)]

    def revoke(self, ids: Collection[str], now: datetime) -> set[str]:
        """Revokes those of these tokens that were not yet; returns which these are."""
        revoked = self._connection.execute(
            sa.update(TOKEN)
            .where(TOKEN.c.id.in_(list(ids)), TOKEN.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(TOKEN.c.id)
        )
        return set(revoked.scalars())
