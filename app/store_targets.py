"""The SQL about the states of targets, and about the jobs that a state holds back.

A change of a state is true from the moment on that it is acknowledged: it
waits for the transactions that have looked at the state, and those that come
meanwhile wait for it. SQLite's one writer is that by itself. PostgreSQL does
it by locks on the table, which the readers of a backup do not meet: whoever
looks takes ROW SHARE, by its FOR KEY SHARE, and keeps it to the end of the
transaction; whoever changes takes EXCLUSIVE. PostgreSQL takes the lock of a
statement before it takes the statement's snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.rows import ACTIVE, JOB, TARGET
from qdispatch.model import JobStatus, TargetState


def is_paused(*, hold: bool = False) -> sa.ColumnElement[bool]:
    """Whether a job's target is paused, as a part of a statement about jobs.

    Args:
        hold: Keeps the state as it is until the transaction ends.
    """
    paused = (
        sa.select(TARGET.c.name)
        .where(TARGET.c.name == JOB.c.target, TARGET.c.state == TargetState.PAUSED.value)
        .correlate(JOB)
    )
    return (paused.with_for_update(read=True, key_share=True) if hold else paused).exists()


_STATES: Final = sa.select(TARGET.c.name, TARGET.c.state).where(
    TARGET.c.state != TargetState.ACTIVE.value
)
_STATES_HELD: Final = _STATES.with_for_update(read=True, key_share=True)


class TargetStatements:
    """The statements, within one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def states(self, *, hold: bool = False) -> Mapping[str, TargetState]:
        """The states of the targets that are not active, by name.

        Args:
            hold: Keeps all states as they are until the transaction ends.
        """
        statement = _STATES_HELD if hold else _STATES
        return {name: TargetState(state) for name, state in self._connection.execute(statement)}

    def changes(self) -> Mapping[str, datetime]:
        """When the state of each target was changed last, of those that ever were."""
        rows = self._connection.execute(sa.select(TARGET.c.name, TARGET.c.changed_at))
        return {row.name: row.changed_at for row in rows}

    def set_state(self, name: str, state: TargetState, now: datetime) -> None:
        """Puts a target into a state; nothing happens if it is in it."""
        postgres = self._connection.dialect.name == "postgresql"
        if postgres:
            self._connection.execute(sa.text("LOCK TABLE target IN EXCLUSIVE MODE"))
        values = {"name": name, "state": state.value, "changed_at": now}
        statement = (postgresql if postgres else sqlite).insert(TARGET).values(values)
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_=values, where=TARGET.c.state != state.value
            )
        )

    def requeue(self, target: str | None = None) -> int:
        """Has pending jobs sent again: all, or those of one target; returns how many."""
        # Spelled as the partial index is, so that it is used.
        active = sa.text(ACTIVE)
        statement = sa.update(JOB).where(active, JOB.c.status == JobStatus.PENDING)
        if target is not None:
            statement = statement.where(JOB.c.target == target)
        return self._connection.execute(statement.values(sent_at=None, chunk_id=None)).rowcount
