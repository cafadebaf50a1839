"""A connection to the broker, of one thread's own."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery
from kombu import Connection


class Link:
    """A connection to the broker that is made when needed, and anew when it fails.

    Celery's own pool would keep one whose last answer is still to come, and
    take that for the answer to the next question.

    Args:
        celery: An application.
        patience_s: How long one read or write may take, in seconds; None for as long
            as the application's settings say.
    """

    def __init__(self, celery: Celery, *, patience_s: float | None = None) -> None:
        self._celery = celery
        self._patience_s = patience_s
        self._connection: Connection | None = None

    def use(self, act: Callable[[Connection], None]) -> None:
        """Does something with the connection; twice, if it was an old one and is dead."""
        old = self._connection is not None
        try:
            act(self._connected())
        except Exception:
            self.drop()
            if not old:
                raise
            try:
                act(self._connected())
            except Exception:
                self.drop()
                raise

    def drop(self) -> None:
        """Ends the connection without a word to the broker, which may not listen."""
        if self._connection is not None:
            self._connection.collect()
            self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._celery.connection_for_write()
            if self._patience_s is not None:
                connection.transport_options = connection.transport_options | {
                    "read_timeout": self._patience_s,
                    "write_timeout": self._patience_s,
                }
            connection.connect()
            self._connection = connection
        return self._connection
