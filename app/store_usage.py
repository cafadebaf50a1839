"""The SQL of quotas, and of what owners use of them."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.rows import ACTIVE, JOB, QUOTA, USAGE


class UsageStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    # -- quotas of one owner

    def quotas(self) -> dict[str, dict[str, float]]:
        """The quotas of owners who have some of their own, by owner and name."""
        rows = self._connection.execute(
            sa.select(QUOTA.c.owner, QUOTA.c.name, QUOTA.c.value).order_by(
                QUOTA.c.owner, QUOTA.c.name
            )
        )
        found: dict[str, dict[str, float]] = {}
        for owner, name, value in rows:
            found.setdefault(owner, {})[name] = value
        return found

    def set_quota(self, owner: str, name: str, value: float) -> None:
        """Gives an owner a quota of their own."""
        statement = _insert(self._connection, QUOTA).values(owner=owner, name=name, value=value)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["owner", "name"], set_={"value": value})
        )

    def unset_quota(self, owner: str, name: str) -> bool:
        """Has the settings' quota be an owner's again; False if it was."""
        statement = sa.delete(QUOTA).where(QUOTA.c.owner == owner, QUOTA.c.name == name)
        return self._connection.execute(statement).rowcount == 1

    # -- what is used

    def in_flight(self) -> dict[str, int]:
        """How many jobs of each owner are not final."""
        rows = self._connection.execute(
            # The whole condition as the partial index has it, so that it is used.
            sa.select(JOB.c.owner, sa.func.count()).where(sa.text(ACTIVE)).group_by(JOB.c.owner)
        )
        return {owner: int(number) for owner, number in rows}

    def cpu_s(self, day: date) -> dict[str, float]:
        """Processor time that jobs of each owner took that ended on a day of UTC, in seconds."""
        rows = self._connection.execute(
            sa.select(USAGE.c.owner, sa.func.sum(USAGE.c.cpu_s))
            .where(USAGE.c.day == day)
            .group_by(USAGE.c.owner)
        )
        return {owner: float(cpu_s) for owner, cpu_s in rows}

    def add(self, owner: str, *, day: date, by: str, cpu_s: float) -> None:
        """Adds what an attempt took; see `UsageRow`."""
        add_usage(self._connection, owner, day=day, by=by, cpu_s=cpu_s)

    def forget(self, before: date) -> int:
        """Removes what was used on days before this one; returns how many rows these were."""
        return self._connection.execute(sa.delete(USAGE).where(USAGE.c.day < before)).rowcount


def add_usage(connection: sa.Connection, owner: str, *, day: date, by: str, cpu_s: float) -> None:
    """Adds processor time to what an owner has used on a day of UTC.

    Args:
        connection: To the database.
        owner: Whose jobs took it.
        day: The day.
        by: Who has run them; see `UsageRow.worker`.
        cpu_s: How much, in seconds; nothing is written of none.
    """
    if cpu_s <= 0:
        return
    statement = _insert(connection, USAGE).values(owner=owner, day=day, worker=by, cpu_s=cpu_s)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["owner", "day", "worker"],
            set_={"cpu_s": USAGE.c.cpu_s + statement.excluded.cpu_s},
        )
    )


def _insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    postgres = connection.dialect.name == "postgresql"
    return postgresql.insert(table) if postgres else sqlite.insert(table)
