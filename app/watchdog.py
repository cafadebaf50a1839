"""Cuts connections to a database that neither answers nor goes away.

A server that is stopped, or cut off in silence, keeps its connections open: who
waits for an answer would wait for good, and a server's threads are few.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from threading import Event, Lock, Thread
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

_log = logging.getLogger(__name__)

# How often connections in use are looked at, in seconds.
_LOOK_S: Final = 1.0

#: A connection that was used so lately is taken to live, in seconds: to ask it
#: would take as long as what it is wanted for.
FRESH_S: Final = 0.5
_USED_AT: Final = "qdispatch.used_at"


class Watchdog:
    """Shuts down every connection of an engine that is in use for too long.

    Whoever waits on it then gets the driver's error for a lost connection.
    It also asks a connection for a sign of life before it is used anew, which
    SQLAlchemy's own pre-ping does where nobody can watch.

    Args:
        engine: Of PostgreSQL, with psycopg.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._limit = ContextVar("limit_s", default=inf)
        self._lock = Lock()
        self._in_use: dict[int, tuple[float, Any]] = {}
        self._stop = Event()
        self._thread: Thread | None = None
        sa.event.listen(engine, "checkout", self._check_out)
        sa.event.listen(engine, "checkin", self._check_in)
        sa.event.listen(engine, "invalidate", lambda connection, *_: self._forget(connection))

    @contextmanager
    def limited(self, limit_s: float) -> Iterator[None]:
        """Watches the connections that are taken meanwhile, by this thread.

        Args:
            limit_s: The longest that each may be in use, in seconds.
        """
        token = self._limit.set(limit_s)
        try:
            yield
        finally:
            self._limit.reset(token)

    def close(self) -> None:
        """Ends the watch."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _check_out(self, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        with self._lock:
            until = time.monotonic() + self._limit.get()
            self._in_use[id(connection)] = (until, connection)
            if self._thread is None:
                # Not sooner: a process may fork between making an engine and using it.
                self._thread = Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
        if time.monotonic() - record.info.get(_USED_AT, -inf) < FRESH_S:
            return
        try:
            self._engine.dialect.do_ping(connection)
        except self._engine.dialect.loaded_dbapi.Error as error:
            # Its siblings are as old.
            raise InvalidatePoolError from error

    def _check_in(self, connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()
        self._forget(connection)

    def _forget(self, connection: Any) -> None:
        with self._lock:
            self._in_use.pop(id(connection), None)

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            now = time.monotonic()
            with self._lock:
                late = [each for until, each in self._in_use.values() if until < now]
                for connection in late:
                    self._in_use.pop(id(connection), None)
                    _cut(connection)
            if late:
                _log.warning("%d connections to the database did not answer; cut", len(late))


def _cut(connection: Any) -> None:
    try:
        # A copy of the descriptor: the connection closes its own when it ends.
        with socket.socket(fileno=os.dup(connection.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)
    except Exception as error:  # noqa: BLE001 - psycopg's own, if it is closed by now
        _log.debug("it is gone already: %s", error)
