"""Connections to the database: what SQLite and PostgreSQL are told when one is made."""

from __future__ import annotations

import time
from typing import Any, Final

import sqlalchemy as sa

# How long a call waits for a database that does not answer, in seconds.
CONNECT_TIMEOUT_S = 3
SQLITE_BUSY_S = 10
# How soon a database is asked again that somebody else is just making, in seconds.
_AGAIN_S: Final = 0.01
# What has PostgreSQL give up a connection, and the locks of its transaction, whose
# client has died in silence or is frozen.
_ABANDONED = (
    "idle_in_transaction_session_timeout=20s",
    "tcp_keepalives_idle=10",
    "tcp_keepalives_interval=5",
    "tcp_keepalives_count=3",
)


def make_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """An engine for SQLite (a file, in WAL mode) or PostgreSQL.

    Args:
        url: SQLAlchemy's URL.
        read_only: Whether the database is to refuse every change.
    """
    if url.startswith("sqlite"):
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            connect_args={"timeout": SQLITE_BUSY_S, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        if read_only:
            sa.event.listen(engine, "connect", _forbid_sqlite_to_write)
        return engine
    session = (*_ABANDONED, *(["default_transaction_read_only=on"] if read_only else []))
    return sa.create_engine(
        url,
        # What is stored is nobody's business who reads a log or an error.
        hide_parameters=True,
        pool_timeout=CONNECT_TIMEOUT_S,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "cursor_factory": _binary_cursor(),
            # In another zone, the first and the last moments of the calendar
            # would come back in years that Python does not have.
            "options": "-c timezone=utc " + " ".join(f"-c {each}" for each in session),
        },
    )


def _binary_cursor() -> type[Any]:
    """A cursor that has values come as they are; as text, bytes are twice as long."""
    # Whoever uses SQLite does not load the driver.
    from psycopg import Cursor
    from psycopg.pq import Format

    class BinaryCursor(Cursor[Any]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.format = Format.BINARY

    return BinaryCursor


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late; _begin_sqlite makes them.
    connection.isolation_level = None
    _keep_a_log(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _keep_a_log(connection: Any) -> None:
    # Of several that open a new database at once, SQLite refuses all but one, without
    # the wait that is asked for.
    from sqlite3 import SQLITE_BUSY, OperationalError

    until = time.monotonic() + SQLITE_BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def _forbid_sqlite_to_write(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later would meet SQLITE_BUSY
    # without waiting; one that takes the write lock at once waits its turn.
    read_only = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
