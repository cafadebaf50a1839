"""What a database is asked, journey by journey."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any

import sqlalchemy as sa

from app.store import Store
from tests.world import World

#: A message in libpq's trace: its moment, its direction, its length.
_MESSAGE = re.compile(rb"^[-\d]+ [:.\d]+\t[FB]\t(\d+)\t", re.MULTILINE)


@contextmanager
def listening(world: World, **listeners: Callable[..., None]) -> Iterator[None]:
    """Has these told of SQLAlchemy's events of their names meanwhile."""
    assert isinstance(world.store.inner, Store)
    engine = world.store.inner.engine
    for name, listener in listeners.items():
        sa.event.listen(engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            sa.event.remove(engine, name, listener)


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """The statements that the database is given."""
    given: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        given.append(text)

    with listening(world, before_cursor_execute=note):
        yield given


@contextmanager
def journal(world: World) -> Iterator[list[str]]:
    """Notes each journey to the database: the verb and the table of a statement, or what ends it.

    With SQLite there are no journeys, but the same steps.
    """
    given: list[str] = []

    def execute(_connection: object, _cursor: object, text: str, *_: object) -> None:
        verb, *words = text.split()
        if verb == "BEGIN":
            given.append("begin")
            return
        at = {"INSERT": 1, "UPDATE": 0}.get(verb)
        given.append(f"{verb} {words[words.index('FROM') + 1 if at is None else at]}")

    def begin(connection: sa.Connection) -> None:
        # SQLite's is a statement. PostgreSQL's driver is told none if it commits by itself.
        if not getattr(connection.connection.driver_connection, "autocommit", True):
            given.append("begin")

    def commit(_connection: object) -> None:
        given.append("commit")

    with listening(world, before_cursor_execute=execute, begin=begin, commit=commit):
        yield given


@contextmanager
def rows_read(world: World) -> Iterator[list[tuple[str, int]]]:
    """What the database is asked, and how many rows it answers with.

    SQLite does not know how many before they are read: -1.
    """
    given: list[tuple[str, int]] = []

    def note(_connection: object, cursor: Any, text: str, *_: object) -> None:
        given.append((text, cursor.rowcount))

    with listening(world, after_cursor_execute=note):
        yield given


@contextmanager
def traced(world: World) -> Iterator[list[int]]:
    """Notes how long each message to and from PostgreSQL was, in bytes."""
    sizes: list[int] = []
    with TemporaryFile() as file:

        def trace(connection: sa.Connection, *_: object) -> None:
            connection.connection.driver_connection.pgconn.trace(file.fileno())

        def end(connection: sa.Connection, *_: object) -> None:
            connection.connection.driver_connection.pgconn.untrace()

        with listening(world, before_cursor_execute=trace, after_cursor_execute=end):
            yield sizes
        file.seek(0)
        sizes += map(int, _MESSAGE.findall(file.read()))
